"""Writes attestation documents in the NSM's own form: maps in the NSM's order, registers under integer keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from strongroom.evidence.cose import PROTECTED, signed_bytes
from strongroom.wire import cbor


@dataclass(frozen=True)
class Document:
    """The payload, before it is signed. timestamp: milliseconds, as the NSM has it."""

    module_id: str
    timestamp: int
    pcrs: Mapping[int, bytes]
    certificate: bytes
    cabundle: tuple[bytes, ...]
    public_key: bytes | None = None
    user_data: bytes | None = None
    nonce: bytes | None = None
    digest: str = "SHA384"
    extra: Mapping[str, cbor.Value] = field(default_factory=dict)

    def payload(self) -> bytes:
        registers = [(cbor.encode(index), cbor.encode(value)) for index, value in self.pcrs.items()]
        fields: list[tuple[str, bytes]] = [
            ("module_id", cbor.encode(self.module_id)),
            ("digest", cbor.encode(self.digest)),
            ("timestamp", cbor.encode(self.timestamp)),
            ("pcrs", raw_map(registers)),
            ("certificate", cbor.encode(self.certificate)),
            ("cabundle", cbor.encode(self.cabundle)),
            ("public_key", cbor.encode(self.public_key)),
            ("user_data", cbor.encode(self.user_data)),
            ("nonce", cbor.encode(self.nonce)),
            *((key, cbor.encode(value)) for key, value in self.extra.items()),
        ]
        return raw_map([(cbor.encode(key), value) for key, value in fields])

    def sign(self, key: ec.EllipticCurvePrivateKey) -> bytes:
        return sign(self.payload(), key)


def raw_map(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """A map of fewer than 256 encoded pairs, in the order given."""
    head = bytes((0xA0 | len(pairs),)) if len(pairs) < 24 else bytes((0xB8, len(pairs)))
    return head + b"".join(key + value for key, value in pairs)


def sign(payload: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """An untagged COSE_Sign1 under ES384, r and s in fixed length (RFC 9053 section 2.1)."""
    r, s = utils.decode_dss_signature(key.sign(signed_bytes(payload), ec.ECDSA(hashes.SHA384())))
    signature = r.to_bytes(48, "big") + s.to_bytes(48, "big")
    return cbor.encode([PROTECTED, {}, payload, signature])
