"""The channel of a pair of signers: handshake, sealed messages, echoes. The host carries it and reads none of it."""
