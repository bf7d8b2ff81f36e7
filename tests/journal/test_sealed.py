"""The journal at rest: what the host can do with the blocks that it keeps, and what it cannot."""

from __future__ import annotations

import pytest

from strongroom.errors import Refusal
from strongroom.journal.book import MAX_ACCOUNTS, MAX_NAME
from strongroom.journal.journal import Journal
from strongroom.journal.quorum import Quorum
from strongroom.journal.rejoin import PAGE
from strongroom.journal.sealed import MAX_BLOCK, Chain, Place
from tests.journal.world import KEY, START, Ask, World, refused


def blank(world: World, name: str = "a", *, key: bytes = KEY, order: bytes = bytes(32), epoch: int = 1) -> Journal:
    chain = Chain(key, Place(name, order, epoch), world.random)
    return Journal(name, world.names, Quorum(4, 2), chain, world.random(16))


@pytest.fixture
def world() -> World:
    world = World(4, 2)
    for number in range(5):
        world.pay(Ask(number, 1, nonce=number))
    return world


def test_all_of_it_comes_back(world: World) -> None:
    before = world.starts["a"].journal
    after = blank(world)
    after.load(world.disks["a"])
    assert after.book.digest() == before.book.digest()
    assert (after.incarnation, after.views()) == (before.incarnation, before.views())
    assert (after.chain.sequence, after.chain.head) == (before.chain.sequence, before.chain.head)
    assert not after.joined


def test_half_of_it_comes_back_as_half(world: World) -> None:
    after = blank(world)
    after.load(world.disks["a"][:-2])
    assert len(after.book) == 3


@pytest.mark.parametrize("place", [0, 3, -1])
def test_one_bit_of_a_block(world: World, place: int) -> None:
    raw = world.disks["a"][place]
    for position in range(0, len(raw), max(len(raw) // 40, 1)):
        forged = bytearray(raw)
        forged[position] ^= 4
        blocks = list(world.disks["a"])
        blocks[place] = bytes(forged)
        with pytest.raises(Refusal) as caught:
            blank(world).load(blocks)
        assert caught.value.code in ("sealed_mismatch", "malformed_cbor", "malformed_message")


def test_blocks_left_out_swapped_or_repeated(world: World) -> None:
    blocks = world.disks["a"]
    last = len(blocks) - 1
    for changed in (
        [*blocks[:2], *blocks[3:]],
        [*blocks[:2], blocks[3], blocks[2], *blocks[4:]],
        [*blocks[:3], blocks[2], *blocks[3:]],
        [*blocks[:last], world.disks["b"][-1]],
        blocks[1:],
    ):
        with refused("sealed_mismatch"):
            blank(world).load(changed)


def test_blocks_of_another_journal_wallet_or_epoch(world: World) -> None:
    for other in (blank(world, "b"), blank(world, order=bytes([1]) * 32), blank(world, epoch=2)):
        with refused("sealed_mismatch"):
            other.load(world.disks["a"])
    with refused("sealed_mismatch"):
        blank(world, key=bytes([1]) * 32).load(world.disks["a"])


def test_a_joined_journal_is_not_loaded_over(world: World) -> None:
    with refused("wrong_phase"):
        world.starts["a"].journal.load(world.disks["a"])
    asking = blank(world)
    asking.ask("b", world.random)
    with refused("wrong_phase"):
        asking.load(world.disks["a"])


def test_a_checkpoint_takes_the_place_of_what_was_before() -> None:
    world = World(4, 2)
    journal = world.starts["a"].journal
    for number in range(PAGE + 500):
        journal.book.add(Ask(number, 1, nonce=7).candidate(START).entry(()))
    journal.book.lift({"evm:1/": 6})
    blocks = journal.checkpoint()
    assert len(blocks) == 2
    world.reserve(world.starts["a"], Ask(10_000))
    after = blank(world)
    after.load([*blocks, world.disks["a"][-1]])
    assert after.book.digest() == journal.book.digest()
    assert after.book.floors == {"evm:1/": 6}
    assert (after.incarnation, after.views()) == (journal.incarnation, journal.views())
    # After older blocks, as it lay; not before them, and not from its middle.
    whole = blank(world)
    whole.load([*world.disks["a"][:-1], *blocks, world.disks["a"][-1]])
    assert whole.book.digest() == journal.book.digest()
    with refused("sealed_mismatch"):
        blank(world).load([*blocks, world.disks["a"][0]])
    with refused("sealed_mismatch"):
        blank(world).load(blocks[1:])


def test_a_checkpoint_of_nothing() -> None:
    world = World(4, 2)
    after = blank(world)
    after.load(world.starts["a"].journal.checkpoint())
    assert after.incarnation == world.starts["a"].journal.incarnation


def test_names_of_accounts_that_would_fit_no_block(world: World) -> None:
    """A corrupt journal tells of few, with names as long as a message: they would never be loaded or told again."""
    journal = world.starts["a"].journal
    for told in ({"a" * (MAX_NAME + 1): 1}, {"a" * (1 << 20): 1}):
        with refused("malformed_message"):
            journal.book.lift(told)
    journal.book.lift(dict.fromkeys((f"{number:{MAX_NAME}}" for number in range(2 * MAX_ACCOUNTS - 1)), (1 << 64) - 1))
    blocks = journal.checkpoint()
    assert all(len(block) < MAX_BLOCK for block in blocks)
    blank(world).load(blocks)
