"""Whom an address belongs to, by the lists of a policy that officers signed, and what to say where nobody knows."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from strongroom.policy.document import Policy
from strongroom.policy.lists import Proof
from strongroom.policy.names import ends

UNLISTED: Final = "On no list of the policy. Compare every character of the address with a source of your own."

_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@dataclass(frozen=True)
class Known:
    """An address that officers wrote into a list of the policy."""

    list: str
    label: str


@dataclass(frozen=True)
class Book:
    """proofs: of entries of lists that the policy keeps as a root, as they came with a request; each proves itself."""

    policy: Policy
    proofs: Sequence[Proof] = ()

    def known(self, address: str) -> Known | None:
        for each in self.policy.lists:
            entry = each.find(address, self.proofs)
            if entry is not None:
                return Known(each.name, visible(entry.label))
        return None

    def unlisted(self, address: str) -> list[str]:
        """What to say of an address that no list has, and of whom it may be meant to be mistaken for."""
        if self.known(address) is not None:
            return []
        shape = ends(address)
        alike = [
            f"It begins and ends like {visible(entry.label)} of list {each.name}, and is another address."
            for each in self.policy.lists
            for entry in each.entries
            if ends(entry.address) == shape
        ]
        return [UNLISTED, *alike[:3]]


def visible(text: str, *, lines: bool = False) -> str:
    """Whatever has no shape of its own, or turns the text around, as its number. lines: line feeds stay."""
    return "".join(
        character
        if (lines and character == "\n") or unicodedata.category(character) not in _INVISIBLE
        else f"\\u{{{ord(character):x}}}"
        for character in text
    )
