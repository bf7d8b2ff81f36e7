"""COSE_Sign1 (RFC 9052 section 4.2) as the NSM writes it: untagged, ES384, nothing unprotected, payload inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from strongroom.errors import Refusal
from strongroom.wire import cbor

MAX_DOCUMENT: Final = 32 << 10
"""Bytes. The NSM's response buffer ends at 12 KiB, its payload at 16 KiB by specification."""

PROTECTED: Final = bytes.fromhex("a1013822")
"""The map {1: -35}: algorithm ES384 (RFC 9053 table 1). The one protected header accepted, compared as bytes."""

_COORDINATE: Final = 48
"""Bytes of r and of s; a COSE signature is both, in fixed length (RFC 9053 section 2.1)."""


@dataclass(frozen=True)
class Sign1:
    """payload and signature are unverified until `verify` has returned."""

    payload: bytes
    signature: bytes

    def signed_bytes(self) -> bytes:
        """The Sig_structure (RFC 9052 section 4.4), without external data."""
        return signed_bytes(self.payload)

    def verify(self, key: ec.EllipticCurvePublicKey) -> None:
        """Raises Refusal `evidence_signature`."""
        r = int.from_bytes(self.signature[:_COORDINATE], "big")
        s = int.from_bytes(self.signature[_COORDINATE:], "big")
        try:
            key.verify(utils.encode_dss_signature(r, s), self.signed_bytes(), ec.ECDSA(hashes.SHA384()))
        except InvalidSignature:
            raise Refusal("evidence_signature", "the signature is not one of the document's certificate") from None


def signed_bytes(payload: bytes) -> bytes:
    return cbor.encode(["Signature1", PROTECTED, b"", payload])


def parse(document: bytes) -> Sign1:
    """Raises Refusal `evidence_malformed`."""
    if len(document) > MAX_DOCUMENT:
        raise malformed(f"the document has {len(document)} bytes, more than {MAX_DOCUMENT}")
    items = read(document, "the document")
    if not isinstance(items, list) or len(items) != 4:
        raise malformed("the document is not an untagged COSE_Sign1 of four parts")
    protected, unprotected, payload, signature = items
    if protected != PROTECTED:
        raise malformed("the protected header is not the algorithm ES384 alone")
    if unprotected != {}:
        raise malformed("the unprotected header is not empty")
    if not isinstance(payload, bytes) or not isinstance(signature, bytes) or len(signature) != 2 * _COORDINATE:
        raise malformed("payload or signature is not a byte string of its length")
    return Sign1(payload, signature)


def read(data: bytes, what: str) -> cbor.Foreign:
    """The NSM's CBOR. Raises Refusal `evidence_malformed`."""
    try:
        return cbor.decode_foreign(data)
    except Refusal as error:
        raise malformed(f"{what} is not strict CBOR: {error.reason}") from error


def malformed(reason: str) -> Refusal:
    return Refusal("evidence_malformed", reason)
