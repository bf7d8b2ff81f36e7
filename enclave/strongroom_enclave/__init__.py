"""The signer program of a Nitro enclave: NSM attestation and clock, KMS sealing, vsock."""
