"""What runs on the parent instance beside an enclave."""
