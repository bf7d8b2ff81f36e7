"""A laptop's AWS: NSM, KMS, vsock and PKI, under roots of their own. Never part of an image."""
