"""What journals answer beside a ceremony's first trip: acknowledgements for the signers, blocks for the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from strongroom.errors import Refusal
from strongroom.wire import cbor
from strongroom.wire.fields import Fields, bytes_item, pair_item

MENDED: Final = frozenset({"not_joined", "unknown_wallet", "unknown_order", "channel_missing", "channel_expired"})
"""Refusals of a journal that was restarted."""


@dataclass(frozen=True)
class _Said:
    acknowledgements: tuple[tuple[str, bytes], ...]
    digest: bytes
    counted: bool
    blocks: tuple[bytes, ...]


class Beside:
    def __init__(self) -> None:
        self._said: dict[str, _Said] = {}
        self._refusals: dict[str, Refusal] = {}

    def take(self, name: str, answer: Fields) -> None:
        """Raises Refusal `malformed_message`."""
        self._said[name] = _Said(
            answer.items("acknowledgements", pair_item, most=16),
            answer.blob("digest", size=32),
            answer.flag("counted"),
            answer.items("blocks", bytes_item, most=64),
        )
        answer.end()

    def sealed(self) -> list[tuple[str, Sequence[bytes]]]:
        return [(name, said.blocks) for name, said in self._said.items()]

    def acknowledged(self, to: str) -> list[cbor.Value]:
        """(from, sealed) of all that is for this signer."""
        return [
            [sender, sealed]
            for sender, said in self._said.items()
            for recipient, sealed in said.acknowledgements
            if recipient == to
        ]

    def refused(self, name: str, refusal: Refusal) -> None:
        self._refusals[name] = refusal

    def missing(self, participants: Sequence[str], wanted: int) -> dict[str, Refusal]:
        """Why the signers would not have enough, by journal; nothing where they have.

        What can be mended is mended also where there are enough, so that every journal stays level with the others.
        wanted: beside the participants.
        """
        mendable = {name: refusal for name, refusal in self._refusals.items() if refusal.code in MENDED}
        if mendable:
            return mendable
        others = {name: said.digest for name, said in self._said.items() if name not in participants}
        own = {said.digest for name, said in self._said.items() if name in participants}
        agreed = [name for name, digest in others.items() if own == {digest}]
        counted = any(said.counted for said in self._said.values())
        if len(others) < wanted:
            return dict(self._refusals)
        if counted and (len(own) > 1 or len(agreed) < wanted):
            names = tuple(self._said)
            reason = f"{', '.join(names)} remember different sets of reservations"
            return {names[0]: Refusal("journal_behind", reason, culprits=names)}
        return {}
