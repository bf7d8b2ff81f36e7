"""The enclave tier: the image that AWS would boot, booted in QEMU. `make test-enclave`; what is missing is said."""
