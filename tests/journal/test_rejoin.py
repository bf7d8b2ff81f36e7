"""Questions and answers between journals: pages, and what a peer may not say."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from strongroom.errors import Refusal
from strongroom.journal.acknowledgement import Acknowledgement
from strongroom.journal.journal import MAX_STEP
from strongroom.journal.quorum import Quorum
from strongroom.journal.rejoin import Answer, Noted, Question
from strongroom.policy.history import NO_HISTORY
from tests.journal.world import START, Ask, World, refused


def filled(world: World, name: str, numbers: range) -> None:
    for number in numbers:
        world.starts[name].journal.book.add(Ask(number, 1).candidate(START).entry(()))


def test_a_journal_that_lost_everything_is_told_everything_in_pages() -> None:
    world = World(4, 2)
    for name in "bcd":
        filled(world, name, range(5000))
    world.boot("a", 0)
    start, asked = world.starts["a"], 0
    while not start.journal.heard:
        answer, _ = world.starts["b"].journal.tell("a", start.journal.ask("b", world.random))
        assert len(answer) < 1 << 21
        start.journal.hear("b", answer, world.now)
        asked += 1
    # Its number was taken, so it proposes another; the newest; and five pages.
    assert asked == 1 + 1 + 5
    assert start.journal.book.digest() == world.starts["b"].journal.book.digest()
    assert world.join("a")


def test_both_learn_what_only_the_other_knew() -> None:
    world = World(4, 2)
    filled(world, "a", range(300))
    filled(world, "b", range(200, 700))
    assert world.exchange(world.starts["a"], "b") and world.exchange(world.starts["b"], "a")
    assert world.starts["a"].journal.book.digest() == world.starts["b"].journal.book.digest()
    assert len(world.starts["a"].journal.book) == 700


def test_one_question_is_enough_where_little_was_missed() -> None:
    world = World(4, 2)
    for name in "ab":
        filled(world, name, range(3000))
    world.reserve(world.starts["b"], Ask(9999))
    question = world.starts["a"].journal.ask("b", world.random)
    answer, block = world.starts["b"].journal.tell("a", question)
    assert block is None and len(answer) < 32_000
    assert world.starts["a"].journal.hear("b", answer, world.now)[0]


def test_what_comes_while_pages_are_told_is_not_missed_and_not_needed() -> None:
    world = World(4, 2)
    filled(world, "b", range(3000))
    asker, teller = world.starts["a"].journal, world.starts["b"].journal
    number, heard = 10_000, False
    while not heard:
        answer, _ = teller.tell("a", asker.ask("b", world.random))
        world.reserve(world.starts["b"], Ask(number))
        number += 1
        heard, _ = asker.hear("b", answer, world.now)
    assert len(asker.book) >= 3000


def test_a_peer_restarted_between_two_pages_is_asked_from_the_start() -> None:
    world = World(4, 2)
    filled(world, "b", range(3000))
    world.disks["b"] += world.starts["b"].journal.checkpoint()
    asker = world.starts["a"].journal
    for _ in range(2):
        answer, _ = world.starts["b"].journal.tell("a", asker.ask("b", world.random))
        assert asker.hear("b", answer, world.now)[0] is False
    world.boot("b", 3)
    answer, _ = world.starts["b"].journal.tell("a", asker.ask("b", world.random))
    assert asker.hear("b", answer, world.now) == (False, [])
    world.boot("b")
    assert world.exchange(world.starts["a"], "b")


@pytest.fixture
def told() -> tuple[World, Answer]:
    world = World(4, 2)
    world.boot("a")
    journal = world.starts["a"].journal
    answer, _ = world.starts["b"].journal.tell("a", journal.ask("b", world.random))
    return world, Answer.decode(answer)


def test_an_answer_is_taken_once_and_to_its_own_question(told: tuple[World, Answer]) -> None:
    world, answer = told
    journal = world.starts["a"].journal
    with refused("channel_link"):
        journal.hear("b", dataclasses.replace(answer, nonce=bytes(16)).encode(), world.now)
    with refused("channel_link"):
        journal.hear("c", answer.encode(), world.now)
    assert journal.hear("b", answer.encode(), world.now)[0]
    with refused("channel_link"):
        journal.hear("b", answer.encode(), world.now)


@pytest.mark.parametrize(
    "entry",
    [
        Ask(1).candidate(START + 31),
        Ask(1).candidate(START + 10**9),
        dataclasses.replace(Ask(1).candidate(START), expiry=START + 3 * 86_400),
    ],
)
def test_times_to_come(told: tuple[World, Answer], entry: object) -> None:
    """They would make a journal forget all that is older."""
    world, answer = told
    lie = dataclasses.replace(answer, entries=(entry.entry(()),))  # type: ignore[attr-defined]
    with refused("malformed_message") as caught:
        world.starts["a"].journal.hear("b", lie.encode(), world.now)
    assert caught.value.verdict == "accusation" and caught.value.culprits == ("b",)
    assert len(world.starts["a"].journal.book) == 0


def test_a_liar_cannot_exhaust_incarnations(told: tuple[World, Answer]) -> None:
    world, answer = told
    journal = world.starts["a"].journal
    for said in ({}, {"a": Noted(journal.number + MAX_STEP + 1, bytes(16))}):
        with refused("malformed_message"):
            journal.hear("b", dataclasses.replace(answer, noted=said).encode(), world.now)
        answer = dataclasses.replace(answer, nonce=Question.decode(journal.ask("b", world.random)).nonce)
    # Of a third journal, a number out of all proportion is not believed.
    lie = dataclasses.replace(answer, noted={**answer.noted, "c": Noted(1 << 60, bytes(16))})
    journal.hear("b", lie.encode(), world.now)
    assert journal.views()["c"] < 1 << 20


def test_a_stranger_and_oneself() -> None:
    world = World(4, 2)
    journal = world.starts["a"].journal
    question = journal.ask("b", world.random)
    for name in ("a", "z"):
        with refused("not_in_roster"):
            journal.ask(name, world.random)
        with refused("not_in_roster"):
            journal.tell(name, question)
        with refused("not_in_roster"):
            journal.hear(name, question, 0)


MESSAGES = [
    Question(bytes(16), bytes(16), 7, tuple(bytes(32) for _ in range(256)), 3, bytes(32)).encode(),
    Answer(
        bytes(16),
        True,
        Noted(1, bytes(16)),
        {"a": Noted(2, bytes(16))},
        {"evm:1/": 4},
        bytes(32),
        (Ask(1, 5, nonce=3).candidate(START).entry(Ask(1, 5).judge(START, None)(NO_HISTORY)),),
        False,
    ).encode(),
    Acknowledgement(bytes(16), bytes(32), bytes(32), 3, {"b": 4}).encode(),
]
READERS: list[Callable[[bytes], Any]] = [Question.decode, Answer.decode, Acknowledgement.decode]


@pytest.mark.parametrize("which", range(3))
def test_messages_are_read_strictly(which: int) -> None:
    raw, read = MESSAGES[which], READERS[which]
    assert read(raw).encode() == raw
    for cut in range(0, len(raw), max(len(raw) // 60, 1)):
        with pytest.raises(Refusal):
            read(raw[:cut])
    for position in range(0, len(raw), max(len(raw) // 200, 1)):
        changed = bytearray(raw)
        changed[position] ^= 0x41
        try:
            assert read(bytes(changed)).encode() == bytes(changed)
        except Refusal:
            pass
    for other in (each for each in MESSAGES if each is not raw):
        with pytest.raises(Refusal):
            read(other)


@pytest.mark.parametrize(
    ("journals", "threshold", "w", "r"),
    [(3, 2, 3, 2), (4, 2, 3, 3), (5, 2, 4, 3), (6, 2, 4, 4), (9, 5, 7, 7), (2, 2, 2, 1)],
)
def test_numbers(journals: int, threshold: int, w: int, r: int) -> None:
    quorum = Quorum(journals, threshold)
    assert (quorum.acknowledgements, quorum.heard) == (w, r)
    assert 2 * w - journals >= threshold
    assert quorum.enough(r, 0) and not quorum.enough(r - 1, 0)
    assert quorum.enough(0, journals - 1)


def test_numbers_that_cannot_be() -> None:
    for journals, threshold in ((1, 1), (3, 1), (2, 3), (17, 2)):
        with refused("bad_order"):
            Quorum(journals, threshold)
