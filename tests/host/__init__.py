"""The host: its links to signers, its ceremonies, its states, its API."""
