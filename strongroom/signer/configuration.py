"""A signer's attested configuration: what it must know before anyone may speak to it.

Its digest goes into PCR16 of a Nitro enclave, locked before the first request, or into the `configuration` field of
PKCS#11 evidence; rosters pin it. Byte for byte in docs/specification.md.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Literal

from strongroom.errors import Refusal
from strongroom.evidence.statement import Mode, Root
from strongroom.wire import cbor
from strongroom.wire.fields import Fields, bytes_item

NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
MAX_OFFICERS: Final = 16


@dataclass(frozen=True)
class Officers:
    """Ed25519 public keys (32 bytes each, sorted, distinct) and how many of them must sign."""

    keys: tuple[bytes, ...]
    quorum: int

    def __post_init__(self) -> None:
        distinct = tuple(sorted(set(self.keys)))
        if self.keys != distinct or not 1 <= self.quorum <= len(self.keys) <= MAX_OFFICERS:
            raise Refusal("bad_configuration", "officers are 1 to 16 distinct sorted keys and a quorum of them")
        if any(len(key) != 32 for key in self.keys):
            raise Refusal("bad_configuration", "an officer's key is 32 bytes of Ed25519")

    def value(self) -> dict[str, cbor.Value]:
        return {"keys": list(self.keys), "quorum": self.quorum}

    @classmethod
    def parse(cls, fields: Fields) -> Officers:
        officers = cls(fields.items("keys", bytes_item, most=MAX_OFFICERS), fields.integer("quorum", most=MAX_OFFICERS))
        fields.end()
        return officers


@dataclass(frozen=True)
class Sealing:
    """Where the data keys are wrapped: pinned, because a host that may name the key may know the key.

    key: the KMS key's ARN, or the label of the token's wrapping key. endpoint and authority (SHA-256 of the DER of the
    certificate authority that the endpoint's TLS must lead to) are for mode `simulated` alone.
    """

    kind: Literal["kms", "pkcs11"]
    key: str
    endpoint: str | None = None
    authority: bytes | None = None

    def value(self) -> dict[str, cbor.Value]:
        return {"kind": self.kind, "key": self.key, "endpoint": self.endpoint, "authority": self.authority}

    @classmethod
    def parse(cls, fields: Fields) -> Sealing:
        kind, key = fields.text("kind"), fields.text("key")
        endpoint, authority = fields.optional_text("endpoint"), fields.optional_blob("authority", size=32)
        fields.end()
        if kind == "kms":
            return cls("kms", key, endpoint, authority)
        if kind == "pkcs11":
            return cls("pkcs11", key, endpoint, authority)
        raise Refusal("bad_configuration", "sealing.kind is kms or pkcs11")


@dataclass(frozen=True)
class Configuration:
    mode: Mode
    name: str
    officers: Officers
    sealing: Sealing

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise Refusal("bad_configuration", "a signer's name is 1 to 32 of a-z, 0-9 and inner hyphens")
        simulated = self.sealing.endpoint is not None or self.sealing.authority is not None
        if simulated and self.mode == "production":
            raise Refusal("mode_mismatch", "a production signer takes no endpoint and no authority of its own")

    def encode(self) -> bytes:
        return cbor.encode(
            {
                "v": 1,
                "mode": self.mode,
                "name": self.name,
                "officers": self.officers.value(),
                "sealing": self.sealing.value(),
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Configuration:
        fields = Fields.decode(data, "configuration")
        fields.version()
        configuration = cls(
            parse_mode(fields.text("mode")),
            fields.text("name"),
            Officers.parse(fields.fields("officers")),
            Sealing.parse(fields.fields("sealing")),
        )
        fields.end()
        return configuration

    @classmethod
    def from_json(cls, value: object) -> Configuration:
        """The same fields as people write them in a file, with keys and fingerprints in hex. Raises Refusal."""
        try:
            return cls.decode(cbor.encode(_from_hex(value)))
        except (TypeError, ValueError, KeyError) as error:
            raise Refusal("bad_configuration", f"the attested configuration cannot be read: {error}") from None
        except Refusal as refusal:
            raise Refusal("bad_configuration", f"the attested configuration: {refusal.reason}") from None

    def digest(self) -> bytes:
        """48 bytes: what is extended into PCR16, and the `configuration` of PKCS#11 evidence."""
        return hashlib.sha384(b"strongroom/configuration/v1" + self.encode()).digest()

    def register(self, root: Root) -> tuple[str, bytes]:
        """The reference value by which a roster names this configuration, and its name."""
        return ("pcr16", self.pcr16()) if root == "nitro" else ("configuration", self.digest())

    def pcr16(self) -> bytes:
        """PCR16 after the digest was extended into 48 zero bytes, as a roster pins it."""
        return hashlib.sha384(bytes(48) + self.digest()).digest()


def _from_hex(value: object) -> cbor.Value:
    if not isinstance(value, dict):
        raise TypeError("it is not an object")
    officers, sealing = dict(value["officers"]), dict(value["sealing"])
    officers["keys"] = sorted(bytes.fromhex(key) for key in officers["keys"])
    sealing.setdefault("endpoint", None)
    sealing["authority"] = None if sealing.get("authority") is None else bytes.fromhex(sealing["authority"])
    return {**value, "v": 1, "officers": officers, "sealing": sealing}


def parse_mode(text: str) -> Mode:
    if text == "production":
        return "production"
    if text == "simulated":
        return "simulated"
    raise Refusal("bad_configuration", "mode is production or simulated")
