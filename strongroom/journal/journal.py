"""One journal of one wallet, in one start of its signer: loaded, joined, reserving, answering others.

A start takes a new incarnation when it joins, so that two copies of one sealed state are never both believed. Until it
has joined it acknowledges nothing; it tells others what it loaded, and says that it has not joined.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from strongroom.errors import Refusal
from strongroom.journal.acknowledgement import MAX_INCARNATION, Acknowledgement, agreed
from strongroom.journal.book import Book, Multiplied, View
from strongroom.journal.entry import Candidate, Entry
from strongroom.journal.quorum import Quorum
from strongroom.journal.rejoin import PAGE, Answer, Noted, Question, floors_of, noted_of, page_of, pages
from strongroom.journal.sealed import Chain
from strongroom.journal.waiver import MAX_WAIVER, Presence, Waiver
from strongroom.policy.history import History, Spend

MAX_SKEW: Final = 30
"""Seconds that a reservation's time may differ from the journal's own clock."""

MAX_LEAP: Final = 1 << 20
"""By how much a peer's word raises the incarnation that is noted of a third: a liar who says the highest number there
is would leave none."""

OUTBOX: Final = 16
OUTBOX_SIZE: Final = 1 << 16
"""Bytes, unless the newest block alone is larger."""

MAX_STEP: Final = 1 << 40
"""By how much one raises one's own incarnation at once, so that a hundred lies of others do not bar the way back."""


@dataclass(frozen=True)
class Reserved:
    """own: this journal's acknowledgement. block: sealed, to be kept; None where nothing changed. counted: see
    `acknowledgement.agreed`."""

    own: Acknowledgement
    block: bytes | None
    counted: bool


@dataclass
class _Hearing:
    """What is asked of one peer. nonce: of the open question, None while there is none."""

    nonce: bytes | None = None
    boot: bytes = b""
    buckets: tuple[bytes, ...] = ()
    part: int = 0
    after: bytes = b""


@dataclass
class _Joining:
    """Before this start has joined. answers: the last one of each peer that was heard under the present proposal."""

    answers: dict[str, Answer] = field(default_factory=dict)

    def superseded(self, peer: str) -> bool:
        """Whether another one heard knows a later start of this peer: then a copy of an older state answered."""
        said = self.answers[peer].own.incarnation
        others = (each.noted.get(peer) for name, each in self.answers.items() if name != peer)
        return any(noted is not None and noted.incarnation > said for noted in others)


class Journal:
    """names: all journals of the wallet, roster and witnesses. boot: 16 bytes, of this start. Not thread safe."""

    def __init__(
        self, name: str, names: Sequence[str], quorum: Quorum, chain: Chain, boot: bytes, book: Book | None = None
    ) -> None:
        self.name = name
        self.peers = tuple(peer for peer in names if peer != name)
        self.quorum = quorum
        self.book = Book() if book is None else book
        self.boot = boot
        self.incarnation = 0
        """Before joining: of the start before."""
        self.chain = chain
        self._noted: dict[str, Noted] = {}
        self._joining: _Joining | None = _Joining()
        self._proposed = 0
        self._hearing: dict[str, _Hearing] = {}
        self._waiver: Waiver | None = None
        self.outbox: deque[bytes] = deque(maxlen=OUTBOX)
        """The newest blocks: sent with every answer, since an answer may be lost."""

    @property
    def joined(self) -> bool:
        return self._joining is None

    @property
    def number(self) -> int:
        """The incarnation that this start goes by, or proposes to."""
        return self.incarnation if self.joined else self._proposed or self.incarnation + 1

    def waiver(self, now: int) -> Waiver | None:
        """The one in force."""
        return self._waiver if self._waiver is not None and now < self._waiver.expiry else None

    @property
    def heard(self) -> tuple[str, ...]:
        """Who was heard on the way to joining; nobody afterwards."""
        return () if self._joining is None else tuple(self._joining.answers)

    def views(self) -> dict[str, int]:
        return {name: noted.incarnation for name, noted in self._noted.items()}

    # At rest

    def load(self, blocks: Iterable[bytes]) -> None:
        """What this journal sealed before, oldest first; several calls go on from each other. Raises Refusal."""
        if self.joined or self._proposed:
            raise Refusal("wrong_phase", "a journal is loaded before it asks others")
        for block in blocks:
            fields = self.chain.open(block)
            self.incarnation = max(self.incarnation, fields.integer("incarnation", most=MAX_INCARNATION))
            for name, noted in noted_of(fields.raw("noted")).items():
                self._note(name, noted)
            self.book.lift(floors_of(fields.raw("floors")))
            for entry in fields.items("entries", Entry.parse, most=PAGE):
                self.book.add(entry)
            fields.end()

    def _block(self, entries: Sequence[Entry] = (), *, first: bool = False, all_else: bool = False) -> bytes:
        block = self.chain.seal(
            {
                "incarnation": self.incarnation,
                "noted": {name: each.value() for name, each in self._noted.items()} if all_else else {},
                "floors": dict(self.book.floors) if all_else else {},
                "entries": [entry.value() for entry in entries],
            },
            first=first,
        )
        self.outbox.append(block)
        while len(self.outbox) > 1 and sum(map(len, self.outbox)) > OUTBOX_SIZE:
            self.outbox.popleft()
        return block

    def checkpoint(self) -> list[bytes]:
        """Blocks that hold all there is: those before them are not needed any more."""
        blocks: list[bytes] = []
        for page in pages(sorted(self.book, key=lambda each: each.at)):
            blocks.append(self._block(page, first=not blocks, all_else=not blocks))
        self.outbox.clear()
        return blocks

    # Reserving

    def require_joined(self, now: int) -> None:
        if not self.joined and self.waiver(now) is None:
            raise Refusal("not_joined", f"since its start {self.name} has not heard enough other journals")

    def reserve(self, candidate: Candidate, judge: Callable[[History], Sequence[Spend]], now: int) -> Reserved:
        """Remembers a request that nothing speaks against; asked again, renews it and judges anew.

        judge: the policy's judgement over what was reserved before. now: this journal's clock. Raises Refusal.
        """
        self.require_joined(now)
        if abs(candidate.at - now) > MAX_SKEW:
            raise Refusal(
                "journal_clock", f"the time asked for is {candidate.at - now} seconds from this journal's clock"
            )
        asked = False

        def judged(view: View) -> Sequence[Spend]:
            nonlocal asked
            spends = judge(view)
            asked = asked or view.asked
            if asked and (waiver := self.waiver(now)) is not None:
                # The policy's own judgement, as if so many signers spent alike: limit / (n - t + 1) for each.
                judge(Multiplied(view, spends, waiver.divisor))
            return spends

        entry = self.book.decide(candidate, judged)
        block = self._block([entry]) if self.book.add(entry) else None
        own = Acknowledgement(entry.request, entry.intent, self.book.digest(), self.incarnation, self.views())
        return Reserved(own, block, asked)

    def agreed(self, reserved: Reserved, others: Mapping[str, Acknowledgement], now: int) -> tuple[str, ...]:
        """The journals that stand for a reservation of this one. Raises Refusal, see `acknowledgement.agreed`."""
        waiver = self.waiver(now)
        if waiver is None:
            return agreed(self.name, reserved.own, others, self.quorum.acknowledgements, counted=reserved.counted)
        present = {name: each for name, each in others.items() if name in waiver.names}
        return agreed(self.name, reserved.own, present, len(waiver.names), counted=reserved.counted)

    def waive(self, waiver: Waiver, now: int) -> bytes:
        """Goes on with those whom officers name, on the state that they saw. Gives a block to be kept.

        Once: what it says of this journal is not true any more after its first reservation, or another start.
        """
        row = waiver.present.get(self.name)
        if row != Presence(self.boot, self.number, self.book.digest()) or waiver == self._waiver:
            raise Refusal("waiver_refused", f"the officers' waiver is for another state or start of {self.name}")
        if not set(waiver.names) <= {self.name, *self.peers} or not now < waiver.expiry <= now + MAX_WAIVER:
            raise Refusal("waiver_refused", "the waiver has expired, lasts too long, or names a stranger")
        self._waiver, self.incarnation = waiver, self.number
        for name, each in waiver.present.items():
            if name != self.name:
                self._note(name, Noted(each.incarnation, each.boot))
        return self._block(all_else=True)

    # Telling

    def tell(self, peer: str, data: bytes) -> tuple[bytes, bytes | None]:
        """The answer to another journal's question, and a block to be kept where this one took note of its start."""
        self._require_peer(peer)
        question = Question.decode(data)
        changed = self._note(peer, Noted(question.incarnation, question.boot))
        block = self._block(all_else=True) if changed else None
        if question.buckets:
            entries, more = page_of(self.book, question)
        else:
            entries, more = tuple(self.book.recent()), False
        answer = Answer(
            question.nonce,
            self.joined,
            Noted(self.number, self.boot),
            self._noted,
            self.book.floors,
            self.book.digest(),
            entries,
            more,
        )
        return answer.encode(), block

    def _note(self, name: str, noted: Noted) -> bool:
        """A number is taken by one start alone, so that two copies never both hold it."""
        known = self._noted.get(name)
        if known is not None and noted.incarnation <= known.incarnation:
            return False
        self._noted[name] = noted
        return True

    # Asking

    def ask(self, peer: str, random: Callable[[int], bytes]) -> bytes:
        """The next question to this peer. Answers to earlier ones are not taken any more."""
        self._require_peer(peer)
        hearing = self._hearing.setdefault(peer, _Hearing())
        hearing.nonce = random(16)
        self._proposed = incarnation = self.number
        return Question(hearing.nonce, self.boot, incarnation, hearing.buckets, hearing.part, hearing.after).encode()

    def hear(self, peer: str, data: bytes, now: int) -> tuple[bool, list[bytes]]:
        """Takes an answer. Whether this peer is heard, so that nothing more need be asked of it now; and blocks to be
        kept. Raises Refusal: what the peer says wrong, it is accused of."""
        self._require_peer(peer)
        answer = Answer.decode(data)
        hearing = self._hearing.get(peer)
        if hearing is None or answer.nonce != hearing.nonce:
            raise Refusal("channel_link", f"{peer} answered another question", culprits=(peer,), verdict="link")
        hearing.nonce = None
        if any(entry.at > now + MAX_SKEW or entry.expiry > entry.at + 2 * 86400 for entry in answer.entries):
            raise Refusal("malformed_message", f"{peer} tells of times to come", culprits=(peer,), verdict="accusation")
        if hearing.boot not in (b"", answer.own.boot):
            # It was restarted between two pages: what it holds now may be less.
            del self._hearing[peer]
            return False, []
        hearing.boot = answer.own.boot
        if not self._accepted(peer, answer):
            return False, []
        fresh = [entry for entry in answer.entries if self.book.add(entry)]
        self.book.lift(answer.floors)
        for name, noted in answer.noted.items():
            known = self._noted.get(name)
            if name in self.peers and noted.incarnation <= MAX_LEAP + (known.incarnation if known else 0):
                self._note(name, noted)
        blocks = [self._block(fresh)] if fresh else []
        if not self._complete(hearing, answer):
            return False, blocks
        del self._hearing[peer]
        if self._joins(peer, answer):
            blocks.append(self._block(all_else=True))
        return True, blocks

    def _complete(self, hearing: _Hearing, answer: Answer) -> bool:
        """Whether everything that the peer had is here now; otherwise `hearing` says how to go on."""
        if answer.more:
            last = answer.entries[-1]
            hearing.part, hearing.after = last.request[0], last.key
            return False
        if hearing.buckets or answer.digest == self.book.digest():
            return True
        hearing.buckets = self.book.parts()
        return False

    # Joining

    def _accepted(self, peer: str, answer: Answer) -> bool:
        """Whether the peer took note of this very start. If not, a higher number is proposed to all, anew: this start
        is a copy, or somebody lied about it."""
        proposed = self.number
        noted = answer.noted.get(self.name)
        if noted == Noted(proposed, self.boot):
            return True
        if noted is None or noted.incarnation > proposed + MAX_STEP:
            reason = f"{peer} tells of a start of {self.name} that cannot be"
            raise Refusal("malformed_message", reason, culprits=(peer,), verdict="accusation")
        self._proposed = max(proposed, noted.incarnation) + 1
        self._joining = _Joining()
        self._hearing.clear()
        return False

    def _joins(self, peer: str, answer: Answer) -> bool:
        """Whether this journal has joined now that it heard this peer too."""
        joining = self._joining
        if joining is None:
            return False
        joining.answers[peer] = answer
        current = [each for name, each in joining.answers.items() if not joining.superseded(name)]
        ready = sum(each.joined for each in current)
        if not self.quorum.enough(ready, len(current) - ready):
            return False
        self.incarnation, self._joining = self._proposed, None
        return True

    def _require_peer(self, peer: str) -> None:
        if peer not in self.peers:
            raise Refusal("not_in_roster", f"{peer[:32]} keeps no journal of this wallet")
