"""The protocol against a host that carries what it likes, t - 1 journals corrupt: what holds, and where it ends."""

from __future__ import annotations

import dataclasses

import pytest

from strongroom.journal.acknowledgement import agreed
from tests.journal.world import LIMIT, Ask, World, refused

SIZES = [(3, 2), (4, 2), (5, 2), (6, 2), (5, 3), (6, 3), (7, 4), (9, 5)]


@pytest.mark.parametrize(("journals", "threshold"), SIZES)
def test_every_wallet_signs_with_w_up(journals: int, threshold: int) -> None:
    world = World(journals, threshold)
    wanted = world.quorum.acknowledgements
    assert len(world.pay(Ask(1, 10), world.names[:wanted])) == wanted
    assert len(world.pay(Ask(2, 10), world.names[-wanted:])) == wanted
    with refused("journal_quorum"):
        world.pay(Ask(3, 10), world.names[: wanted - 1])


def test_a_request_stands_for_one_intent_at_every_set() -> None:
    world = World(4, 2)
    world.pay(Ask(1, 10), ["a", "b", "c"])
    with refused("request_conflict"):
        world.pay(Ask(1, 10, version=1), ["d", "a", "b"])
    with refused("request_conflict"):
        world.pay(Ask(1, 10, version=1), ["d", "c", "b"])


def test_the_same_bytes_may_be_asked_for_again() -> None:
    world = World(4, 2)
    for _ in range(3):
        world.pay(Ask(1, LIMIT), ["a", "b", "c"])
        world.now += 60
    world.pay(Ask(1, LIMIT), ["d", "b", "c"])


def test_a_payment_that_is_signed_late_counts_from_then() -> None:
    """Reserved, kept back until its reservation would leave the window, and signed then: it counts anew."""
    world = World(4, 2)
    world.pay(Ask(1, LIMIT))
    world.now += 86_300
    world.pay(Ask(1, LIMIT))
    world.now += 86_300
    with refused("policy_limit"):
        world.pay(Ask(2, 1))


def test_four_thirds_of_a_limit() -> None:
    """Four payments of a third each, each acknowledged by another three of four: any two sets share two journals, and
    yet nobody counts more than three. So a limit wants equal sets."""
    world = World(4, 2)
    third = LIMIT // 3
    sets = [["a", "b", "c"], ["b", "c", "d"], ["c", "d", "a"], ["d", "a", "b"]]
    for number, names in enumerate(sets):
        ask = Ask(number, third)
        for name in names:
            world.reserve(world.starts[name], ask)
        own = world.starts[names[0]].reserved[ask]
        others = {name: world.starts[name].reserved[ask].own for name in names[1:]}
        # Without equal sets all four would be signed.
        assert len(agreed(names[0], own.own, others, 3, counted=False)) == 3
        if number:
            with refused("journal_behind"):
                world.sign(world.starts[names[0]], ask, others)
        else:
            world.sign(world.starts[names[0]], ask, others)
    # As an honest host does it: the fourth finds the limit spent wherever it asks.
    world.level()
    for names in sets:
        with refused("policy_limit"):
            world.pay(Ask(3, third), names)


def test_two_payments_at_once_that_fit_together_are_both_made() -> None:
    world = World(4, 2)
    one, other = Ask(1, 30), Ask(2, 40)
    world.reserve(world.starts["a"], one)
    world.reserve(world.starts["b"], other)
    world.pay(one, ["a", "b", "c"])
    world.pay(other, ["b", "c", "d"])
    assert world.spent() == 70


# --- Rolled back ---


@pytest.mark.parametrize(("journals", "threshold"), SIZES)
def test_w_minus_t_rolled_back_together_while_t_minus_1_lie(journals: int, threshold: int) -> None:
    """All of them on their first state, at once. They hear of what they forgot, whomever they are made to hear."""
    world = World(journals, threshold, corrupt=[chr(ord("a") + index) for index in range(threshold - 1)])
    ask, tolerated = Ask(1, LIMIT, nonce=5), world.quorum.tolerated
    knowing = world.honest[: world.quorum.acknowledgements - threshold + 1]
    before = {name: len(world.disks[name]) for name in knowing}
    world.pay(ask, knowing)
    for name in knowing[:tolerated]:
        world.boot(name, before[name])
    for name in knowing[:tolerated]:
        # The host shows those who help it first, and the one who knows last.
        world.join(name, [*world.corrupt, *knowing[:tolerated], *reversed(world.honest)])
    for name in knowing[:tolerated]:
        if world.starts[name].journal.joined:
            with refused("request_conflict"):
                world.reserve(world.starts[name], Ask(1, LIMIT, version=1))
            with refused("journal_conflict"):
                world.reserve(world.starts[name], Ask(2, nonce=5))
            with refused("policy_limit"):
                world.reserve(world.starts[name], Ask(3, 1))
    assert all(world.starts[name].journal.joined for name in knowing[:tolerated]), "w are up: all may join"


@pytest.mark.parametrize(("journals", "threshold"), SIZES)
def test_one_more_rolled_back_breaks_it(journals: int, threshold: int) -> None:
    """The counterexample, so that nobody believes more than holds: w - t + 1 forgot, t - 1 lie, nobody is left who
    knows. It is in docs/adr/0011."""
    world = World(journals, threshold, corrupt=[chr(ord("a") + index) for index in range(threshold - 1)])
    knowing = world.honest[: world.quorum.tolerated + 1]
    before = {name: len(world.disks[name]) for name in knowing}
    world.pay(Ask(1, LIMIT), knowing)
    for name in knowing:
        world.boot(name, before[name])
    for name in knowing:
        assert world.join(name)
    world.pay(Ask(1, LIMIT, version=1), world.honest)
    assert len(list(world.broken())) == 2


def test_all_rolled_back_with_nobody_corrupt_break_it_too() -> None:
    """A restart of all on one old state: noticed by nobody but who keeps a receipt."""
    world = World(4, 2)
    before = {name: len(world.disks[name]) for name in world.names}
    world.pay(Ask(1, LIMIT))
    for name in world.names:
        world.boot(name, before[name])
    world.join_all()
    world.pay(Ask(2, LIMIT))
    assert world.spent() == 2 * LIMIT


def test_more_than_tolerated_restarted_without_loss_join_again() -> None:
    """A loss of power: all start on what they had."""
    world = World(4, 2)
    world.pay(Ask(1, LIMIT))
    for name in world.names:
        world.boot(name)
    world.join_all()
    with refused("policy_limit"):
        world.pay(Ask(2, 1))
    world.pay(Ask(1, LIMIT))


@pytest.mark.parametrize(("journals", "threshold"), SIZES)
def test_joining_that_was_begun_everywhere_and_broken_off_ends_well(journals: int, threshold: int) -> None:
    """Each of them proposed a start to some, and heard too few: nobody takes another's proposal for a later start."""
    world = World(journals, threshold)
    for name in world.names:
        world.boot(name)
    for name in world.names:
        for peer in world.names[:2]:
            if peer != name:
                world.exchange(world.starts[name], peer)
    world.join_all()
    world.pay(Ask(1, 10))


def test_a_restarted_journal_that_heard_too_few_acknowledges_nothing() -> None:
    world = World(6, 2)
    world.boot("a")
    assert not world.join("a", ["b", "c", "d"])
    with refused("not_joined"):
        world.reserve(world.starts["a"], Ask(1, 1))
    assert world.join("a", ["e"])
    world.reserve(world.starts["a"], Ask(1, 1))


def test_those_who_have_not_joined_count_for_less() -> None:
    """What they tell may be as old as what the asker lost."""
    world = World(6, 2)
    world.boot("a")
    world.boot("b")
    assert world.quorum.heard == 4
    assert not world.join("a", ["b", "c", "d", "e"])
    assert world.join("a", ["f"])
    assert world.join("b", ["a", "c", "d", "e"])


# --- Copies ---


def test_a_copy_of_a_sealed_state_takes_over_and_the_first_start_is_not_believed() -> None:
    world = World(4, 2)
    first = world.starts["a"]
    second = world.boot("a", copy=True)
    assert world.join("a")
    assert second.journal.incarnation > first.journal.incarnation
    ask = Ask(1, 10)
    for start in (first, second, world.starts["b"], world.starts["c"]):
        world.reserve(start, ask)
    with refused("journal_superseded") as caught:
        world.sign(world.starts["b"], ask, {"a": first.reserved[ask].own, "c": world.starts["c"].reserved[ask].own})
    assert caught.value.culprits == ("a",)
    world.sign(world.starts["b"], ask, {"a": second.reserved[ask].own, "c": world.starts["c"].reserved[ask].own})


def test_one_number_is_taken_by_one_start() -> None:
    """Two copies that propose the same: each journal notes one of them, and the other proposes a higher one."""
    world = World(4, 2)
    blocks = list(world.disks["a"])
    second = world.boot("a")
    world.disks["a"] = blocks
    third = world.boot("a", copy=True)
    world.exchange(second, "b")
    world.exchange(third, "c")
    for peer in ("c", "d", "b"):
        world.exchange(second, peer)
    for peer in ("d", "b", "c"):
        world.exchange(third, peer)
    numbers = [each.journal.incarnation for each in (second, third) if each.journal.joined]
    assert len(numbers) == len(set(numbers)) > 0


def test_a_start_that_learns_of_a_later_one_steps_down_and_may_join_anew() -> None:
    world = World(4, 2)
    first = world.starts["a"]
    world.boot("a", copy=True)
    world.join("a")
    question = first.journal.ask("b", world.random)
    answer, _ = world.starts["b"].journal.tell("a", question)
    assert first.journal.hear("b", answer, world.now) == (False, [])
    assert not first.journal.joined
    with refused("not_joined"):
        world.reserve(first, Ask(1, 1))


def test_an_old_acknowledgement_is_worth_nothing_once_its_journal_forgot_it() -> None:
    """b acknowledges, is rolled back and joins without having heard of it; its old word is in the host's hands."""
    world = World(4, 2, corrupt=["a"])
    ask, other = Ask(1, LIMIT), Ask(1, LIMIT, version=1)
    before = len(world.disks["b"])
    old = world.reserve(world.starts["b"], ask).own
    world.boot("b", before)
    assert world.join("b")
    world.reserve(world.starts["c"], ask)
    with refused("journal_superseded") as caught:
        world.sign(world.starts["c"], ask, {"b": old})
    assert caught.value.culprits == ("b",)
    # Nor may b, which forgot, make it possible for the other one.
    world.reserve(world.starts["b"], other)
    with refused("journal_quorum"):
        world.sign(world.starts["b"], other, {})


def test_a_liar_who_raises_others_numbers_is_left_out() -> None:
    world = World(5, 2)
    ask = Ask(1, 10)
    for name in world.names:
        world.reserve(world.starts[name], ask)
    own = {name: world.starts[name].reserved[ask].own for name in world.names}
    own["e"] = dataclasses.replace(own["e"], views=dict.fromkeys(world.names, 1 << 50))
    signer = own.pop("a")
    assert world.starts["a"].reserved[ask].own == signer
    assert world.sign(world.starts["a"], ask, own) == ("a", "b", "c", "d")


# --- Replacing ---


def test_a_replacement_counts_once_and_both_are_remembered() -> None:
    world = World(4, 2)
    world.pay(Ask(1, 60, nonce=3))
    with refused("journal_conflict"):
        world.pay(Ask(2, 60, nonce=3, fee=2))
    with refused("journal_conflict"):
        world.pay(Ask(3, 60, nonce=3, fee=1, replaces=1))
    with refused("journal_conflict"):
        world.pay(Ask(4, 61, nonce=3, fee=2, replaces=1))
    world.pay(Ask(5, 60, nonce=3, fee=2, replaces=1))
    assert len(world.starts["a"].journal.book) == 2
    world.signed.clear()
    world.pay(Ask(6, 30, nonce=4))
    with refused("policy_limit"):
        world.pay(Ask(7, 1, nonce=5))


def test_a_cancel_leaves_what_it_cancels_counted() -> None:
    """Either of them may be what the chain takes."""
    world = World(4, 2)
    world.pay(Ask(1, 60, nonce=3))
    world.pay(Ask(2, 0, nonce=3, fee=2, replaces=1))
    with refused("policy_limit"):
        world.pay(Ask(3, 40, nonce=4))
    world.pay(Ask(4, 30, nonce=4))


def test_both_sides_of_a_race_for_a_nonce_are_stuck_until_one_replaces_them() -> None:
    """Reserved at two halves, neither can have w. Nobody can know that: neither is ever released. A cancel passes."""
    world = World(4, 2)
    one, other = Ask(1, 10, nonce=3), Ask(2, 20, nonce=3)
    for name, ask in (("a", one), ("b", one), ("c", other), ("d", other)):
        world.reserve(world.starts[name], ask)
    world.level()
    for ask in (one, other):
        with refused("journal_conflict"):
            world.pay(ask)
    world.pay(Ask(3, 0, nonce=3, fee=2, replaces=1))


def test_a_nonce_beyond_the_next() -> None:
    world = World(4, 2)
    world.pay(Ask(1, 1, nonce=7))
    with refused("nonce_gap"):
        world.pay(Ask(2, 1, nonce=9))
    world.pay(Ask(3, 1, nonce=8))
    world.pay(Ask(4, 1, nonce=9))
