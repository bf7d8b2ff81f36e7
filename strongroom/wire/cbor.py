"""Deterministic CBOR (RFC 8949 section 4.2.1), a small closed part of it, decoded strictly.

Types: unsigned and negative integers of 64 bits, byte strings, UTF-8 text, arrays, maps with text keys, booleans, null.
Refused: floats, tags, indefinite lengths, non-minimal heads, unsorted or duplicate keys, trailing bytes, invalid UTF-8,
and whatever is deeper or larger than the limits. One value has one encoding, so signed bytes cannot be malleable.

Why our own: general decoders accept trailing bytes, unsorted maps and floats and turn tags into objects before the
caller sees them (docs/adr/0006).

`decode_foreign` reads what other encoders wrote (the NSM, COSE): maps in any order, with integer keys too. All other
limits hold there as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

from strongroom.errors import Refusal

Value = int | bytes | str | bool | None | Sequence["Value"] | Mapping[str, "Value"]
Foreign = int | bytes | str | bool | None | list["Foreign"] | dict[int | str, "Foreign"]

MAX_DEPTH: Final = 16
MAX_ITEMS: Final = 4096
"""Elements of one array or pairs of one map."""

_ReadMap = Callable[[bytes, int, int, int], tuple[Value, int]]

_UINT, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _SIMPLE = 0, 1, 2, 3, 4, 5, 7


def encode(value: Value) -> bytes:
    """The one encoding of `value`. Raises TypeError or ValueError for what the closed vocabulary lacks."""
    out: list[bytes] = []
    _encode(value, out, 0)
    return b"".join(out)


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes((major << 5 | number,))
    if number < 1 << 8:
        return bytes((major << 5 | 24, number))
    if number < 1 << 16:
        return bytes((major << 5 | 25,)) + number.to_bytes(2, "big")
    if number < 1 << 32:
        return bytes((major << 5 | 26,)) + number.to_bytes(4, "big")
    if number < 1 << 64:
        return bytes((major << 5 | 27,)) + number.to_bytes(8, "big")
    raise ValueError("integer needs more than 64 bits")


def _encode(value: Value, out: list[bytes], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, bytes | bytearray | memoryview):
        out.append(_head(_BYTES, len(value)))
        out.append(bytes(value))
    elif isinstance(value, str):
        raw = value.encode()
        out.append(_head(_TEXT, len(raw)))
        out.append(raw)
    elif value is None:
        out.append(b"\xf6")
    elif isinstance(value, bool):
        out.append(b"\xf5" if value else b"\xf4")
    elif isinstance(value, int):
        out.append(_head(_UINT, value) if value >= 0 else _head(_NEGATIVE, -1 - value))
    elif isinstance(value, Mapping):
        # Bytewise order of the encoded keys, RFC 8949 section 4.2.1.
        pairs = sorted(((_text_key(key), item) for key, item in value.items()), key=_first)
        out.append(_head(_MAP, len(pairs)))
        for key, item in pairs:
            out.append(key)
            _encode(item, out, depth + 1)
    elif isinstance(value, Sequence):
        out.append(_head(_ARRAY, len(value)))
        for item in value:
            _encode(item, out, depth + 1)
    else:
        raise TypeError(f"{type(value).__name__} has no encoding here")


def _text_key(key: object) -> bytes:
    if not isinstance(key, str):
        raise TypeError("map keys are text")
    raw = key.encode()
    return _head(_TEXT, len(raw)) + raw


def _first(pair: tuple[bytes, Value]) -> bytes:
    return pair[0]


def decode(data: bytes) -> Value:
    """Decodes exactly one value. Raises Refusal `malformed_cbor` on anything the encoder would not have written."""
    return _whole(data, _map)


def decode_foreign(data: bytes) -> Foreign:
    """Decodes exactly one value of another encoder. Raises Refusal `malformed_cbor`. Not for bytes that we sign."""
    return cast(Foreign, _whole(data, _foreign_map))


def _whole(data: bytes, read_map: _ReadMap) -> Value:
    value, end = _decode(data, 0, 0, read_map)
    if end != len(data):
        raise _bad(f"{len(data) - end} trailing bytes")
    return value


def _bad(reason: str) -> Refusal:
    return Refusal("malformed_cbor", reason)


def _argument(data: bytes, at: int, info: int) -> tuple[int, int]:
    if info < 24:
        return info, at
    if info > 27:
        raise _bad("an indefinite or reserved length")
    size = 1 << (info - 24)
    raw = data[at : at + size]
    if len(raw) != size:
        raise _bad("truncated")
    number = int.from_bytes(raw, "big")
    if number < 24 or (size > 1 and number < 1 << (4 * size)):
        raise _bad("a head that is not minimal")
    return number, at + size


def _decode(data: bytes, at: int, depth: int, read_map: _ReadMap) -> tuple[Value, int]:
    if at >= len(data):
        raise _bad("truncated")
    if depth > MAX_DEPTH:
        raise _bad("nested too deeply")
    major, info = data[at] >> 5, data[at] & 31
    if major == _SIMPLE:
        return _simple(data[at]), at + 1
    number, at = _argument(data, at + 1, info)
    if major == _UINT:
        return number, at
    if major == _NEGATIVE:
        return -1 - number, at
    if major in (_BYTES, _TEXT):
        raw = data[at : at + number]
        if len(raw) != number:
            raise _bad("truncated")
        return (raw if major == _BYTES else _utf8(raw)), at + number
    if major not in (_ARRAY, _MAP):
        raise _bad("a tag")
    if number > MAX_ITEMS:
        raise _bad("too many items")
    return _array(data, at, number, depth + 1, read_map) if major == _ARRAY else read_map(data, at, number, depth + 1)


def _simple(head: int) -> Value:
    if head == 0xF6:
        return None
    if head in (0xF4, 0xF5):
        return head == 0xF5
    raise _bad("a float or an unknown simple value")


def _utf8(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise _bad("text that is not UTF-8") from error


def _array(data: bytes, at: int, count: int, depth: int, read_map: _ReadMap) -> tuple[Value, int]:
    items: list[Value] = []
    for _ in range(count):
        item, at = _decode(data, at, depth, read_map)
        items.append(item)
    return items, at


def _map(data: bytes, at: int, count: int, depth: int) -> tuple[Value, int]:
    pairs: dict[str, Value] = {}
    last = b""
    for _ in range(count):
        start = at
        key, at = _decode(data, at, depth, _map)
        if not isinstance(key, str):
            raise _bad("a map key that is not text")
        raw = data[start:at]
        if raw <= last:
            raise _bad("map keys that are unsorted or repeated")
        last = raw
        pairs[key], at = _decode(data, at, depth, _map)
    return pairs, at


def _foreign_map(data: bytes, at: int, count: int, depth: int) -> tuple[Value, int]:
    pairs: dict[int | str, Value] = {}
    for _ in range(count):
        key, at = _decode(data, at, depth, _foreign_map)
        # A bool is an int to Python: True would shadow the key 1.
        if not isinstance(key, int | str) or isinstance(key, bool):
            raise _bad("a map key that is neither text nor an integer")
        if key in pairs:
            raise _bad("map keys that are repeated")
        pairs[key], at = _decode(data, at, depth, _foreign_map)
    return cast(Value, pairs), at
