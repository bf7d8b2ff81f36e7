"""What a signer is handed: one protocol per seam, one file per backend in the programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from strongroom_native import DataKey as DataKey

from strongroom.evidence.statement import Root

Context = Mapping[str, str]
"""What a wrapped key is for: signer, wallet, epoch, kind of record. KMS: encryption context; PKCS#11: AAD."""


class Sealer(Protocol):
    """Keeps data keys at rest. Both calls raise Refusal `sealer_unavailable` (retry), `sealer_refused`,
    `sealed_mismatch` (wrapped for another signer, wallet or epoch), `token_unavailable`."""

    def new_key(self, context: Context) -> tuple[DataKey, bytes]:
        """A fresh data key and its wrapped form."""

    def open_key(self, wrapped: bytes, context: Context) -> DataKey: ...


class Attester(Protocol):
    @property
    def root(self) -> Root: ...

    def attest(self, *, nonce: bytes, user_data: bytes, public_key: bytes) -> bytes:
        """A fresh document. Each argument at most 1024 bytes (the NSM's limit is 512 for nonce and user data)."""


class Clock(Protocol):
    def now(self) -> int:
        """Unix seconds, never lower than an earlier answer."""


class Random(Protocol):
    def __call__(self, size: int, /) -> bytes:
        """Bytes of the operating system's generator, or of the NSM's."""


class Health(Protocol):
    def degraded(self) -> str | None:
        """None while sealer and attester work; otherwise a sentence that says what is lost."""
