"""What a target of the fuzzing is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Protocol, Self

Read = Callable[[bytes], bytes | None]
"""Decodes, as far as a signer would go. Gives the encoding of what it read; None where what is read is not written
again: a signature over it is checked instead, or its effects are all there is. Raises Refusal and nothing else."""


@dataclass(frozen=True)
class Target:
    """seeds: called once. milliseconds: of processor time, for one input; what is slow elsewhere is a curve."""

    name: str
    read: Read
    seeds: Callable[[], list[bytes]]
    milliseconds: int = 250

    def __str__(self) -> str:
        return self.name


def made(*each: Callable[[], bytes]) -> Callable[[], list[bytes]]:
    return cache(lambda: [make() for make in each])


class Coded(Protocol):
    """A structure of the specification, read and written."""

    @classmethod
    def decode(cls, data: bytes) -> Self: ...

    def encode(self) -> bytes: ...


def coded(name: str, kind: type[Coded], *seeds: Callable[[], bytes]) -> Target:
    return Target(name, lambda data: kind.decode(data).encode(), made(*seeds))
