"""Parse, don't validate: typed fields out of a decoded CBOR map; what is missing, unknown or mistyped is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from strongroom.errors import Refusal
from strongroom.wire import cbor

T = TypeVar("T")


class Fields:
    """One map being read. Every field is taken once; `end` refuses what was not taken."""

    __slots__ = ("_left", "_what")

    def __init__(self, value: cbor.Value, what: str) -> None:
        if not isinstance(value, dict):
            raise Refusal("malformed_message", f"{what} is not a map")
        self._left: dict[str, cbor.Value] = dict(value)
        self._what = what

    @classmethod
    def decode(cls, data: bytes, what: str) -> Fields:
        return cls(cbor.decode(data), what)

    def blob(self, key: str, *, size: int | None = None, most: int = 1 << 22) -> bytes:
        value = self._take(key)
        if not isinstance(value, bytes) or len(value) > most or (size is not None and len(value) != size):
            raise self._wrong(key, f"{size} bytes" if size is not None else f"at most {most} bytes")
        return value

    def optional_blob(self, key: str, *, size: int | None = None, most: int = 1 << 22) -> bytes | None:
        if self._left.get(key, 0) is None:
            self._take(key)
            return None
        return self.blob(key, size=size, most=most)

    def has(self, key: str) -> bool:
        """Whether there is such a field that was not taken yet: for fields that only some wallets have."""
        return key in self._left

    def text(self, key: str, *, most: int = 256) -> str:
        value = self._take(key)
        if not isinstance(value, str) or len(value) > most:
            raise self._wrong(key, f"text of at most {most} characters")
        return value

    def optional_text(self, key: str, *, most: int = 256) -> str | None:
        if self._left.get(key, 0) is None:
            self._take(key)
            return None
        return self.text(key, most=most)

    def integer(self, key: str, *, least: int = 0, most: int = (1 << 64) - 1) -> int:
        value = self._take(key)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self._wrong(key, f"an integer from {least} to {most}")
        return value

    def flag(self, key: str) -> bool:
        value = self._take(key)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def items(self, key: str, item: Callable[[cbor.Value], T], *, most: int = 256) -> tuple[T, ...]:
        value = self._take(key)
        if not isinstance(value, list) or len(value) > most:
            raise self._wrong(key, f"a list of at most {most}")
        return tuple(item(each) for each in value)

    def fields(self, key: str) -> Fields:
        return Fields(self._take(key), f"{self._what}.{key}")

    def raw(self, key: str) -> cbor.Value:
        return self._take(key)

    def version(self, expected: int = 1) -> None:
        # Never `true`, which equals 1 in Python and would give a value a second encoding.
        if self.integer("v") != expected:
            raise self._wrong("v", f"version {expected}")

    def end(self) -> None:
        if self._left:
            names = ", ".join(sorted(self._left)[:4])[:80]
            raise Refusal("malformed_message", f"{self._what} has unknown fields: {names}")

    def _take(self, key: str) -> cbor.Value:
        try:
            return self._left.pop(key)
        except KeyError:
            raise Refusal("malformed_message", f"{self._what} lacks {key}") from None

    def _wrong(self, key: str, wanted: str) -> Refusal:
        return Refusal("malformed_message", f"{self._what}.{key} is not {wanted}")


def text_item(value: cbor.Value) -> str:
    if not isinstance(value, str) or len(value) > 256:
        raise Refusal("malformed_message", "a list item is not short text")
    return value


def bytes_item(value: cbor.Value) -> bytes:
    if not isinstance(value, bytes):
        raise Refusal("malformed_message", "a list item is not a byte string")
    return value


def pair_item(value: cbor.Value) -> tuple[str, bytes]:
    """A two-element array of text and bytes: (name, payload)."""
    if not isinstance(value, list) or len(value) != 2:
        raise Refusal("malformed_message", "a list item is not a pair of name and bytes")
    return text_item(value[0]), bytes_item(value[1])
