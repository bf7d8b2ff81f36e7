"""A wallet's journals, as the host shows them, and the waiver by which officers let those go on that are left.

Nothing here is proved: a journal refuses a waiver that is untrue of it, and who is away, officers see for themselves.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.errors import Refusal
from strongroom.intent.replacing import require_witnesses
from strongroom.journal.quorum import Quorum
from strongroom.journal.waiver import MAX_WAIVER, Presence, SignedWaiver, Waiver, waiver_signing_bytes
from strongroom.wallet.certificate import Body
from strongroom_client import keyfiles
from strongroom_client.api import Json, unhex


@dataclass(frozen=True)
class Head:
    """One journal. presence: what a waiver says of it; None where it does not answer, or opened none since its start.

    waived: until when (Unix seconds) it goes on by a waiver, None where it does not. why: it is not there.
    """

    name: str
    witness: bool
    presence: Presence | None
    joined: bool
    entries: int
    waived: int | None
    why: str


@dataclass(frozen=True)
class Heads:
    quorum: Quorum
    rows: tuple[Head, ...]

    @property
    def joined(self) -> tuple[str, ...]:
        """Those that acknowledge without a waiver."""
        return tuple(row.name for row in self.rows if row.joined)

    @property
    def enough(self) -> bool:
        return len(self.joined) >= self.quorum.acknowledgements

    def sentence(self) -> str:
        quorum, joined = self.quorum, len(self.joined)
        waived = [row for row in self.rows if row.waived is not None and row.waived > time.time()]
        if waived:
            names = ", ".join(row.name for row in waived)
            state = f"by a waiver {names} go on alone, each with a fraction of every limit"
        elif self.enough:
            state = "requests are acknowledged"
        else:
            state = "nothing is signed until more are back, or officers sign a waiver"
        return f"{joined} of {quorum.journals} have joined, {quorum.acknowledgements} must acknowledge: {state}"


def read(answer: Json, body: Body) -> Heads:
    """answer: the host's. Raises Refusal `malformed_message`, `no_witnesses`."""
    order = body.order.order
    quorum = require_witnesses(order)
    told = answer.get("journals")
    if not isinstance(told, list) or not all(isinstance(row, dict) for row in told):
        raise Refusal("malformed_message", "the host's answer has no list of journals")
    rows = {str(row.get("name")): row for row in told}
    return Heads(quorum, tuple(_head(name, rows.get(name) or {}, name not in order.names) for name in order.journals))


def _head(name: str, row: Json, witness: bool) -> Head:
    said = row.get("journal")
    if not isinstance(said, dict) or row.get("reachable") is not True:
        why = str(row.get("reason") or "has not opened its journal since its start")
        return Head(name, witness, None, False, 0, None, why)
    numbers = [said.get("incarnation"), said.get("entries")]
    if not all(isinstance(each, int) for each in numbers):
        raise Refusal("malformed_message", f"the host's answer about {name} has no numbers")
    presence = Presence(unhex(row, "boot"), int(said["incarnation"]), unhex(said, "digest"))
    waived = said.get("waived")
    until = waived if isinstance(waived, int) else None
    return Head(name, witness, presence, said.get("joined") is True, int(said["entries"]), until, "")


def waiver(heads: Heads, body: Body, seconds: int, without: Iterable[str] = ()) -> Waiver:
    """For whoever is there, but for those named `without`. Raises Refusal `waiver_refused`."""
    order, left = body.order.order, set(without)
    if unknown := left - set(order.journals):
        raise Refusal("waiver_refused", f"{', '.join(sorted(unknown))} keeps no journal of this wallet")
    if heads.enough and not left:
        raise Refusal("waiver_refused", "enough journals have joined: without a waiver limits are whole")
    present = {row.name: row.presence for row in heads.rows if row.presence is not None and row.name not in left}
    signers = [name for name in present if name in order.names]
    if len(signers) < order.threshold:
        reason = f"{len(signers)} of the signers are there, and {order.threshold} must sign: a waiver is of no use"
        raise Refusal("waiver_refused", reason)
    if not 0 < seconds <= MAX_WAIVER:
        raise Refusal("waiver_refused", f"a waiver lasts at most {MAX_WAIVER // 86400} days")
    divisor = len(order.names) - order.threshold + 1
    return Waiver(body.order.order_id, body.epoch, present, divisor, int(time.time()) + seconds)


def unsigned(made: Waiver) -> SignedWaiver:
    return SignedWaiver(made.encode(), made, ())


def sign(signed: SignedWaiver, keys: Iterable[Ed25519PrivateKey]) -> SignedWaiver:
    """With these signatures beside those that it has."""
    message = waiver_signing_bytes(signed.raw)
    added = {keyfiles.public(key): key.sign(message) for key in keys}
    return SignedWaiver(signed.raw, signed.waiver, tuple(sorted({**dict(signed.signatures), **added}.items())))


def changed(made: Waiver, heads: Heads) -> Sequence[str]:
    """The journals of which it is not true any more."""
    now = {row.name: row.presence for row in heads.rows}
    return [name for name, presence in made.present.items() if now.get(name) != presence]
