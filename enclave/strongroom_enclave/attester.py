"""Proves what this enclave is: documents of its Nitro Security Module (the seam `strongroom.signer.seams.Attester`)."""

from __future__ import annotations

from strongroom.evidence.statement import Root
from strongroom_enclave.nsm import Nsm


class NitroAttester:
    def __init__(self, nsm: Nsm) -> None:
        self._nsm = nsm

    @property
    def root(self) -> Root:
        return "nitro"

    def attest(self, *, nonce: bytes, user_data: bytes, public_key: bytes) -> bytes:
        return self._nsm.attest(nonce=nonce, user_data=user_data, public_key=public_key)
