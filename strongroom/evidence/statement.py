"""What a signer's evidence says once it has been verified, and what a verifier demands of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from strongroom.errors import Refusal

Mode = Literal["production", "simulated"]
Root = Literal["nitro", "pkcs11"]

AWS_NITRO_ROOT: Final = bytes.fromhex("641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b")
"""SHA-256 of the DER of AWS's Nitro root G1, valid 2019-10-28 to 2049-10-28, as AWS publishes it."""


@dataclass(frozen=True)
class TrustRoot:
    """A pinned root certificate. A production Nitro root is AWS's and no other; a simulated one never is.

    fingerprint: SHA-256 of the root certificate's DER.
    """

    kind: Root
    mode: Mode
    fingerprint: bytes

    def __post_init__(self) -> None:
        if self.kind == "nitro" and (self.fingerprint == AWS_NITRO_ROOT) != (self.mode == "production"):
            raise Refusal("mode_mismatch", f"this Nitro root cannot be pinned in mode {self.mode}")


@dataclass(frozen=True)
class Statement:
    """A verified document's content.

    subject: Nitro: the module id; pkcs11: the signer's name, as its certificate has it.
    timestamp, expires: Unix seconds, the document's own time and the end of its leaf certificate.
    measurements: lower-case names, `pcr0` and so on (48 bytes each); pkcs11: `configuration` (48 bytes), which is a
        process's word about itself and measured by nobody.
    """

    root: Root
    mode: Mode
    subject: str
    timestamp: int
    expires: int
    nonce: bytes | None
    user_data: bytes | None
    public_key: bytes | None
    measurements: Mapping[str, bytes]


def require_binding(statement: Statement, *, nonce: bytes, user_data: bytes) -> None:
    """The document answers this very question. Raises Refusal `evidence_nonce` or `evidence_binding`."""
    if statement.nonce != nonce:
        raise Refusal("evidence_nonce", "the document carries another nonce than the one asked with")
    if statement.user_data != user_data:
        raise Refusal("evidence_binding", "the document is bound to something else")


def require_measurements(statement: Statement, reference: Mapping[str, bytes]) -> None:
    """Every reference value is there and equal (RFC 9334). Raises Refusal `evidence_measurement`."""
    for name, value in sorted(reference.items()):
        measured = statement.measurements.get(name)
        if measured != value:
            seen = "absent" if measured is None else measured.hex()[:16]
            raise Refusal("evidence_measurement", f"{name} is {seen}, the roster wants {value.hex()[:16]}")
