"""An established channel: sealed messages in two directions (docs/specification.md section 8).

Replays die with the ceremony: a round's message is taken once, and the ceremony, the round and both names are in the
AAD. So messages of many ceremonies may overtake each other, and no window of counters has to be kept.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.errors import Refusal

ID = 16
COUNTER = 8
OVERHEAD = ID + COUNTER + 16


@dataclass(frozen=True)
class Binding:
    """What a message belongs to. Built once for each ceremony."""

    ceremony: bytes
    order_id: bytes
    epoch: int

    def prefix(self) -> bytes:
        return b"strongroom/message/v1" + self.ceremony + self.order_id + self.epoch.to_bytes(8, "big")


def route(round_number: int, sender: str, recipient: str) -> bytes:
    names = b"".join(bytes((len(name),)) + name.encode() for name in (sender, recipient))
    return bytes((round_number,)) + names


class Channel:
    """Keys stay inside; `expires` is Unix seconds. Threads may seal and open at once."""

    __slots__ = ("_counter", "_receive", "_send", "boot_key", "expires", "identifier", "peer", "proven")

    def __init__(
        self, identifier: bytes, peer: str, boot_key: bytes, send: bytes, receive: bytes, expires: int, proven: bool
    ) -> None:
        self.identifier = identifier
        self.peer = peer
        self.boot_key = boot_key
        self.expires = expires
        self.proven = proven
        """False while the peer may not yet know that the channel stands; True from its first message on."""
        self._send = AESGCM(send)
        self._receive = AESGCM(receive)
        # next() on a count is one step of the interpreter, so two threads never draw the same number.
        self._counter = itertools.count()

    def seal(self, associated: bytes, plaintext: bytes) -> bytes:
        """associated: the binding's prefix and the route."""
        counter = next(self._counter).to_bytes(COUNTER, "big")
        body = self._send.encrypt(b"\0\0\0\0" + counter, plaintext, associated + counter)
        return b"".join((self.identifier, counter, body))

    def open(self, associated: bytes, sealed: bytes) -> bytes:
        """Raises Refusal `channel_link`: a message that does not open blames the link, never the peer."""
        counter = sealed[ID : ID + COUNTER]
        try:
            plaintext = self._receive.decrypt(b"\0\0\0\0" + counter, sealed[ID + COUNTER :], associated + counter)
        except (InvalidTag, ValueError):
            raise Refusal(
                "channel_link",
                f"a message from {self.peer} does not open: changed, replayed or misdelivered",
                verdict="link",
            ) from None
        self.proven = True
        return plaintext
