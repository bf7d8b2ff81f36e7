"""What a host shows a signer beside an intent. None of it is believed: a proof proves itself, a source is advice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strongroom.policy.lists import MAX_PROOFS, Proof
from strongroom.wire import cbor
from strongroom.wire.fields import Fields

MAX_SIZE: Final = 1 << 16


@dataclass(frozen=True)
class Shown:
    """proofs: that recipients are on lists which the policy keeps as a root. address, country: where the request came
    from, by the host's word; empty where it gives none."""

    proofs: tuple[Proof, ...] = ()
    address: str = ""
    country: str = ""

    def value(self) -> dict[str, cbor.Value]:
        return {
            "proofs": [proof.value() for proof in self.proofs],
            "address": self.address,
            "country": self.country,
        }

    def encode(self) -> bytes:
        return cbor.encode(self.value())

    @classmethod
    def parse(cls, fields: Fields) -> Shown:
        shown = cls(
            fields.items("proofs", Proof.parse, most=MAX_PROOFS),
            fields.text("address", most=64),
            fields.text("country", most=2),
        )
        fields.end()
        return shown

    @classmethod
    def decode(cls, data: bytes) -> Shown:
        return cls.parse(Fields.decode(data, "shown"))


NOTHING: Final = Shown()
