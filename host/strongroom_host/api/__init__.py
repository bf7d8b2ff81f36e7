"""The HTTP API: translates between JSON and `custody`, and decides nothing."""
