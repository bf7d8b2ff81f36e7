"""What is in a sealed message: the sender's clock, an echo of the broadcasts it saw, and the protocol's payloads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from strongroom.errors import Refusal
from strongroom.wire import cbor

BROADCAST, SIGNATURE, PRIVATE = 1, 2, 4
NO_ECHO = bytes(32)
_HEAD = 8 + 32 + 1


@dataclass(frozen=True)
class Envelope:
    """clock: Unix seconds; echo: 32 bytes; signature: 64 bytes over the broadcast, in DKG alone."""

    clock: int
    echo: bytes
    broadcast: bytes | None
    signature: bytes | None
    private: bytes | None

    def encode(self) -> bytes:
        flags = 0
        parts = [self.clock.to_bytes(8, "big"), self.echo, b""]
        if self.broadcast is not None:
            flags |= BROADCAST
            parts += (len(self.broadcast).to_bytes(4, "big"), self.broadcast)
        if self.signature is not None:
            flags |= SIGNATURE
            parts.append(self.signature)
        if self.private is not None:
            flags |= PRIVATE
            parts.append(self.private)
        parts[2] = bytes((flags,))
        return b"".join(parts)

    @classmethod
    def decode(cls, data: bytes) -> Envelope:
        """Raises Refusal `malformed_message`; the sender is authentic here, so the caller may blame it."""
        if len(data) < _HEAD or data[_HEAD - 1] > 7:
            raise _bad()
        flags, at = data[_HEAD - 1], _HEAD
        broadcast = signature = private = None
        if flags & BROADCAST:
            length = int.from_bytes(data[at : at + 4], "big")
            broadcast = data[at + 4 : at + 4 + length]
            at += 4 + length
            if at > len(data) or len(broadcast) != length:
                raise _bad()
        if flags & SIGNATURE:
            signature = data[at : at + 64]
            at += 64
            if at > len(data):
                raise _bad()
        if flags & PRIVATE:
            private, at = data[at:], len(data)
        if at != len(data):
            raise _bad()
        return cls(int.from_bytes(data[:8], "big"), data[8:40], broadcast, signature, private)


def _bad() -> Refusal:
    return Refusal("malformed_message", "an envelope that is cut short or too long")


def broadcast_signing_bytes(ceremony: bytes, round_number: int, sender: str, broadcast: bytes) -> bytes:
    """What a boot key signs, so that two broadcasts for one round are a proof that anyone can check."""
    name = bytes((len(sender),)) + sender.encode()
    digest = hashlib.sha256(broadcast).digest()
    return b"strongroom/broadcast/v1" + ceremony + bytes((round_number,)) + name + digest


def contribution_signing_bytes(ceremony: bytes, sender: str, result: bytes) -> bytes:
    name = bytes((len(sender),)) + sender.encode()
    return b"strongroom/contribution/v1" + ceremony + name + hashlib.sha256(result).digest()


@dataclass(frozen=True)
class Seen:
    """One participant's broadcast of a round, as this signer saw it."""

    sender: str
    digest: bytes
    signature: bytes


def echo(views: Iterable[Seen]) -> bytes:
    """views: of all participants in the order of the set, oneself included."""
    parts = (bytes((len(view.sender),)) + view.sender.encode() + view.digest for view in views)
    return hashlib.sha256(b"strongroom/echo/v1" + b"".join(parts)).digest()


def testimony(ceremony: bytes, round_number: int, views: Iterable[Seen]) -> bytes:
    """What a signer saw, with the senders' signatures: two testimonies that differ prove who equivocated."""
    rows: list[cbor.Value] = [[view.sender, view.digest, view.signature] for view in views]
    return cbor.encode({"ceremony": ceremony, "round": round_number, "seen": rows})
