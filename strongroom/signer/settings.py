"""What a signer program's file says beside what is attested: where it listens, what it reads. JSON, for one machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from strongroom.errors import Refusal


class Settings:
    """One object of the file. Every method raises Refusal `bad_configuration` that names the field in full."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise Refusal("bad_configuration", f"{where} is no JSON object")
        self._value: Mapping[str, Any] = value
        self._where = where

    @classmethod
    def parse(cls, data: bytes, where: str) -> Settings:
        """where: the file's name."""
        try:
            return cls(json.loads(data), where)
        except (ValueError, RecursionError) as error:
            raise Refusal("bad_configuration", f"{where} is no JSON: {error}") from None

    def raw(self, key: str) -> Any:
        """None where it is missing: for what is parsed elsewhere."""
        return self._value.get(key)

    def inner(self, key: str, *, optional: bool = False) -> Settings:
        """optional: an empty object where it is missing."""
        return Settings(self._value.get(key, {} if optional else None), f"{self._where}: {key}")

    def text(self, key: str) -> str:
        value = self.optional_text(key)
        if value is None:
            raise Refusal("bad_configuration", f"{self._where}: {key} is missing")
        return value

    def optional_text(self, key: str) -> str | None:
        value = self._value.get(key)
        if value is not None and (not isinstance(value, str) or not value or "\0" in value):
            raise Refusal("bad_configuration", f"{self._where}: {key} is no text")
        return value

    def port(self, key: str, default: int) -> int:
        value = self._value.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 32:
            raise Refusal("bad_configuration", f"{self._where}: {key} is no port number")
        return value
