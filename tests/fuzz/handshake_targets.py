"""The four messages with which two signers open a channel: the host carries them, and could write any of them."""

from __future__ import annotations

from functools import cache

from strongroom.channel import handshake
from strongroom.channel.handshake import Answered, Opened, Proven
from tests.channel.pair import NOW, Pair, attest, setting
from tests.fuzz.target import Target, made


@cache
def _begun() -> tuple[Opened, bytes]:
    return Pair().open()


@cache
def _answered() -> tuple[Answered, bytes]:
    return Pair().answer(_begun()[1])


@cache
def _proven() -> tuple[Proven, bytes]:
    return Pair().prove(_begun()[0], _answered()[1])


def _last() -> bytes:
    _, message = Pair().accept(_answered()[0], _proven()[1])
    return message


def _first_is_read(data: bytes) -> None:
    handshake.answer(setting("b", "a"), data, lambda size: b"\x40" * size, lambda nonce, user_data: b"evidence")


def _second_is_read(data: bytes) -> None:
    handshake.prove(_begun()[0], data, attest("a"), NOW)


def _third_is_read(data: bytes) -> None:
    handshake.accept(_answered()[0], data, NOW)


def _fourth_is_read(data: bytes) -> None:
    handshake.finish(_proven()[0], data, NOW)


HANDSHAKE = [
    Target("handshake, first message", _first_is_read, made(lambda: _begun()[1])),
    Target("handshake, second message", _second_is_read, made(lambda: _answered()[1])),
    Target("handshake, third message", _third_is_read, made(lambda: _proven()[1])),
    Target("handshake, fourth message", _fourth_is_read, made(_last)),
]
