"""What is fresh at every start: a random boot identifier, and the boot key, which evidence carries and which signs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.signer.seams import Attester


class Identity:
    def __init__(self, random: Callable[[int], bytes], attester: Attester) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(random(32))
        self._attester = attester
        self.boot = random(16)
        self.public_key = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)

    def attest(self, nonce: bytes, user_data: bytes) -> bytes:
        """A fresh document that carries the boot key."""
        return self._attester.attest(nonce=nonce, user_data=user_data, public_key=self.public_key)


def evidence_user_data(configuration: bytes) -> bytes:
    """What `evidence` is bound to; configuration: the digest of 48 bytes."""
    return hashlib.sha256(b"strongroom/evidence/v1" + configuration).digest()
