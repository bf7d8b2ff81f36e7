"""Which signers to ask next: the first set of the quorum that nothing speaks against."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

from strongroom.errors import Refusal
from strongroom_host.relay.relay import MENDABLE

POLICY_KINDS = frozenset({"refused", "malformed", "conflict"})


class Candidates:
    """What was learned within one request. out: signers not asked again; cut: pairs kept apart; tried: sets that failed
    without anybody to blame."""

    def __init__(
        self, names: Sequence[str], threshold: int, preferred: tuple[str, ...] | None, late: Callable[[str], bool]
    ) -> None:
        self._names = names
        self._threshold = threshold
        self._preferred = preferred
        self._late = late
        self._out: set[str] = set()
        self._cut: set[frozenset[str]] = set()
        self._tried: set[tuple[str, ...]] = set()

    def next(self) -> tuple[str, ...] | None:
        """In roster order; signers that were out of reach a moment ago come last. None when no set is left."""
        if self._preferred is not None and self._allowed(self._preferred):
            return self._preferred
        left = [name for name in self._names if name not in self._out]
        left.sort(key=self._late)
        for chosen in combinations(left, self._threshold):
            ordered = tuple(name for name in self._names if name in chosen)
            if self._allowed(ordered):
                return ordered
        return None

    def _allowed(self, names: tuple[str, ...]) -> bool:
        if names in self._tried or not self._out.isdisjoint(names):
            return False
        return not any(pair <= frozenset(names) for pair in self._cut)

    def exclude(self, name: str) -> None:
        self._out.add(name)

    def learn(self, tried: tuple[str, ...], refusals: Mapping[str, Refusal]) -> None:
        """Whoever is silent, broken or unwilling is not asked again. One signer's word about another only cuts the
        pair: an accuser may lie. A fault that blames nobody in this set rules out the set."""
        progress = False
        for name, refusal in refusals.items():
            if refusal.code in MENDABLE:
                continue  # It would have been mended, had nothing else stood in the way: a restarted signer, mostly.
            peers = [peer for peer in refusal.culprits if peer in tried and peer != name]
            if refusal.kind == "fault" or refusal.code == "pair_banned":
                self._cut.update(frozenset((name, peer)) for peer in peers)
                progress |= bool(peers)
            else:
                self._out.add(name)
                progress = True
        if not progress:
            self._tried.add(tried)
