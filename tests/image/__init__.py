"""The enclave's image: what goes into it, and that it is the same bytes for everybody."""
