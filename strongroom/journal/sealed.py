"""The journal at rest: blocks that only their signer can read and write, each bound to the one before it.

The host keeps them. It can keep them back, or an end of them; that is what the other journals are for. It cannot
change, reorder, splice or forge any.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.errors import Refusal
from strongroom.wire import cbor
from strongroom.wire.fields import Fields

MAX_BLOCK: Final = 1 << 21
NO_BLOCK: Final = bytes(32)
_NONCE: Final = 12


@dataclass(frozen=True)
class Place:
    """Whose journal it is. journal: the name of the signer or witness."""

    journal: str
    order: bytes
    epoch: int


class Chain:
    """Seals and opens blocks, and knows where the chain ends. random: for nonces of 12 bytes, drawn for each block."""

    def __init__(self, key: bytes, place: Place, random: Callable[[int], bytes]) -> None:
        self._key = AESGCM(key)
        self._place = place
        self._random = random
        self.sequence = 0
        """Of the next block."""
        self.head = NO_BLOCK
        """H of the last block."""

    def seal(self, content: Mapping[str, cbor.Value], *, first: bool = False) -> bytes:
        first = first or self.sequence == 0
        nonce = self._random(_NONCE)
        body = self._key.encrypt(nonce, cbor.encode(dict(content)), self._associated(self.sequence, first, self.head))
        block = cbor.encode(
            {"sequence": self.sequence, "first": first, "previous": self.head, "nonce": nonce, "sealed": body}
        )
        self.sequence += 1
        self.head = hashlib.sha256(block).digest()
        return block

    def open(self, data: bytes) -> Fields:
        """The content of the block that comes next, or of one that starts anew. Raises Refusal `sealed_mismatch`."""
        if len(data) > MAX_BLOCK:
            raise Refusal("oversized_message", f"a journal's block of {len(data)} bytes is over {MAX_BLOCK}")
        fields = Fields.decode(data, "block")
        sequence, first = fields.integer("sequence"), fields.flag("first")
        previous = fields.blob("previous", size=32)
        nonce, body = fields.blob("nonce", size=_NONCE), fields.blob("sealed")
        fields.end()
        follows = sequence == self.sequence and previous == self.head
        if not follows and not (first and sequence >= self.sequence):
            raise Refusal("sealed_mismatch", f"block {sequence} does not follow the one before it")
        try:
            content = self._key.decrypt(nonce, body, self._associated(sequence, first, previous))
        except InvalidTag:
            raise Refusal("sealed_mismatch", f"block {sequence} was not sealed by this journal") from None
        self.sequence = sequence + 1
        self.head = hashlib.sha256(data).digest()
        return Fields.decode(content, "block")

    def _associated(self, sequence: int, first: bool, previous: bytes) -> bytes:
        place = self._place
        value: dict[str, cbor.Value] = {
            "journal": place.journal,
            "order": place.order,
            "epoch": place.epoch,
            "sequence": sequence,
            "first": first,
            "previous": previous,
        }
        return hashlib.sha256(b"strongroom/journal-block/v1" + cbor.encode(value)).digest()
