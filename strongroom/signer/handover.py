"""What a signer hands to its successor in the next release: who may be the two, and the state, byte for byte.

docs/specification.md section 17. The two speak by the handshake of every channel; the host carries it, and sees
ciphertext.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from strongroom.channel.handshake import Answered, Opened, Proven
from strongroom.channel.session import Binding, route
from strongroom.errors import Refusal
from strongroom.policy.directives import Directive
from strongroom.policy.release import Active, Measured, Release
from strongroom.signer.configuration import Officers
from strongroom.wallet.members import Roster, require_release, roster_of
from strongroom.wallet.order import Order
from strongroom.wire import cbor
from strongroom.wire.fields import Fields

ARRIVING: Final = "arriving"
LEAVING: Final = "leaving"
CARRIED: Final = hashlib.sha256(b"strongroom/handover/v1").digest()
"""Stands for the ceremony."""


@dataclass(frozen=True)
class JournalEnd:
    """key: 32 bytes. sequence: of the block that comes next. head: H of the last block."""

    key: bytes
    sequence: int
    head: bytes

    def value(self) -> dict[str, cbor.Value]:
        return {"key": self.key, "sequence": self.sequence, "head": self.head}

    @classmethod
    def parse(cls, fields: Fields) -> JournalEnd:
        end = cls(fields.blob("key", size=32), fields.integer("sequence"), fields.blob("head", size=32))
        fields.end()
        return end


@dataclass(frozen=True, repr=False)
class State:
    """Secret: it has no repr. key: seals the share on its way. end: whether the one who gives it has left.

    share: None of a witness. journal: at the end alone, where the wallet's order has witnesses.
    """

    wallet: bytes
    transcript: bytes
    key: bytes
    share: bytes | None
    standing: bytes
    end: bool
    journal: JournalEnd | None

    def encode(self) -> bytes:
        return cbor.encode(
            {
                "v": 1,
                "wallet": self.wallet,
                "transcript": self.transcript,
                "key": self.key,
                "share": self.share,
                "standing": self.standing,
                "end": self.end,
                "journal": None if self.journal is None else self.journal.value(),
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> State:
        fields = Fields.decode(data, "state")
        fields.version()
        state = cls(
            fields.blob("wallet", size=32),
            fields.blob("transcript", size=32),
            fields.blob("key", size=32),
            fields.optional_blob("share", most=1 << 16),
            fields.blob("standing"),
            fields.flag("end"),
            JournalEnd.parse(Fields(raw, "journal")) if (raw := fields.raw("journal")) is not None else None,
        )
        fields.end()
        return state


@dataclass
class Handing:
    """A handover under way, at either side. identifier: see `handover_id`. roster: the two, what each must measure.

    release: its hash. opened, proven: of the one who arrives. answered: of the one who leaves.
    """

    identifier: bytes
    roster: Roster
    release: bytes
    opened: Opened | None = None
    proven: Proven | None = None
    answered: Answered | None = None


def handover_id(order: bytes, release: bytes, name: str) -> bytes:
    """What the handshake names in place of an order. order: the order's id."""
    named = bytes((len(name),)) + name.encode()
    return hashlib.sha256(b"strongroom/handover/v1" + order + release + named).digest()


def share_aad(identifier: bytes) -> bytes:
    return hashlib.sha256(b"strongroom/handover/v1" + b"share" + identifier).digest()


def associated(identifier: bytes, epoch: int) -> bytes:
    """What the one sealed message is bound to."""
    return Binding(CARRIED, identifier, epoch).prefix() + route(0, LEAVING, ARRIVING)


def pair_of(order: Order, name: str, before: Mapping[str, Measured], after: Mapping[str, Measured]) -> Roster:
    """The two processes of this name. before, after: what officers say of members in the one release, in the other."""
    old, new = roster_of(order, before).member(name), roster_of(order, {**before, **after}).member(name)
    return Roster(order.mode, {LEAVING: old, ARRIVING: new})


@dataclass(frozen=True)
class Chain:
    """What led to a release, as whoever arrives with it is shown. before: the release that it follows."""

    before: Active
    release: Release


def follow(order: Order, directives: Sequence[bytes]) -> Chain:
    """The last of these is the release that somebody arrives with. Raises Refusal.

    Each is signed by a quorum of a set of officers that is known by then. That a set was replaced meanwhile makes no
    difference here: nobody hands over a share who does not hold it.
    """
    sets: list[Officers] = [order.officers]
    active, found = Active(), None
    for raw in directives:
        directive = Directive.decode(raw)
        directive.require("officers", "release")
        _require_signed(directive, sets)
        if directive.kind == "officers":
            sets.append(directive.officers().officers)
            continue
        if found is not None:
            active = active.follow(found)
        found = directive.release()
        require_release(order, active.measurements, found)
        active.follow(found)
    if found is None:
        raise Refusal("release_refused", "nobody arrives without a release that officers signed")
    return Chain(active, found)


def _require_signed(directive: Directive, sets: Sequence[Officers]) -> None:
    for officers in sets[:-1]:
        try:
            return directive.verify(officers, officers.quorum)
        except Refusal:
            continue
    directive.verify(sets[-1], sets[-1].quorum)
