"""Deterministic CBOR: what is written is what cbor2 writes canonically, and nothing else is read."""

from __future__ import annotations

from typing import Any, cast

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from strongroom.errors import Refusal
from strongroom.wire import cbor
from tests.wire.refused import refused

SCALARS = st.one_of(
    st.integers(-(2**64), 2**64 - 1),
    st.sampled_from([0, 23, 24, 255, 256, 2**16 - 1, 2**16, 2**32 - 1, 2**32, 2**64 - 1, -1, -24, -25, -(2**64)]),
    st.binary(max_size=300),
    st.text(max_size=40),
    st.booleans(),
    st.none(),
)
VALUES: st.SearchStrategy[cbor.Value] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(max_size=30), inner, max_size=30)
)


@given(VALUES)
def test_what_is_written_is_canonical_and_read_back(value: cbor.Value) -> None:
    written = cbor.encode(value)
    assert written == cbor2.dumps(value, canonical=True)
    assert cbor.decode(written) == value


def reread(data: bytes) -> None:
    """A byte string is refused, as malformed and nothing else, or it is the one encoding of its value."""
    try:
        value = cbor.decode(data)
    except Refusal as refusal:
        assert refusal.code == "malformed_cbor"
        return
    assert cbor.encode(value) == data
    assert cbor2.loads(data) == value


@given(st.binary(max_size=60))
@example(b"")
def test_one_value_has_one_encoding(data: bytes) -> None:
    reread(data)


@given(VALUES, st.data())
def test_a_changed_encoding_is_refused_or_another_value(value: cbor.Value, data: st.DataObject) -> None:
    written = bytearray(cbor.encode(value))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(written)))
        match data.draw(st.sampled_from(["change", "cut", "add", "drop"])):
            case "change" if place < len(written):
                written[place] = data.draw(st.integers(0, 255))
            case "cut":
                del written[place:]
            case "add":
                written.insert(place, data.draw(st.integers(0, 255)))
            case _:
                del written[place : place + 1]
    reread(bytes(written))


def nested(levels: int) -> bytes:
    return b"\x81" * levels + b"\0"


REFUSED = [
    ("", "truncated"),
    ("18", "truncated"),
    ("19 01", "truncated"),
    ("43 0102", "truncated"),
    ("63 6162", "truncated"),
    ("82 01", "truncated"),
    ("a1 6161", "truncated"),
    ("5b ffffffffffffffff", "truncated"),
    ("00 00", "1 trailing bytes"),
    ("a0 a0", "1 trailing bytes"),
    # A head that is not minimal, of each size and major type.
    ("18 17", "not minimal"),
    ("19 00ff", "not minimal"),
    ("1a 0000ffff", "not minimal"),
    ("1b 00000000ffffffff", "not minimal"),
    ("38 00", "not minimal"),
    ("58 01 00", "not minimal"),
    ("78 01 61", "not minimal"),
    ("98 01 00", "not minimal"),
    ("b8 01 6161 00", "not minimal"),
    # Indefinite lengths and reserved heads.
    ("5f 4101 ff", "indefinite"),
    ("7f 6161 ff", "indefinite"),
    ("9f 01 ff", "indefinite"),
    ("bf 6161 01 ff", "indefinite"),
    ("1c", "indefinite or reserved"),
    # Floats, undefined, other simple values, the break.
    ("f9 3c00", "float"),
    ("fa 3f800000", "float"),
    ("fb 3ff0000000000000", "float"),
    ("f7", "simple"),
    ("f8 20", "simple"),
    ("e0", "simple"),
    ("ff", "simple"),
    # Tags: a time, a big number, the self-description.
    ("c1 1a 514b67b0", "tag"),
    ("c2 41 01", "tag"),
    ("d9 d9f7 00", "tag"),
    # Keys.
    ("a2 6162 00 6161 00", "unsorted or repeated"),
    ("a2 626161 00 6162 00", "unsorted or repeated"),
    ("a2 6161 00 6161 01", "unsorted or repeated"),
    ("a1 01 00", "not text"),
    ("a1 4161 00", "not text"),
    ("a1 f6 00", "not text"),
    # Text that is not UTF-8: a stray continuation, an overlong slash, a surrogate.
    ("61 80", "UTF-8"),
    ("62 c0af", "UTF-8"),
    ("63 eda080", "UTF-8"),
]


@pytest.mark.parametrize(("data", "reason"), REFUSED, ids=[data for data, _ in REFUSED])
def test_every_other_form_is_refused(data: str, reason: str) -> None:
    assert reason in refused("malformed_cbor", cbor.decode, bytes.fromhex(data)).reason


def test_depth_is_bounded_where_it_is_written_and_where_it_is_read() -> None:
    assert cbor.encode(cbor.decode(nested(cbor.MAX_DEPTH))) == nested(cbor.MAX_DEPTH)
    assert "deeply" in refused("malformed_cbor", cbor.decode, nested(cbor.MAX_DEPTH + 1)).reason
    assert "deeply" in refused("malformed_cbor", cbor.decode, b"\x81" * 100_000).reason
    assert "deeply" in refused("malformed_cbor", cbor.decode, b"\xa1\x60" * 100_000).reason
    value: cbor.Value = 0
    for _ in range(cbor.MAX_DEPTH + 1):
        value = [value]
    with pytest.raises(ValueError, match="deeply"):
        cbor.encode(value)


def test_the_number_of_items_is_bounded_before_they_are_read() -> None:
    full = [0] * cbor.MAX_ITEMS
    assert cbor.decode(cbor.encode(full)) == full
    wide = {f"{index:04}": 0 for index in range(cbor.MAX_ITEMS)}
    assert cbor.decode(cbor.encode(wide)) == wide
    for head in ("99 1001", "b9 1001", "9b ffffffffffffffff", "bb ffffffffffffffff"):
        assert "too many" in refused("malformed_cbor", cbor.decode, bytes.fromhex(head)).reason


@pytest.mark.parametrize("value", [1.0, {1, 2}, object(), {1: 0}, {b"a": 0}, [1.5], {"a": 1j}])
def test_what_has_no_encoding_is_the_callers_mistake(value: object) -> None:
    with pytest.raises(TypeError):
        cbor.encode(cast(Any, value))


@pytest.mark.parametrize("value", [2**64, -(2**64) - 1, "\ud800"])
def test_what_does_not_fit_is_the_callers_mistake(value: cbor.Value) -> None:
    with pytest.raises(ValueError):
        cbor.encode(value)


def test_views_of_bytes_are_bytes() -> None:
    assert cbor.encode(cast(Any, bytearray(b"ab"))) == cbor.encode(cast(Any, memoryview(b"ab"))) == b"\x42ab"


# --- What other encoders wrote ---


def test_foreign_maps_have_any_order_and_integer_keys() -> None:
    assert cbor.decode_foreign(bytes.fromhex("a3 6162 00 6161 01 20 02")) == {"b": 0, "a": 1, -1: 2}
    refused("malformed_cbor", cbor.decode, bytes.fromhex("a1 20 02"))


@pytest.mark.parametrize(
    "data",
    [
        "a2 6161 00 6161 00",
        "a2 01 00 01 00",
        "a2 01 00 f5 00",
        "a1 f5 00",
        "a1 f6 00",
        "a1 4161 00",
        "a1 80 00",
        "81 a2 6161 00 6161 00",
        "a1 01 f93c00",
        "a1 01 c0 00",
        "a1 1801 00",
        "bf 01 00 ff",
        "a1 01 00 00",
    ],
)
def test_foreign_maps_have_the_other_limits(data: str) -> None:
    refused("malformed_cbor", cbor.decode_foreign, bytes.fromhex(data))


def test_foreign_depth_and_counts_are_bounded() -> None:
    refused("malformed_cbor", cbor.decode_foreign, b"\xa1\x01" * (cbor.MAX_DEPTH + 1) + b"\0")
    refused("malformed_cbor", cbor.decode_foreign, bytes.fromhex("b9 1001"))
