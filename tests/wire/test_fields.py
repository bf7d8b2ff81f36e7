"""Fields: each is taken once, with its type and bounds; what is left over is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from strongroom.wire import cbor
from strongroom.wire.fields import Fields, bytes_item, pair_item, text_item
from tests.wire.refused import refused


def of(value: cbor.Value) -> Fields:
    return Fields({"k": value}, "thing")


def test_only_a_map_has_fields() -> None:
    for value in (None, 1, "text", b"", [], [["k", 1]]):
        assert "thing is not a map" in refused("malformed_message", Fields, value, "thing").reason
    refused("malformed_cbor", Fields.decode, b"", "thing")


def test_a_field_that_is_missing_or_taken_twice_is_named() -> None:
    fields = of(1)
    assert "thing lacks other" in refused("malformed_message", fields.integer, "other").reason
    assert fields.integer("k") == 1
    assert "thing lacks k" in refused("malformed_message", fields.integer, "k").reason


def test_what_is_left_over_is_named_and_the_answer_stays_short() -> None:
    assert "unknown fields: k" in refused("malformed_message", of(1).end).reason
    many = Fields({"x" * 100 + str(index): 0 for index in range(50)}, "thing")
    assert len(refused("malformed_message", many.end).reason) < 150
    empty = of(1)
    empty.raw("k")
    empty.end()


GOOD: list[tuple[Callable[[Fields], Any], cbor.Value]] = [
    (lambda f: f.blob("k"), b""),
    (lambda f: f.blob("k", size=2), b"ab"),
    (lambda f: f.blob("k", most=2), b"ab"),
    (lambda f: f.optional_blob("k", size=2), b"ab"),
    (lambda f: f.optional_blob("k"), None),
    (lambda f: f.text("k"), "x" * 256),
    (lambda f: f.optional_text("k"), "x"),
    (lambda f: f.optional_text("k"), None),
    (lambda f: f.integer("k"), 2**64 - 1),
    (lambda f: f.integer("k"), 0),
    (lambda f: f.integer("k", least=1, most=3), 3),
    (lambda f: f.integer("k", least=1, most=3), 1),
    (lambda f: f.flag("k"), False),
    (lambda f: f.raw("k"), None),
]

BAD: list[tuple[Callable[[Fields], Any], cbor.Value]] = [
    (lambda f: f.blob("k"), "text"),
    (lambda f: f.blob("k"), None),
    (lambda f: f.blob("k", size=2), b"a"),
    (lambda f: f.blob("k", size=2), b"abc"),
    (lambda f: f.blob("k", most=2), b"abc"),
    (lambda f: f.blob("k"), bytes((1 << 22) + 1)),
    (lambda f: f.optional_blob("k"), False),
    (lambda f: f.optional_blob("k", size=2), b"abc"),
    (lambda f: f.optional_blob("k", most=2), b"abc"),
    (lambda f: f.text("k"), b"bytes"),
    (lambda f: f.text("k"), "x" * 257),
    (lambda f: f.text("k", most=2), "xyz"),
    (lambda f: f.optional_text("k"), 0),
    (lambda f: f.optional_text("k", most=2), "xyz"),
    (lambda f: f.integer("k"), True),
    (lambda f: f.integer("k"), False),
    (lambda f: f.integer("k"), "1"),
    (lambda f: f.integer("k"), -1),
    (lambda f: f.integer("k", least=1), 0),
    (lambda f: f.integer("k", most=3), 4),
    (lambda f: f.flag("k"), 1),
    (lambda f: f.flag("k"), None),
    (lambda f: f.items("k", bytes_item), b"ab"),
    (lambda f: f.items("k", bytes_item), {}),
    (lambda f: f.items("k", bytes_item), [b"", 1]),
    (lambda f: f.items("k", bytes_item), [b""] * 257),
    (lambda f: f.items("k", bytes_item, most=1), [b"", b""]),
    (lambda f: f.items("k", text_item), [b""]),
    (lambda f: f.items("k", text_item), ["x" * 257]),
    (lambda f: f.items("k", pair_item), ["ab"]),
    (lambda f: f.items("k", pair_item), [["a"]]),
    (lambda f: f.items("k", pair_item), [["a", b"", b""]]),
    (lambda f: f.items("k", pair_item), [[b"", "a"]]),
    (lambda f: f.fields("k"), []),
]


@pytest.mark.parametrize(("read", "value"), GOOD, ids=map(str, range(len(GOOD))))
def test_a_right_value_is_taken(read: Callable[[Fields], Any], value: cbor.Value) -> None:
    fields = of(value)
    assert read(fields) == value
    fields.end()


@pytest.mark.parametrize(("read", "value"), BAD, ids=map(str, range(len(BAD))))
def test_a_wrong_value_is_refused(read: Callable[[Fields], Any], value: cbor.Value) -> None:
    refused("malformed_message", read, of(value))


def test_an_optional_field_may_be_null_and_never_absent() -> None:
    for read in (Fields.optional_blob, Fields.optional_text):
        assert "lacks k" in refused("malformed_message", read, Fields({}, "thing"), "k").reason


def test_lists_keep_their_order() -> None:
    assert of([["b", b"1"], ["a", b"2"]]).items("k", pair_item) == (("b", b"1"), ("a", b"2"))
    assert of([]).items("k", text_item) == ()


def test_inner_maps_are_named_by_their_path() -> None:
    inner = of({"x": 1}).fields("k")
    assert "thing.k.x is not" in refused("malformed_message", inner.text, "x").reason


@pytest.mark.parametrize("version", [0, 2, "1", None, True, [1]])
def test_only_the_one_version_is_read(version: cbor.Value) -> None:
    """`true` equals 1 in Python: taken for a version it would give a value two encodings."""
    Fields({"v": 1}, "thing").version()
    refused("malformed_message", Fields({"v": version}, "thing").version)
    refused("malformed_message", Fields({}, "thing").version)
