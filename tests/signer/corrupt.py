"""A corrupt signer: the real one, with its attested identity and its channels, that says something else in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from strongroom.channel.envelope import Envelope, broadcast_signing_bytes
from strongroom.channel.session import Channel
from tests.signer.cluster import Node

_CEREMONY = len(b"strongroom/message/v1")
_ROUND = _CEREMONY + 32 + 32 + 8


@dataclass(frozen=True)
class Said:
    """What the signer is about to seal for one recipient."""

    ceremony: bytes
    round: int
    recipient: str
    envelope: Envelope


Lie = Callable[[Said], Envelope | bytes]
"""What it says instead; bytes for what is no envelope."""


class _Sealing:
    """In the place of a channel, for its sender."""

    def __init__(self, channel: Channel, node: Node, lie: Lie) -> None:
        self._channel, self._node, self._lie = channel, node, lie

    def seal(self, associated: bytes, plaintext: bytes) -> bytes:
        ceremony, number = associated[_CEREMONY : _CEREMONY + 32], associated[_ROUND]
        told = self._lie(Said(ceremony, number, self._channel.peer, Envelope.decode(plaintext)))
        if isinstance(told, Envelope):
            told = self._signed(told, ceremony, number).encode()
        return self._channel.seal(associated, told)

    def _signed(self, told: Envelope, ceremony: bytes, number: int) -> Envelope:
        """A liar signs its lies: unsigned ones are noticed at once. One that left the signature out, left it out."""
        if told.broadcast is None or told.signature is None:
            return told
        identity = self._node.signer._identity
        message = broadcast_signing_bytes(ceremony, number, self._node.name, told.broadcast)
        return dataclasses.replace(told, signature=identity.sign(message))


def corrupt(node: Node, order: bytes, lie: Lie) -> None:
    """From now on `node` says what `lie` makes of its messages, in all ceremonies of this order."""
    links = node.signer._wallets.by_order(order).links
    honest = type(links).sending

    def sending(peer: str, now: int) -> Channel:
        return cast(Channel, _Sealing(honest(links, peer, now), node, lie))

    links.sending = sending  # type: ignore[method-assign]


def reform(node: Node, order: bytes) -> None:
    """It says the truth again."""
    del node.signer._wallets.by_order(order).links.__dict__["sending"]


def flip(payload: bytes | None, place: int) -> bytes:
    assert payload is not None
    body = bytearray(payload)
    body[place] ^= 1
    return bytes(body)
