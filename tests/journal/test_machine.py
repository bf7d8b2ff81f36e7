"""A host that does what it likes, step by step, for as long as hypothesis finds something to try.

At most w - t honest journals at a time are rolled back, and not yet joined again, or have an older copy that still
runs. Where N + t is odd, a copy counts for all of them: docs/adr/0011 says why.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from strongroom.errors import Refusal
from strongroom.journal.acknowledgement import Acknowledgement
from tests.journal.world import LIMIT, Ask, Start, World

EXAMPLES = int(os.environ.get("STRONGROOM_EXAMPLES", "12"))
"""Of each size; CI runs few, a longer search is a matter of patience."""

ASKS = [
    *(Ask(number, LIMIT // 3 + 1, nonce=3) for number in (1, 2)),
    *(Ask(1, LIMIT // 3 + 1, version, nonce=3) for version in (1, 2)),
    *(Ask(number, LIMIT // 3) for number in (3, 4, 5, 6)),
]


class Machine(RuleBasedStateMachine):
    size: tuple[int, int] = (4, 2)

    @initialize()
    def begin(self) -> None:
        journals, threshold = self.size
        names = [chr(ord("a") + index) for index in range(journals)]
        self.world = World(journals, threshold, corrupt=names[: threshold - 1])
        self.words: dict[tuple[Ask, str], list[Acknowledgement]] = {}
        """Everything that was ever acknowledged: the host keeps it, and shows it when it likes."""

    def start(self, pick: int) -> Start:
        world = self.world
        starts = [*(world.starts[name] for name in world.honest), *world.copies]
        return starts[pick % len(starts)]

    def troubled(self) -> int:
        world = self.world
        lost = sum(start.rolled_back and not start.journal.joined for start in world.starts.values())
        return lost + len({copy.journal.name for copy in world.copies})

    @rule(pick=st.integers(0, 20), ask=st.sampled_from(ASKS))
    def reserve(self, pick: int, ask: Ask) -> None:
        start = self.start(pick)
        try:
            reserved = self.world.reserve(start, ask)
        except Refusal:
            return
        self.words.setdefault((ask, start.journal.name), []).append(reserved.own)

    @rule(ask=st.sampled_from(ASKS), picks=st.permutations(range(6)))
    def reserve_widely(self, ask: Ask, picks: list[int]) -> None:
        for pick in picks[: self.world.quorum.acknowledgements]:
            self.reserve(pick, ask)

    @rule(pick=st.integers(0, 20), ask=st.sampled_from(ASKS), data=st.data())
    def sign(self, pick: int, ask: Ask, data: Any) -> None:
        signer = self.start(pick)
        if ask not in signer.reserved:
            return
        shown = {
            name: data.draw(st.sampled_from(self.words[ask, name]))
            for name in self.world.honest
            if name != signer.journal.name and (ask, name) in self.words
        }
        try:
            self.world.sign(signer, ask, shown)
        except Refusal:
            return

    @rule(pick=st.integers(0, 20), peers=st.permutations(range(9)), teller=st.integers(0, 20))
    def carry(self, pick: int, peers: list[int], teller: int) -> None:
        """Questions and answers, also with old copies, until a liar ends it."""
        world, asker = self.world, self.start(pick)
        for number in peers:
            peer = world.names[number % len(world.names)]
            told = self.start(teller)
            if peer != asker.journal.name:
                try:
                    world.exchange(asker, peer, told if told.journal.name == peer else None)
                except Refusal:
                    return

    @rule(name=st.integers(0, 20), lost=st.integers(0, 12), copy=st.booleans())
    def restart(self, name: int, lost: int, copy: bool) -> None:
        world = self.world
        chosen = world.honest[name % len(world.honest)]
        journals, threshold = self.size
        bad = self.troubled() + (copy or (lost > 0 and not self.lost(chosen)))
        alone = (journals + threshold) % 2 == 1 and (copy or world.copies)
        if (lost or copy) and (bad > world.quorum.tolerated or (alone and bad > 1)):
            return
        blocks = world.disks[chosen]
        rolled_back = self.lost(chosen)
        start = world.boot(chosen, max(len(blocks) - lost, 0), copy=copy)
        start.rolled_back |= rolled_back

    def lost(self, name: str) -> bool:
        start = self.world.starts[name]
        return start.rolled_back and not start.journal.joined

    @rule()
    def end_copies(self) -> None:
        self.world.copies.clear()

    @rule(seconds=st.integers(1, 20))
    def wait(self, seconds: int) -> None:
        self.world.now += seconds

    @invariant()
    def nothing_is_signed_twice_and_the_limit_holds(self) -> None:
        if hasattr(self, "world"):
            assert list(self.world.broken()) == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("size", [(4, 2), (5, 2), (6, 2), (5, 3)])
def test_whatever_the_host_does(size: tuple[int, int]) -> None:
    class Sized(Machine):
        pass

    Sized.size = size
    run_state_machine_as_test(
        Sized,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
