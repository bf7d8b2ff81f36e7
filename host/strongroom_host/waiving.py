"""A wallet's journals as they are now, and officers' waivers carried to those whom they name. Decides nothing.

What is shown is the host's word. A waiver that rests on a lie is refused by the journal that it is untrue of.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, cast

from strongroom.errors import Refusal
from strongroom.intent.replacing import require_witnesses
from strongroom.journal.waiver import SignedWaiver
from strongroom.wire.fields import Fields, bytes_item
from strongroom_host.relay.relay import Group
from strongroom_host.relays import Relays
from strongroom_host.storage.waivers import Waivers

TIMEOUT: Final = 5.0
LOOKED: Final = 1.0
"""Seconds for which what was found in the database is taken for true."""


@dataclass(frozen=True)
class Carried:
    """acknowledged: who took the waiver. refusals: by journal."""

    acknowledged: tuple[str, ...]
    refusals: Mapping[str, Refusal]

    def json(self) -> dict[str, Any]:
        refusals = [
            {"signer": name, "code": refusal.code, "detail": refusal.reason} for name, refusal in self.refusals.items()
        ]
        return {"acknowledged": list(self.acknowledged), "refusals": refusals}


class Waiving:
    """Thread safe. Raises Refusal `no_witnesses` for a wallet without journals."""

    def __init__(self, relays: Relays, waivers: Waivers) -> None:
        self._relays = relays
        self._waivers = waivers
        self._looked: dict[bytes, tuple[float, SignedWaiver | None]] = {}

    def waived(self, order: bytes) -> tuple[str, ...]:
        """The journals that a waiver in force names; none where there is none. order: its id. Another process's waiver
        is seen a second later: every request asks."""
        at, signed = self._looked.get(order, (0.0, None))
        if time.monotonic() - at > LOOKED:
            signed = self._waivers.latest(order)
            self._looked[order] = time.monotonic(), signed
        return () if signed is None or signed.waiver.expiry <= time.time() else signed.waiver.names

    def journals(self, group: Group) -> dict[str, Any]:
        """Each journal, asked now, and how many of them must agree."""
        quorum, signed = require_witnesses(group.signed.order), self._waivers.latest(group.order)
        answers = self._relays.of(group.order).signers.ask([(name, "status", {}) for name in group.journals], TIMEOUT)
        rows = [_row(group, name, answer) for name, answer in zip(group.journals, answers, strict=True)]
        in_force = signed is not None and signed.waiver.expiry > time.time()
        return {
            "journals": rows,
            "threshold": quorum.threshold,
            "acknowledgements": quorum.acknowledgements,
            "heard": quorum.heard,
            "waiver": {"names": _named(group, signed), "expiry": signed.waiver.expiry}
            if signed is not None and in_force
            else None,
        }

    def bring_up(self, group: Group) -> dict[str, Any]:
        """Whoever answers is given its wallet and journal, joins if it can, and hears the others that answer."""
        require_witnesses(group.signed.order)
        there = [row["name"] for row in self.journals(group)["journals"] if row["reachable"]]
        keeper = self._relays.of(group.order).keeper
        for name in there:
            with suppress(Refusal):
                keeper.join(group, name, there)
        for _ in range(2):
            # What the last one told the first one is news to the second.
            for name in there:
                for peer in there:
                    if peer != name:
                        with suppress(Refusal):
                            keeper.exchange(group, name, peer)
        return self.journals(group)

    def waive(self, group: Group, signed: SignedWaiver) -> Carried:
        """To all whom it names. It is remembered, so that requests go to them alone, where one of them took it."""
        require_witnesses(group.signed.order)
        taken: list[str] = []
        refusals: dict[str, Refusal] = {}
        body = {"wallet": group.wallet or b"", "waiver": signed.encode()}
        names = _named(group, signed)
        for name, answer in zip(
            names,
            self._relays.of(group.order).signers.ask([(name, "journal.waive", dict(body)) for name in names], TIMEOUT),
            strict=True,
        ):
            if isinstance(answer, Refusal):
                refusals[name] = answer
            else:
                taken.append(name)
                self._relays.of(group.order).keeper.keep(group, [(name, answer.items("blocks", bytes_item))])
        if taken:
            self._waivers.keep(group.order, signed)
            self._looked.pop(group.order, None)
        return Carried(tuple(taken), refusals)


def _named(group: Group, signed: SignedWaiver) -> list[str]:
    """In the order's order."""
    return [name for name in group.journals if name in signed.waiver.names]


def _row(group: Group, name: str, answer: Fields | Refusal) -> dict[str, Any]:
    """What a journal says of itself; null where it says nothing, or has not opened its journal since its start."""
    row: dict[str, Any] = {
        "name": name,
        "role": "signer" if name in group.names else "witness",
        "reachable": not isinstance(answer, Refusal),
        "reason": answer.reason if isinstance(answer, Refusal) else None,
        "boot": None,
        "journal": None,
    }
    if not isinstance(answer, Refusal):
        row["boot"] = answer.blob("boot").hex()
        wallets = cast(list[dict[str, Any]], answer.raw("wallets"))
        known = next((each["journal"] for each in wallets if each["order"] == group.order), None)
        row["journal"] = None if known is None else {**known, "digest": known["digest"].hex()}
    return row
