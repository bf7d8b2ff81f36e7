"""Enclave images: what AWS boots, measured before anybody boots it."""

__version__ = "0.1.0"
