"""What stands in a sealed message: one form, cut to the byte."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.channel.envelope import (
    Envelope,
    Seen,
    broadcast_signing_bytes,
    contribution_signing_bytes,
    echo,
)
from strongroom.channel.envelope import testimony as sworn  # pytest would take it for a test
from strongroom.errors import Refusal
from strongroom.wire import cbor
from tests.wire.refused import refused

PARTS = st.none() | st.binary(max_size=40)
ENVELOPES = st.builds(
    Envelope,
    st.integers(0, 2**64 - 1),
    st.binary(min_size=32, max_size=32),
    PARTS,
    st.none() | st.binary(min_size=64, max_size=64),
    PARTS,
)


@given(ENVELOPES)
def test_what_is_written_is_read_back(envelope: Envelope) -> None:
    assert Envelope.decode(envelope.encode()) == envelope


@given(ENVELOPES, st.data())
def test_what_is_read_is_written_again_byte_for_byte(envelope: Envelope, data: st.DataObject) -> None:
    raw = bytearray(envelope.encode())
    place = data.draw(st.integers(30, len(raw)))
    if data.draw(st.booleans()):
        del raw[place:]
    else:
        raw[place : place + 1] = data.draw(st.binary(max_size=3))
    try:
        again = Envelope.decode(bytes(raw))
    except Refusal as refusal:
        assert refusal.code == "malformed_message"
        return
    assert again.encode() == bytes(raw)


def test_the_bytes_are_those_of_the_specification() -> None:
    full = Envelope(1, b"\2" * 32, b"abc", b"\3" * 64, b"de")
    head = bytes(7) + b"\1" + b"\2" * 32
    assert full.encode() == head + b"\7" + b"\0\0\0\3abc" + b"\3" * 64 + b"de"
    assert Envelope(1, b"\2" * 32, None, None, None).encode() == head + b"\0"
    assert Envelope(1, b"\2" * 32, None, None, b"").encode() == head + b"\4"
    assert Envelope(1, b"\2" * 32, b"", None, None).encode() == head + b"\1" + bytes(4)


HEAD = bytes(40)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        HEAD,
        HEAD + b"\x08",
        HEAD + b"\xff",
        HEAD + b"\0\0",
        HEAD + b"\1",
        HEAD + b"\1\0\0\0",
        HEAD + b"\1\0\0\0\1",
        HEAD + b"\1\0\0\0\1ab",
        HEAD + b"\1\xff\xff\xff\xffab",
        HEAD + b"\2" + bytes(63),
        HEAD + b"\2" + bytes(65),
        HEAD + b"\3\0\0\0\0" + bytes(63),
        HEAD + b"\5\0\0\0\2a",
    ],
    ids=range(14),
)
def test_another_form_is_refused(raw: bytes) -> None:
    refused("malformed_message", Envelope.decode, raw)


def test_what_boot_keys_sign_is_as_the_specification_says() -> None:
    ceremony, digest = b"\1" * 32, hashlib.sha256(b"said").digest()
    assert broadcast_signing_bytes(ceremony, 2, "ab", b"said") == (
        b"strongroom/broadcast/v1" + ceremony + b"\2" + b"\2ab" + digest
    )
    assert contribution_signing_bytes(ceremony, "ab", b"said") == (
        b"strongroom/contribution/v1" + ceremony + b"\2ab" + digest
    )


def test_an_echo_covers_who_said_what_in_the_order_of_the_set() -> None:
    a, b = Seen("a", b"\1" * 32, b""), Seen("b", b"\2" * 32, b"")
    assert echo([a, b]) == hashlib.sha256(b"strongroom/echo/v1\1a" + a.digest + b"\1b" + b.digest).digest()
    swapped = [Seen("a", b.digest, b""), Seen("b", a.digest, b"")]
    assert len({echo(views) for views in ([a, b], [b, a], [a], swapped)}) == 4
    assert echo([a, b]) == echo([Seen("a", a.digest, b"x" * 64), b])  # what is said, not how it was signed


def test_a_testimony_is_what_was_seen() -> None:
    assert cbor.decode(sworn(b"\1" * 32, 1, [Seen("a", b"\2" * 32, b"\3" * 64)])) == {
        "ceremony": b"\1" * 32,
        "round": 1,
        "seen": [["a", b"\2" * 32, b"\3" * 64]],
    }
