"""JSON files that people write and pass around, read strictly."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from strongroom.errors import Refusal

T = TypeVar("T")


def read(path: Path, code: str = "bad_file") -> Document:
    """Raises Refusal with `code` where the file is absent, no JSON object, or repeats a key."""
    try:
        value = json.loads(path.read_text(), object_pairs_hook=distinct)
    except OSError as error:
        raise Refusal(code, f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Refusal(code, f"{path} is no JSON: {error}") from error
    return Document(value, str(path), code)


def write(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key is repeated")
    return value


class Document:
    """One JSON object being read. Fields are taken once; `end` refuses what was not taken."""

    def __init__(self, value: Any, what: str, code: str = "bad_file") -> None:
        self._what, self._code = what, code
        if not isinstance(value, dict):
            raise self.wrong("is not a JSON object")
        self._left: dict[str, Any] = dict(value)

    def wrong(self, reason: str) -> Refusal:
        return Refusal(self._code, f"{self._what} {reason}")

    def take(self, key: str) -> Any:
        try:
            return self._left.pop(key)
        except KeyError:
            raise self.wrong(f"lacks {key}") from None

    def has(self, key: str) -> bool:
        return key in self._left

    def text(self, key: str) -> str:
        value = self.take(key)
        if not isinstance(value, str):
            raise self.wrong(f"has a {key} that is not text")
        return value

    def integer(self, key: str) -> int:
        value = self.take(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.wrong(f"has a {key} that is not an unsigned integer")
        return value

    def amount(self, key: str) -> int:
        """Decimal digits as text: JSON's numbers lose wei."""
        text = self.text(key)
        if not text.isascii() or not text.isdigit():
            raise self.wrong(f"has a {key} that is not an amount in decimal digits, as text")
        return int(text)

    def flag(self, key: str) -> bool:
        value = self.take(key)
        if not isinstance(value, bool):
            raise self.wrong(f"has a {key} that is neither true nor false")
        return value

    def blob(self, key: str, size: int | None = None) -> bytes:
        return self.hexadecimal(self.take(key), key, size)

    def hexadecimal(self, value: Any, key: str, size: int | None = None) -> bytes:
        try:
            raw = bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else None
        except ValueError:
            raw = None
        if raw is None or (size is not None and len(raw) != size):
            wanted = "hexadecimal" if size is None else f"{size} bytes in hexadecimal"
            raise self.wrong(f"has a {key} that is not {wanted}")
        return raw

    def items(self, key: str, item: Callable[[Any], T]) -> tuple[T, ...]:
        value = self.take(key)
        if not isinstance(value, list):
            raise self.wrong(f"has a {key} that is not a list")
        return tuple(item(each) for each in value)

    def inner(self, key: str) -> Document:
        return Document(self.take(key), f"{self._what}: {key}", self._code)

    def end(self) -> None:
        if self._left:
            raise self.wrong(f"has unknown fields: {', '.join(sorted(self._left)[:4])}")
