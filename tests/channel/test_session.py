"""Sealed messages: they open for what they were sealed for, once per counter, and for nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from strongroom.channel.session import OVERHEAD, Binding, Channel, route
from tests.channel.pair import Pair
from tests.wire.refused import refused

CEREMONY, ORDER = b"\1" * 32, b"\2" * 32
PREFIX = Binding(CEREMONY, ORDER, 1).prefix()
HERE = PREFIX + route(1, "a", "b")


@pytest.fixture(scope="module")
def ends() -> tuple[Channel, Channel]:
    return Pair().run()


def test_additional_data_is_as_the_specification_says() -> None:
    assert Binding(CEREMONY, ORDER, 1).prefix() == b"strongroom/message/v1" + CEREMONY + ORDER + bytes(7) + b"\1"
    assert route(3, "alba", "b") == b"\3\4alba\1b"
    assert route(1, "ab", "c") != route(1, "a", "bc")


def test_a_message_opens_at_the_other_end(ends: tuple[Channel, Channel]) -> None:
    a, b = ends
    for plaintext in (b"", b"text", bytes(1 << 20)):
        sealed = a.seal(HERE, plaintext)
        assert len(sealed) == len(plaintext) + OVERHEAD
        assert b.open(HERE, sealed) == plaintext
    assert b"text" not in a.seal(HERE, b"text")


def test_every_changed_bit_is_a_fault_of_the_link(ends: tuple[Channel, Channel]) -> None:
    """The identifier alone is not sealed: it says which channel, and another channel's key opens nothing."""
    a, b = ends
    sealed = a.seal(HERE, b"text")
    for place in range(16, len(sealed)):
        for bit in range(8):
            body = bytearray(sealed)
            body[place] ^= 1 << bit
            refusal = refused("channel_link", b.open, HERE, bytes(body))
            assert (refusal.verdict, refusal.culprits) == ("link", ())


def test_a_cut_or_lengthened_message_is_a_fault_of_the_link(ends: tuple[Channel, Channel]) -> None:
    a, b = ends
    sealed = a.seal(HERE, b"text")
    for length in range(len(sealed)):
        refused("channel_link", b.open, HERE, sealed[:length])
    refused("channel_link", b.open, HERE, sealed + b"\0")


@pytest.mark.parametrize(
    "elsewhere",
    [
        Binding(b"\3" * 32, ORDER, 1).prefix() + route(1, "a", "b"),
        Binding(CEREMONY, b"\3" * 32, 1).prefix() + route(1, "a", "b"),
        Binding(CEREMONY, ORDER, 2).prefix() + route(1, "a", "b"),
        PREFIX + route(2, "a", "b"),
        PREFIX + route(1, "b", "a"),
        PREFIX + route(1, "c", "b"),
        PREFIX + route(1, "a", "c"),
        b"",
    ],
    ids=["ceremony", "order", "epoch", "round", "reversed", "sender", "recipient", "nothing"],
)
def test_a_message_belongs_where_it_was_sealed_for(ends: tuple[Channel, Channel], elsewhere: bytes) -> None:
    a, b = ends
    refused("channel_link", b.open, elsewhere, a.seal(HERE, b"text"))
    refused("channel_link", b.open, HERE, a.seal(elsewhere, b"text"))


def test_a_message_does_not_open_for_its_sender_or_over_another_channel(ends: tuple[Channel, Channel]) -> None:
    a, _ = ends
    other = Pair().run()
    sealed = a.seal(HERE, b"text")
    refused("channel_link", a.open, HERE, sealed)
    refused("channel_link", other[1].open, HERE, sealed)
    refused("channel_link", other[1].open, HERE, other[0].identifier + sealed[16:])


def test_messages_may_overtake_each_other(ends: tuple[Channel, Channel]) -> None:
    a, b = ends
    first, second = a.seal(HERE, b"1"), a.seal(HERE, b"2")
    assert (b.open(HERE, second), b.open(HERE, first)) == (b"2", b"1")


def in_threads(count: int, work: Callable[[], None]) -> None:
    barrier = threading.Barrier(count)

    def begin() -> None:
        barrier.wait()
        work()

    threads = [threading.Thread(target=begin) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_no_counter_is_drawn_twice_by_many_threads() -> None:
    """A repeated nonce of AES-GCM gives away the key stream and the authentication key."""
    a, _ = Pair().run()
    sealed: list[bytes] = []
    in_threads(8, lambda: sealed.extend([a.seal(HERE, b"") for _ in range(500)]))
    counters = sorted(int.from_bytes(each[16:24], "big") for each in sealed)
    assert counters == list(range(8 * 500))


def test_both_directions_count_for_themselves() -> None:
    a, b = Pair().run()
    mine, theirs = a.seal(HERE, b"text"), b.seal(HERE, b"text")
    assert mine[:24] == theirs[:24]
    assert mine[24:] != theirs[24:]


def test_nothing_of_a_channels_keys_shows(ends: tuple[Channel, Channel]) -> None:
    assert "AESGCM" not in repr(ends[0]) and not hasattr(ends[0], "__dict__")
