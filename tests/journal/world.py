"""Journals in memory, a host that does with them what it likes, and a policy of one limit.

A signature exists as soon as one honest signer has its w acknowledgements: the other t - 1 of its set are the host's.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest

from strongroom.chains.effects import Effects, Transfer
from strongroom.errors import Refusal
from strongroom.journal.acknowledgement import Acknowledgement
from strongroom.journal.entry import Candidate
from strongroom.journal.journal import Journal, Reserved
from strongroom.journal.quorum import Quorum
from strongroom.journal.rejoin import Answer, Noted, Question
from strongroom.journal.sealed import Chain, Place
from strongroom.policy.history import History, Spend

ASSET = "evm:1/native"
RULE = "pay"
LIMIT = 90
WINDOW = 86_400
START = 1_800_000_000
KEY = bytes(32)


@contextmanager
def refused(code: str) -> Iterator[pytest.ExceptionInfo[Refusal]]:
    with pytest.raises(Refusal) as caught:
        yield caught
    assert caught.value.code == code, caught.value


@dataclass(frozen=True)
class Ask:
    """number: of the request. version: two versions are two intents of one request. nonce: what it uses up."""

    number: int
    amount: int = 0
    version: int = 0
    nonce: int | None = None
    replaces: int | None = None
    fee: int = 1

    @property
    def request(self) -> bytes:
        return hashlib.sha256(b"request %d" % self.number).digest()[:16]

    @property
    def intent(self) -> bytes:
        return hashlib.sha256(repr(self).encode()).digest()

    def candidate(self, at: int) -> Candidate:
        once = () if self.nonce is None else (f"nonce:{self.nonce}",)
        effects = Effects(
            "evm:1", (Transfer(ASSET, "0xpayee", self.amount),), fee_asset=ASSET, fee_ceiling=self.fee, once=once
        )
        replaces = None if self.replaces is None else Ask(self.replaces).request
        return Candidate(self.request, self.intent, at, START + 86_400, effects, replaces)

    def judge(self, at: int, limit: int | None = LIMIT) -> Callable[[History], Sequence[Spend]]:
        def judged(history: History) -> Sequence[Spend]:
            spends = (Spend(RULE, ASSET, "0xpayee", self.amount),) if self.amount else ()
            if spends and limit is not None:
                before, _ = history.spent(ASSET, RULE, None, at - WINDOW + 1)
                if before + self.amount > limit:
                    raise Refusal("policy_limit", f"{before} are spent")
            return spends

        return judged


@dataclass
class Start:
    """One process of a journal: the newest of its name, or an older one that still runs."""

    journal: Journal
    rolled_back: bool
    reserved: dict[Ask, Reserved] = field(default_factory=dict)


class World:
    """corrupt: names that say whatever helps the host. disks: every block that a name ever sealed, in order."""

    def __init__(self, journals: int, threshold: int, corrupt: Sequence[str] = (), *, join: bool = True) -> None:
        self.names = [chr(ord("a") + index) for index in range(journals)]
        self.quorum = Quorum(journals, threshold)
        self.corrupt = tuple(corrupt)
        self.honest = [name for name in self.names if name not in corrupt]
        self.now = START
        self._boots = itertools.count(1)
        self.disks: dict[str, list[bytes]] = {name: [] for name in self.honest}
        self.starts: dict[str, Start] = {}
        self.copies: list[Start] = []
        self.signed: dict[Ask, int] = {}
        for name in self.honest:
            self.boot(name, 0)
        if join:
            self.join_all()

    # What the host does to starts

    def random(self, size: int) -> bytes:
        return next(self._boots).to_bytes(size, "big")

    def boot(self, name: str, kept: int | None = None, *, copy: bool = False) -> Start:
        """From the first `kept` blocks of its disk (None: all). copy: what ran before goes on running."""
        if copy and name in self.starts:
            self.copies.append(self.starts[name])
        chain = Chain(KEY, Place(name, bytes(32), 1), self.random)
        journal = Journal(name, self.names, self.quorum, chain, self.random(16))
        blocks = self.disks[name] if kept is None else self.disks[name][:kept]
        journal.load(blocks)
        rolled_back = len(blocks) < len(self.disks[name])
        self.disks[name] = list(blocks)
        self.starts[name] = Start(journal, rolled_back)
        return self.starts[name]

    def keep(self, start: Start, block: bytes | None) -> None:
        if block is not None and start is self.starts[start.journal.name]:
            self.disks[start.journal.name].append(block)

    # What the host carries

    def exchange(self, asker: Start, peer: str, teller: Start | None = None) -> bool:
        """Until the asker has heard the peer. teller: one of the peer's starts, the newest if None."""
        for _ in range(40):
            question = asker.journal.ask(peer, self.random)
            if peer in self.corrupt:
                answer = self.lie(asker.journal, question)
            else:
                told = teller or self.starts[peer]
                answer, block = told.journal.tell(asker.journal.name, question)
                self.keep(told, block)
            heard, blocks = asker.journal.hear(peer, answer, self.now)
            for each in blocks:
                self.keep(asker, each)
            if heard:
                return True
        return False

    def lie(self, asker: Journal, data: bytes) -> bytes:
        """Of a corrupt journal: it joined, knows nothing, and agrees with whoever asks."""
        question = Question.decode(data)
        noted = {asker.name: Noted(question.incarnation, question.boot)}
        own = Noted(1 << 40, bytes(16))
        return Answer(question.nonce, True, own, noted, {}, asker.book.digest(), (), False).encode()

    def join(self, name: str, peers: Sequence[str] | None = None) -> bool:
        for _ in range(2):
            for peer in self.names if peers is None else peers:
                if peer != name and not self.starts[name].journal.joined:
                    self.exchange(self.starts[name], peer)
        return self.starts[name].journal.joined

    def join_all(self) -> None:
        for name in self.honest:
            assert self.join(name), name

    def level(self) -> None:
        """Everybody catches up with everybody."""
        for name in self.honest:
            for peer in self.honest:
                if peer != name:
                    self.exchange(self.starts[name], peer)

    # What the host asks for

    def reserve(self, start: Start, ask: Ask, limit: int | None = LIMIT) -> Reserved:
        reserved = start.journal.reserve(ask.candidate(self.now), ask.judge(self.now, limit), self.now)
        start.reserved[ask] = reserved
        self.keep(start, reserved.block)
        return reserved

    def lies(self, reserved: Reserved) -> dict[str, Acknowledgement]:
        return {name: replace(reserved.own, incarnation=1 << 40, views={}) for name in self.corrupt}

    def sign(self, signer: Start, ask: Ask, acknowledged: dict[str, Acknowledgement]) -> tuple[str, ...]:
        """With what was acknowledged, and what the corrupt add to it. Raises Refusal."""
        reserved = signer.reserved[ask]
        group = signer.journal.agreed(reserved, {**self.lies(reserved), **acknowledged}, self.now)
        self.signed[ask] = self.now
        return group

    def pay(self, ask: Ask, names: Sequence[str] | None = None, limit: int | None = LIMIT) -> tuple[str, ...]:
        """As an honest host would: reserve at these (None: all), level them where they differ, sign with the first."""
        chosen = [name for name in names or self.names if name not in self.corrupt]
        signer = self.starts[chosen[0]]
        for mending in range(3):
            acknowledged = {name: self.reserve(self.starts[name], ask, limit).own for name in chosen}
            own = acknowledged.pop(chosen[0])
            assert own == signer.reserved[ask].own
            try:
                return self.sign(signer, ask, acknowledged)
            except Refusal as refusal:
                if refusal.code != "journal_behind" or mending == 2:
                    raise
                for name in chosen:
                    for peer in chosen:
                        if peer != name:
                            self.exchange(self.starts[name], peer)
        raise AssertionError

    # What must hold

    def spent(self) -> int:
        return sum(ask.amount for ask in self.signed)

    def broken(self) -> Iterator[str]:
        for one, other in itertools.combinations(self.signed, 2):
            if one.request == other.request:
                yield f"one request, two intents: {one}, {other}"
            if one.nonce is not None and one.nonce == other.nonce and one.replaces is other.replaces is None:
                yield f"one nonce, two transactions: {one}, {other}"
        if self.spent() > LIMIT:
            yield f"{self.spent()} of {LIMIT} were signed for"
