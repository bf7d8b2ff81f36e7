"""Past requests judged by a policy that is not in force: what would have gone differently under it."""

from __future__ import annotations

import dataclasses
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from strongroom.chains.effects import Effects
from strongroom.errors import Refusal
from strongroom.journal.entry import Candidate, Entry
from strongroom.policy.decide import Circumstances, Decision, decide
from strongroom.policy.document import Policy
from strongroom.policy.lists import Proof


@dataclass(frozen=True)
class Past:
    """at: Unix seconds at which it was judged. refused: the code that it was refused with; None where it was signed.

    replaces: the request whose place it was to take. path: of the key that was to sign.
    """

    request: bytes
    at: int
    requester: bytes
    effects: Effects
    refused: str | None = None
    replaces: bytes | None = None
    path: tuple[int, ...] = ()


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
    """What was allowed so far, oldest first, each once: what took another one's place is counted in it, as a journal
    counts (`strongroom.journal.book`)."""

    _times: list[int] = field(default_factory=list)
    _entries: list[Entry] = field(default_factory=list)

    def add(self, entry: Entry, instead_of: Sequence[Entry] = ()) -> None:
        for other in instead_of:
            place = self._entries.index(other)
            del self._times[place], self._entries[place]
        self._times.append(entry.at)
        self._entries.append(entry)

    def replaced_by(self, draft: Entry) -> list[Entry]:
        """Those that use up the same as this one, which says that it is to take their place."""
        once = set(draft.once)
        return [other for other in self._entries if once & set(other.once) and draft.supersedes(other)]

    def since(self, at: int) -> Sequence[Entry]:
        return self._entries[bisect_left(self._times, at) :]


@dataclass(frozen=True)
class _Without:
    """A ledger as the policy asks for it (`strongroom.policy.history.History`), some entries left out."""

    ledger: Ledger
    left_out: Sequence[Entry]

    def spent(self, asset: str | None, rule: str | None, to: str | None, since: int) -> tuple[int, int]:
        found = [
            spend.amount
            for entry in self.ledger.since(since)
            if entry not in self.left_out
            for spend in entry.spends
            if asset in (None, spend.asset) and rule in (None, spend.rule) and to in (None, spend.to)
        ]
        return sum(found), len(found)


Prove = Callable[[Effects], Sequence[Proof]]


def _nothing(_effects: Effects) -> Sequence[Proof]:
    return ()


def replay(policy: Policy, requests: Iterable[Past], prove: Prove = _nothing) -> list[Replayed]:
    """As if the policy had been in force all the time: lease, expiry, freeze and sources are left out. prove: gives the
    proofs that would have come with such a request, for lists that the policy has as a root."""
    timeless = dataclasses.replace(policy.anywhere(), issued=0, expires=None, frozen=False)
    ledger = Ledger()
    found: list[Replayed] = []
    for past in sorted(requests, key=lambda each: each.at):
        try:
            policy.require_requester(past.requester)
            found.append(Replayed(past, _decide(timeless, past, ledger, prove(past.effects)), None))
        except Refusal as refusal:
            found.append(Replayed(past, None, refusal))
    return found


def _decide(policy: Policy, past: Past, ledger: Ledger, proofs: Sequence[Proof]) -> Decision:
    """Takes note of what is allowed. A replacement is judged without what it replaces, which would be counted twice;
    and once more with it, if it turns out to spend something else."""
    circumstances = Circumstances(past.at, renewed=past.at + 1, proofs=proofs, replaces=past.replaces is not None)
    candidate = Candidate(past.request, bytes(32), past.at, past.at, past.effects, past.replaces, past.path)
    replaced = ledger.replaced_by(candidate.entry(()))
    decision = decide(policy, past.effects, circumstances, _Without(ledger, replaced))
    entry = candidate.entry(decision.spends)
    instead_of = [other for other in replaced if entry.counts_for(other)]
    if len(instead_of) < len(replaced):
        decision = decide(policy, past.effects, circumstances, _Without(ledger, instead_of))
    ledger.add(entry, instead_of)
    return decision
