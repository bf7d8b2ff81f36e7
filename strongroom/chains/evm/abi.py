"""The contract ABI ("Formal Specification of the Encoding"), for the few types that known calls use.

Decoding is strict because it is checked by encoding again: offsets out of order, padding that is not zero, overlapping
or trailing bytes have no encoding of ours, and are refused.

Types: `address` (20 bytes), `uint256`, `bool`, `bytes`, `uint256[]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from strongroom.errors import Refusal

Type = Literal["address", "uint256", "bool", "bytes", "uint256[]"]
Value = bytes | int | bool | Sequence[int]

WORD = 32
MAX_ITEMS = 256


def encode(types: Sequence[Type], values: Sequence[Value]) -> bytes:
    heads: list[bytes] = []
    tails: list[bytes] = []
    offset = WORD * len(types)
    for kind, value in zip(types, values, strict=True):
        if kind in ("bytes", "uint256[]"):
            heads.append(offset.to_bytes(WORD, "big"))
            tails.append(_tail(kind, value))
            offset += len(tails[-1])
        else:
            heads.append(_word(kind, value))
    return b"".join((*heads, *tails))


def _word(kind: Type, value: Value) -> bytes:
    if kind == "address" and isinstance(value, bytes) and len(value) == 20:
        return value.rjust(WORD, b"\0")
    if kind == "bool" and isinstance(value, bool):
        return int(value).to_bytes(WORD, "big")
    if kind == "uint256" and isinstance(value, int):
        return value.to_bytes(WORD, "big")
    raise TypeError(f"no {kind}")


def _tail(kind: Type, value: Value) -> bytes:
    if kind == "bytes" and isinstance(value, bytes):
        return len(value).to_bytes(WORD, "big") + value.ljust(-(-len(value) // WORD) * WORD, b"\0")
    if kind == "uint256[]" and not isinstance(value, bytes | int):
        return b"".join(number.to_bytes(WORD, "big") for number in (len(value), *value))
    raise TypeError(f"no {kind}")


def decode(types: Sequence[Type], data: bytes) -> list[Value]:
    """Exactly these values. Raises Refusal `malformed_transaction`."""
    values = [_read(kind, data, WORD * position) for position, kind in enumerate(types)]
    if encode(types, values) != data:
        raise _bad()
    return values


def _bad() -> Refusal:
    return Refusal("malformed_transaction", "call data that is not the one encoding of its arguments")


def _number(data: bytes, at: int) -> int:
    word = data[at : at + WORD]
    if len(word) != WORD:
        raise _bad()
    return int.from_bytes(word, "big")


def _read(kind: Type, data: bytes, at: int) -> Value:
    number = _number(data, at)
    if kind == "uint256":
        return number
    if kind == "address":
        if number >> 160:
            raise _bad()
        return number.to_bytes(20, "big")
    if kind == "bool":
        if number > 1:
            raise _bad()
        return number == 1
    if number > len(data):
        raise _bad()
    length = _number(data, number)
    start = number + WORD
    if kind == "bytes":
        if length > len(data):
            raise _bad()
        return data[start : start + length]
    if length > MAX_ITEMS:
        raise _bad()
    return [_number(data, start + WORD * index) for index in range(length)]
