"""What journals say to each other, seal and are shown: the host carries and keeps it, and a corrupt one writes it."""

from __future__ import annotations

import dataclasses
import hashlib
from functools import cache

from strongroom.journal.acknowledgement import Acknowledgement
from strongroom.journal.book import Book
from strongroom.journal.entry import Entry
from strongroom.journal.journal import Journal
from strongroom.journal.quorum import Quorum
from strongroom.journal.rejoin import Answer, Question
from strongroom.journal.sealed import Chain, Place
from strongroom.journal.waiver import Presence, SignedWaiver, Waiver, waiver_signing_bytes
from strongroom.wire import cbor
from tests.fuzz.target import Target, coded, made
from tests.journal.world import KEY, START, Ask, World
from tests.wallet.orders import OFFICER_KEYS, OFFICERS

NAMES = ("a", "b", "c", "d")
NONCE = b"\7" * 16
ASKS = (Ask(1, 10, nonce=1), Ask(2, 10, nonce=1, fee=2, replaces=1))


def _journal() -> Journal:
    """Of a start that has loaded nothing and asked nobody."""
    chain = Chain(KEY, Place("a", bytes(32), 1), lambda size: NONCE[:size])
    return Journal("a", NAMES, Quorum(4, 2), chain, b"\1" * 16)


@cache
def _world() -> World:
    """Two requests, of which a knows nothing: the second one replaces the first."""
    world = World(4, 2)
    for ask in ASKS:
        world.pay(ask, ["b", "c", "d"])
    return world


def _entries() -> list[Entry]:
    return list(_world().starts["b"].journal.book)


def _written(index: int) -> bytes:
    return cbor.encode(_entries()[index].value())


def _acknowledgement() -> bytes:
    world = _world()
    return world.reserve(world.starts["b"], ASKS[-1]).own.encode()


def _question() -> bytes:
    return _journal().ask("b", lambda size: NONCE)


def _long_question() -> bytes:
    read = Question.decode(_question())
    return dataclasses.replace(read, buckets=Book().parts(), part=3, after=bytes(32)).encode()


def _answer() -> bytes:
    """To the question that `_heard` asks."""
    message, _ = _world().starts["b"].journal.tell("a", _question())
    return message


def _long_answer() -> bytes:
    message, _ = _world().starts["b"].journal.tell("a", _long_question())
    return message


def _told(data: bytes) -> None:
    journal = _journal()
    message, _ = journal.tell("b", data)
    Answer.decode(message)


def _heard(data: bytes) -> None:
    journal = _journal()
    journal.ask("b", lambda size: NONCE)
    _, blocks = journal.hear("b", data, START)
    _journal().load(blocks)


def _block() -> bytes:
    return _journal().checkpoint()[0]


def _opened(data: bytes) -> None:
    _journal().load([data])


def _content() -> bytes:
    entries: list[cbor.Value] = [entry.value() for entry in _entries()]
    noted: dict[str, cbor.Value] = {"b": [2, bytes(16)]}
    return cbor.encode({"incarnation": 3, "noted": noted, "floors": {"evm:1//": 4}, "entries": entries})


def _sealed(data: bytes) -> None:
    """What is in a block, whoever put it there."""
    value = cbor.decode(data)
    sealer = _journal().chain
    _journal().load([sealer.seal(value if isinstance(value, dict) else {})])


def _entry(data: bytes) -> bytes:
    return cbor.encode(Entry.parse(cbor.decode(data)).value())


def _waiver() -> Waiver:
    present = {name: Presence(name.encode() * 16, 4, hashlib.sha256(name.encode()).digest()) for name in NAMES[:2]}
    return Waiver(bytes(32), 1, present, 2, START + 600)


def _signed_waiver() -> bytes:
    raw = _waiver().encode()
    message = waiver_signing_bytes(raw)
    rows = tuple((key, secret.sign(message)) for key, secret in sorted(OFFICER_KEYS.items()))
    return SignedWaiver(raw, _waiver(), rows).encode()


def _waived(data: bytes) -> None:
    SignedWaiver.decode(data).verify(OFFICERS, bytes(32), 1, 2)


JOURNAL = [
    coded("acknowledgement", Acknowledgement, _acknowledgement),
    coded("journal's question", Question, _question, _long_question),
    coded("journal's answer", Answer, _answer, _long_answer),
    Target("question that is answered", _told, made(_question, _long_question)),
    Target("answer that is heard", _heard, made(_answer)),
    Target("journal's block", _opened, made(_block)),
    Target("what is in a block", _sealed, made(_content)),
    Target("journal's entry", _entry, made(lambda: _written(0), lambda: _written(1))),
    coded("waiver", Waiver, lambda: _waiver().encode()),
    coded("signed waiver", SignedWaiver, _signed_waiver),
    Target("waiver that is taken", _waived, made(_signed_waiver)),
]
