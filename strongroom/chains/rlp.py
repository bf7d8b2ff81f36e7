"""Recursive Length Prefix (Ethereum Yellow Paper, appendix B), decoded strictly: one value has one encoding.

Items are byte strings or lists of items. Refused: long forms where the short one fits, leading zeros of a length,
a single byte below 0x80 with a prefix, trailing or missing bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from strongroom.errors import Refusal

Item = bytes | Sequence["Item"]
MAX_DEPTH = 4
MAX_ITEMS = 1024


def encode(item: Item) -> bytes:
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < 0x80:
            return item
        return _head(0x80, len(item)) + item
    body = b"".join(encode(each) for each in item)
    return _head(0xC0, len(body)) + body


def encode_integer(number: int) -> bytes:
    """The content of an integer: big-endian without leading zeros; zero is empty."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _head(offset: int, length: int) -> bytes:
    if length < 56:
        return bytes((offset + length,))
    size = encode_integer(length)
    return bytes((offset + 55 + len(size),)) + size


def decode(data: bytes) -> Item:
    """Exactly one item. Raises Refusal `malformed_transaction`."""
    item, end = _decode(data, 0, len(data), 0)
    if end != len(data):
        raise _bad(f"{len(data) - end} bytes after the RLP item")
    return item


def _bad(reason: str) -> Refusal:
    return Refusal("malformed_transaction", reason)


def _decode(data: bytes, at: int, end: int, depth: int) -> tuple[Item, int]:
    if at >= end:
        raise _bad("RLP is cut short")
    if depth > MAX_DEPTH:
        raise _bad("RLP is nested too deeply")
    head = data[at]
    if head < 0x80:
        return data[at : at + 1], at + 1
    start, stop = _extent(data, at, end)
    if head < 0xC0:
        if stop - start == 1 and data[start] < 0x80:
            raise _bad("a single byte with a needless RLP prefix")
        return data[start:stop], stop
    items: list[Item] = []
    while start < stop:
        item, start = _decode(data, start, stop, depth + 1)
        items.append(item)
        if len(items) > MAX_ITEMS:
            raise _bad("too many RLP items")
    return items, stop


def _extent(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Where the content of the item at `at` begins and ends."""
    short = (data[at] - 0x80) & 0x3F
    start = at + 1
    length = short
    if short > 55:
        size = short - 55
        raw = data[start : start + size]
        start += size
        length = int.from_bytes(raw, "big")
        if start > end or raw[0] == 0 or length < 56:
            raise _bad("an RLP length that is not canonical")
    if start + length > end:
        raise _bad("RLP is cut short")
    return start, start + length


def integer(item: Item, *, bits: int, what: str) -> int:
    """A canonical unsigned integer. Raises Refusal `malformed_transaction`."""
    if not isinstance(item, bytes) or len(item) * 8 > bits or item[:1] == b"\0":
        raise _bad(f"{what} is not a canonical integer of at most {bits} bits")
    return int.from_bytes(item, "big")
