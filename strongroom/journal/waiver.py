"""With fewer than w journals, signing stops, unless officers sign that it goes on without those that are away.

The officers look at what is left, and sign the very state that they saw: each present journal's start and set. So a
waiver serves once: it is not true any more after the first reservation, nor after a restart, nor for a copy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from strongroom import signatures
from strongroom.errors import Refusal
from strongroom.journal.acknowledgement import MAX_INCARNATION
from strongroom.journal.quorum import MAX_JOURNALS
from strongroom.signer.configuration import Officers
from strongroom.wire import cbor
from strongroom.wire.fields import Fields, bytes_item

MAX_WAIVER: Final = 7 * 24 * 3600
"""Seconds that a waiver may last."""


@dataclass(frozen=True)
class Presence:
    """A journal as its signer's status shows it: its start, and the digest of its set."""

    boot: bytes
    incarnation: int
    digest: bytes


@dataclass(frozen=True)
class Waiver:
    """divisor: n - t + 1; each signer counts its limits divided by it, since no more honest ones can sign apart."""

    order: bytes
    epoch: int
    present: Mapping[str, Presence]
    divisor: int
    expiry: int

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.present)

    def encode(self) -> bytes:
        rows: dict[str, list[cbor.Value]] = {
            name: [each.boot, each.incarnation, each.digest] for name, each in self.present.items()
        }
        return cbor.encode(
            {
                "v": 1,
                "order": self.order,
                "epoch": self.epoch,
                "present": rows,
                "divisor": self.divisor,
                "expiry": self.expiry,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Waiver:
        fields = Fields.decode(data, "waiver")
        fields.version()
        waiver = cls(
            fields.blob("order", size=32),
            fields.integer("epoch", least=1),
            _present(fields.raw("present")),
            fields.integer("divisor", least=1, most=MAX_JOURNALS),
            fields.integer("expiry"),
        )
        fields.end()
        return waiver


@dataclass(frozen=True)
class SignedWaiver:
    """The waiver's very bytes, and the officers' signatures, sorted by key."""

    raw: bytes
    waiver: Waiver
    signatures: tuple[tuple[bytes, bytes], ...]

    @classmethod
    def decode(cls, data: bytes) -> SignedWaiver:
        fields = Fields.decode(data, "signed waiver")
        raw = fields.blob("waiver", most=1 << 14)
        signed = fields.items("signatures", signatures.item, most=16)
        fields.end()
        return cls(raw, Waiver.decode(raw), signed)

    def encode(self) -> bytes:
        return cbor.encode({"waiver": self.raw, "signatures": [list(each) for each in self.signatures]})

    def verify(self, officers: Officers, order: bytes, epoch: int, divisor: int) -> Waiver:
        """A quorum of these officers signed it, for this wallet. Raises Refusal `waiver_refused`."""
        message, waiver = waiver_signing_bytes(self.raw), self.waiver
        signatures.require_quorum(self.signatures, message, officers.keys, officers.quorum, "waiver_refused")
        if (waiver.order, waiver.epoch, waiver.divisor) != (order, epoch, divisor):
            raise Refusal("waiver_refused", f"the waiver is for another wallet, or its divisor is not {divisor}")
        return waiver


def waiver_signing_bytes(raw: bytes) -> bytes:
    """What an officer signs with Ed25519."""
    return b"strongroom/waiver/v1" + hashlib.sha256(raw).digest()


def _present(value: cbor.Value) -> dict[str, Presence]:
    if not isinstance(value, dict) or not 2 <= len(value) <= MAX_JOURNALS:
        raise Refusal("malformed_message", "a waiver names two journals at least")
    return {name: _presence(each) for name, each in value.items()}


def _presence(value: cbor.Value) -> Presence:
    if not isinstance(value, list) or len(value) != 3:
        raise Refusal("malformed_message", "a journal's state is boot, incarnation and digest")
    boot, incarnation, digest = value
    if not isinstance(incarnation, int) or isinstance(incarnation, bool) or not 0 <= incarnation <= MAX_INCARNATION:
        raise Refusal("malformed_message", "an incarnation is a number")
    return Presence(bytes_item(boot), incarnation, bytes_item(digest))
