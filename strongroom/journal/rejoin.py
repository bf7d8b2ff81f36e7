"""How a journal asks another what it remembers, and what the other answers: after a restart, and when it fell behind.

A restarted journal asks others in any order. It has heard one when it holds all that the other held at the moment when
the other took note of the new incarnation. Each exchange is a question and an answer, sealed on the pair's channel:

    without `buckets`   the other's views, floors, digest and newest entries: mostly that is all
    with `buckets`      the digests of 256 parts of the asker's set: the other sends the parts that differ, in pages
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from strongroom.errors import Refusal
from strongroom.journal.acknowledgement import MAX_INCARNATION
from strongroom.journal.book import PARTS as BUCKETS
from strongroom.journal.book import Book
from strongroom.journal.entry import Entry
from strongroom.journal.quorum import MAX_JOURNALS
from strongroom.wire import cbor
from strongroom.wire.fields import Fields, bytes_item

PAGE: Final = 1024
"""Entries of an answer."""

PAGE_SIZE: Final = 1 << 20
"""Bytes of an answer, about; one entry may be larger than what is left of a page."""


@dataclass(frozen=True)
class Noted:
    """A start of a journal: its incarnation, and the boot (16 bytes) that took it."""

    incarnation: int
    boot: bytes

    def value(self) -> list[cbor.Value]:
        return [self.incarnation, self.boot]

    @classmethod
    def parse(cls, value: cbor.Value) -> Noted:
        if not isinstance(value, list) or len(value) != 2:
            raise Refusal("malformed_message", "a start is a number and a boot")
        number, boot = value
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= MAX_INCARNATION:
            raise Refusal("malformed_message", "an incarnation is a number")
        if not isinstance(boot, bytes) or len(boot) != 16:
            raise Refusal("malformed_message", "a boot has 16 bytes")
        return cls(number, boot)


def noted_of(value: cbor.Value) -> dict[str, Noted]:
    if not isinstance(value, dict) or len(value) > MAX_JOURNALS:
        raise Refusal("malformed_message", f"starts are a map of at most {MAX_JOURNALS}")
    return {name: Noted.parse(each) for name, each in value.items()}


@dataclass(frozen=True)
class Question:
    """nonce: 16 bytes, fresh. boot: of the asker. incarnation: the number that it proposes to go by.

    buckets: digests of the asker's parts, or none. part, after: where to go on: the entries of that part with a larger
    key.
    """

    nonce: bytes
    boot: bytes
    incarnation: int
    buckets: tuple[bytes, ...] = ()
    part: int = 0
    after: bytes = b""

    def encode(self) -> bytes:
        return cbor.encode(
            {
                "v": 1,
                "kind": "ask",
                "nonce": self.nonce,
                "boot": self.boot,
                "incarnation": self.incarnation,
                "buckets": list(self.buckets),
                "part": self.part,
                "after": self.after,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Question:
        fields = _read(data, "ask")
        question = cls(
            fields.blob("nonce", size=16),
            fields.blob("boot", size=16),
            fields.integer("incarnation", most=MAX_INCARNATION),
            fields.items("buckets", bytes_item, most=BUCKETS),
            fields.integer("part", most=BUCKETS - 1),
            fields.blob("after", most=32),
        )
        fields.end()
        if len(question.buckets) not in (0, BUCKETS):
            raise Refusal("malformed_message", f"a journal's question has {BUCKETS} parts or none")
        return question


@dataclass(frozen=True)
class Answer:
    """joined: whether the answering journal is. own: its start. noted: the last starts of others that it knows of, the
    asker's among them. entries: what was asked for. more: whether there is more behind the last of them.
    """

    nonce: bytes
    joined: bool
    own: Noted
    noted: Mapping[str, Noted]
    floors: Mapping[str, int]
    digest: bytes
    entries: tuple[Entry, ...]
    more: bool

    def encode(self) -> bytes:
        return cbor.encode(
            {
                "v": 1,
                "kind": "tell",
                "nonce": self.nonce,
                "joined": self.joined,
                "own": self.own.value(),
                "noted": {name: each.value() for name, each in self.noted.items()},
                "floors": dict(self.floors),
                "digest": self.digest,
                "entries": [entry.value() for entry in self.entries],
                "more": self.more,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Answer:
        fields = _read(data, "tell")
        answer = cls(
            fields.blob("nonce", size=16),
            fields.flag("joined"),
            Noted.parse(fields.raw("own")),
            noted_of(fields.raw("noted")),
            floors_of(fields.raw("floors")),
            fields.blob("digest", size=32),
            fields.items("entries", Entry.parse, most=PAGE),
            fields.flag("more"),
        )
        fields.end()
        return answer


def floors_of(value: cbor.Value) -> dict[str, int]:
    if not isinstance(value, dict):
        raise Refusal("malformed_message", "floors are a map")
    numbers = {
        name: number for name, number in value.items() if isinstance(number, int) and not isinstance(number, bool)
    }
    if len(numbers) != len(value) or any(number < 0 for number in numbers.values()):
        raise Refusal("malformed_message", "a floor is an account's number")
    return numbers


def _read(data: bytes, kind: str) -> Fields:
    fields = Fields.decode(data, "journal message")
    fields.version()
    if fields.text("kind") != kind:
        raise Refusal("malformed_message", f"a journal's message is not of kind {kind}")
    return fields


def pages(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Entries in groups of what one message or block carries; one empty group where there are none."""
    page: list[Entry] = []
    size = 0
    for entry in entries:
        if page and (len(page) == PAGE or size + entry.weight > PAGE_SIZE):
            yield page
            page, size = [], 0
        page.append(entry)
        size += entry.weight
    yield page


def page_of(book: Book, question: Question) -> tuple[tuple[Entry, ...], bool]:
    """What differs from the asker's parts, from where it wants to go on, as much as a page holds; and whether there is
    more."""
    digests = book.parts()
    start = (question.part, question.after)
    left = (
        entry
        for number in range(question.part, BUCKETS)
        if digests[number] != question.buckets[number]
        for entry in book.part(number)
        if (number, entry.key) > start
    )
    cut = pages(left)
    page = next(cut)
    return tuple(page), next(cut, None) is not None
