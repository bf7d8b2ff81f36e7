"""Past requests judged by a policy that is not in force: what would have gone differently under it."""

from __future__ import annotations

import dataclasses
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from strongroom.chains.effects import Effects
from strongroom.errors import Refusal
from strongroom.policy.decide import Circumstances, Decision, decide
from strongroom.policy.document import Policy
from strongroom.policy.history import Spend
from strongroom.policy.lists import Proof


@dataclass(frozen=True)
class Past:
    """at: Unix seconds at which it was judged. refused: the code that it was refused with; None where it was signed."""

    request: bytes
    at: int
    requester: bytes
    effects: Effects
    refused: str | None = None


@dataclass(frozen=True)
class Replayed:
    """decision: what the policy would have said yes with; refusal: or no."""

    past: Past
    decision: Decision | None
    refusal: Refusal | None

    @property
    def differs(self) -> bool:
        return (self.past.refused is None) == (self.decision is None)


@dataclass
class Ledger:
    """A history that grows as requests are replayed, oldest first."""

    _times: list[int] = field(default_factory=list)
    _spends: list[Spend] = field(default_factory=list)

    def add(self, at: int, spends: Iterable[Spend]) -> None:
        for spend in spends:
            self._times.append(at)
            self._spends.append(spend)

    def spent(self, asset: str | None, rule: str | None, to: str | None, since: int) -> tuple[int, int]:
        found = [
            spend.amount
            for spend in self._spends[bisect_left(self._times, since) :]
            if asset in (None, spend.asset) and rule in (None, spend.rule) and to in (None, spend.to)
        ]
        return sum(found), len(found)


def replay(policy: Policy, requests: Iterable[Past], proofs: Sequence[Proof] = ()) -> list[Replayed]:
    """As if the policy had been in force all the time: lease, expiry, freeze and sources are left out."""
    timeless = dataclasses.replace(policy.anywhere(), issued=0, expires=None, frozen=False)
    ledger = Ledger()
    found: list[Replayed] = []
    for past in sorted(requests, key=lambda each: each.at):
        try:
            policy.require_requester(past.requester)
            circumstances = Circumstances(past.at, renewed=past.at + 1, proofs=proofs)
            decision = decide(timeless, past.effects, circumstances, ledger)
        except Refusal as refusal:
            found.append(Replayed(past, None, refusal))
            continue
        ledger.add(past.at, decision.spends)
        found.append(Replayed(past, decision, None))
    return found
