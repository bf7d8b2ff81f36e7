"""What all of Bitcoin's encodings share: little-endian integers, compact sizes, a reader that goes to the end once."""

from __future__ import annotations

from typing import Final

from strongroom.errors import Refusal


def malformed(reason: str) -> Refusal:
    return Refusal("malformed_transaction", reason)


def unsupported(reason: str) -> Refusal:
    return Refusal("unsupported_transaction", reason)


def u32(number: int) -> bytes:
    return number.to_bytes(4, "little")


def u64(number: int) -> bytes:
    return number.to_bytes(8, "little")


_FORMS: Final = {0xFD: (2, 0xFD), 0xFE: (4, 1 << 16), 0xFF: (8, 1 << 32)}
"""First byte of a compact size -> bytes that follow, and the least number that needs them."""


def compact(number: int) -> bytes:
    if number < 0xFD:
        return bytes((number,))
    for head, (size, _least) in _FORMS.items():
        if number < 1 << 8 * size:
            return bytes((head,)) + number.to_bytes(size, "little")
    raise ValueError("a compact size has at most 64 bits")


def prefixed(data: bytes) -> bytes:
    return compact(len(data)) + data


class Reader:
    """Raises Refusal `malformed_transaction`, whatever the bytes. what: names them in the reason."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._what = what
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise malformed(f"{self._what} is cut short")
        start = self._at
        self._at += size
        return self._data[start : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def compact(self) -> int:
        """In its shortest form: one number has one encoding."""
        head = self.take(1)[0]
        if head < 0xFD:
            return head
        size, least = _FORMS[head]
        number = self.number(size)
        if number < least:
            raise malformed(f"{self._what} has a compact size that is not in its shortest form")
        return number

    def count(self, least: int) -> int:
        """How many items follow, of at least so many bytes each: checked before a list is made of them."""
        number = self.compact()
        if number * least > self.left:
            raise malformed(f"{self._what} is cut short")
        return number

    def prefixed(self) -> bytes:
        return self.take(self.compact())

    def end(self) -> None:
        if self.left:
            raise malformed(f"{self.left} bytes after {self._what}")
