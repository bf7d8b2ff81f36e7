"""The signers that this host knows: their pools, how they last answered, and single questions to them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from strongroom.errors import Refusal
from strongroom.wire import cbor
from strongroom.wire.fields import Fields
from strongroom.wire.frame import decode_answer, encode_request
from strongroom_host.connection import Address, Connection, exchange, unreachable
from strongroom_host.pool import Pool

CALL_TIMEOUT: Final = 5.0
"""Seconds for one question and its answer."""

Question = tuple[str, str, dict[str, cbor.Value]]
"""Signer, operation, body."""


class Refused(Refusal):
    """A refusal that came from, or is about, the signer named in `by`."""

    def __init__(self, by: str, refusal: Refusal) -> None:
        super().__init__(
            refusal.code,
            refusal.reason,
            culprits=refusal.culprits,
            verdict=refusal.verdict,
            proof=refusal.proof,
        )
        self.by = by


@dataclass(frozen=True)
class Seen:
    """How a signer last answered. at: Unix seconds; trouble: None where it answered."""

    at: float
    trouble: str | None


class Signers:
    """Thread safe. Raises Refusal `signer_unreachable` for silence and for names without an address."""

    def __init__(self, addresses: Mapping[str, Address]) -> None:
        self._pools = {name: Pool(name, address) for name, address in addresses.items()}
        self._seen: dict[str, Seen] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._pools)

    def seen(self, name: str) -> Seen | None:
        return self._seen.get(name)

    def troubled(self, name: str, within: float) -> bool:
        """Whether the signer was out of reach when last asked, at most `within` seconds ago."""
        seen = self._seen.get(name)
        return seen is not None and seen.trouble is not None and time.time() - seen.at < within

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()

    def borrow(self, name: str, deadline: float) -> Connection:
        pool = self._pools.get(name)
        if pool is None:
            raise Refusal("signer_unreachable", f"this host has no address for {name[:32]}", culprits=(name,))
        try:
            return pool.borrow(deadline)
        except Refusal as refusal:
            self.note(name, refusal)
            raise

    def give_back(self, connection: Connection) -> None:
        self._pools[connection.name].give_back(connection)

    def note(self, name: str, answer: object) -> None:
        trouble = answer.reason if isinstance(answer, Refusal) and answer.code == "signer_unreachable" else None
        self._seen[name] = Seen(time.time(), trouble)

    @contextmanager
    def lines(self, names: Sequence[str], deadline: float) -> Iterator[dict[str, Connection | Refusal]]:
        """One connection to each of the signers, or the Refusal of those out of reach."""
        lines: dict[str, Connection | Refusal] = {}
        try:
            for name in names:
                try:
                    lines[name] = self.borrow(name, deadline)
                except Refusal as refusal:
                    lines[name] = refusal
            yield lines
        finally:
            for line in lines.values():
                if isinstance(line, Connection):
                    self.give_back(line)

    def call(self, name: str, operation: str, body: dict[str, cbor.Value], timeout: float = CALL_TIMEOUT) -> Fields:
        """One question. Raises the signer's Refusal, or `signer_unreachable`."""
        (answer,) = self.ask([(name, operation, body)], timeout)
        if isinstance(answer, Refusal):
            raise answer
        return answer

    def ask(self, questions: Sequence[Question], timeout: float = CALL_TIMEOUT) -> list[Fields | Refusal]:
        """All questions at once; several may go to one signer, each over a connection of its own."""
        deadline = time.monotonic() + timeout
        answers: list[Fields | Refusal] = []
        jobs: list[tuple[Connection, bytes]] = []
        where: list[int] = []
        for index, (name, operation, body) in enumerate(questions):
            answers.append(unreachable(name, "was not asked"))
            try:
                jobs.append((self.borrow(name, deadline), encode_request(operation, body)))
                where.append(index)
            except Refusal as refusal:
                answers[index] = Refused(name, refusal)
        try:
            for index, payload in zip(where, exchange(jobs, deadline), strict=True):
                answers[index] = self.read(questions[index][0], payload)
        finally:
            for connection, _ in jobs:
                self.give_back(connection)
        return answers

    def read(self, name: str, answer: bytes | Refusal) -> Fields | Refusal:
        self.note(name, answer)
        if isinstance(answer, Refusal):
            return Refused(name, answer)
        try:
            return decode_answer(answer)
        except Refusal as refusal:
            return Refused(name, refusal)
