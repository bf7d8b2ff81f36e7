"""RLP: what is written is what pyrlp writes, and no other form of it is read."""

from __future__ import annotations

import pytest
import rlp as oracle  # type: ignore[import-untyped]
from hypothesis import example, given
from hypothesis import strategies as st

from strongroom.chains import rlp
from strongroom.errors import Refusal
from tests.wire.refused import refused

BYTES = st.binary(max_size=70) | st.sampled_from(
    [b"\0", b"\x7f", b"\x80", bytes(55), bytes(56), bytes(256), bytes(65536)]
)


def items(depth: int) -> st.SearchStrategy[rlp.Item]:
    return BYTES if depth == 0 else BYTES | st.lists(items(depth - 1), max_size=5)


@given(items(rlp.MAX_DEPTH))
def test_what_is_written_is_read_back(item: rlp.Item) -> None:
    written = rlp.encode(item)
    assert written == oracle.encode(item)
    assert rlp.decode(written) == item


def reread(data: bytes) -> None:
    try:
        item = rlp.decode(data)
    except Refusal as refusal:
        assert refusal.code == "malformed_transaction"
        return
    assert rlp.encode(item) == data


@given(st.binary(max_size=40))
@example(b"\xf8")
@example(b"\xbf" + b"\xff" * 8)
@example(b"\xff" * 9)
def test_one_item_has_one_encoding(data: bytes) -> None:
    reread(data)


@given(items(2), st.data())
def test_a_changed_encoding_is_refused_or_another_item(item: rlp.Item, data: st.DataObject) -> None:
    written = bytearray(rlp.encode(item)[:400])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(written)))
        byte = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0x81, 0xB7, 0xB8, 0xBF, 0xC0, 0xF7, 0xF8, 0xFF]))
        if data.draw(st.booleans()):
            written.insert(place, byte)
        else:
            written[place : place + 1] = bytes((byte,))
    reread(bytes(written))


REFUSED = [
    ("", "cut short"),
    ("81", "cut short"),
    ("82 61", "cut short"),
    ("b8", "not canonical"),
    ("b8 38", "cut short"),
    ("c1", "cut short"),
    ("c2 81", "cut short"),
    ("c2 82 6161", "cut short"),  # the inner item reaches beyond its list
    ("c3 b8 38 00", "cut short"),
    ("c1 b8 38" + "00" * 56, "not canonical"),  # the inner length stands beyond its list
    ("80 00", "1 bytes after"),
    ("c0 c0", "1 bytes after"),
    ("81 00", "needless"),
    ("81 7f", "needless"),
    ("c2 81 01", "needless"),
    ("b8 37" + "00" * 55, "not canonical"),
    ("b8 01 61", "not canonical"),
    ("b8 00", "not canonical"),
    ("b9 0038" + "00" * 56, "not canonical"),
    ("f8 37" + "00" * 55, "not canonical"),
    ("f8 00", "not canonical"),
    ("f9 0038" + "00" * 56, "not canonical"),
    ("bf ffffffffffffffff", "cut short"),
    ("ff ffffffffffffffff", "cut short"),
]


@pytest.mark.parametrize(("data", "reason"), REFUSED, ids=[data[:20] for data, _ in REFUSED])
def test_every_other_form_is_refused(data: str, reason: str) -> None:
    assert reason in refused("malformed_transaction", rlp.decode, bytes.fromhex(data)).reason


def test_depth_and_items_are_bounded() -> None:
    deep: rlp.Item = b""
    for _ in range(rlp.MAX_DEPTH):
        deep = [deep]
    assert rlp.decode(rlp.encode(deep)) == deep
    assert "deeply" in refused("malformed_transaction", rlp.decode, rlp.encode([deep])).reason
    wide = [b""] * rlp.MAX_ITEMS
    assert rlp.decode(rlp.encode(wide)) == wide
    assert "too many" in refused("malformed_transaction", rlp.decode, rlp.encode([*wide, b""])).reason


@given(st.integers(0, 2**256 - 1))
def test_integers_have_one_form(number: int) -> None:
    content = rlp.encode_integer(number)
    assert rlp.encode(content) == oracle.encode(number)
    assert rlp.integer(content, bits=256, what="value") == number
    refused("malformed_transaction", rlp.integer, b"\0" + content, bits=264, what="value")


def test_integers_are_bounded_and_no_lists() -> None:
    assert rlp.integer(b"\xff" * 8, bits=64, what="nonce") == 2**64 - 1
    for item in (b"\1" + bytes(8), b"\0", [], [b"\1"]):
        assert "nonce" in refused("malformed_transaction", rlp.integer, item, bits=64, what="nonce").reason
