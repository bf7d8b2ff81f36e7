"""Ed25519 signatures of people and of boot keys, over tagged bytes only."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

KEY = 32
SIGNATURE = 64


def verify(key: bytes, signature: bytes, message: bytes) -> bool:
    """False for a bad signature and for bytes that are no key: a caller needs no third case."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
