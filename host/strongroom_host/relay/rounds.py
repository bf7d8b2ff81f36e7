"""Drives one ceremony: asks every participant to start, carries each one's messages to the others, until all are done.

All participants of a trip are written to before any is read, in one thread. What is carried is sealed; the host checks
only what it needs to blame the right signer: that each answers for this ceremony and this round, and whom it writes to.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from strongroom.errors import Refusal
from strongroom.wire import cbor
from strongroom.wire.fields import Fields, pair_item
from strongroom.wire.frame import encode_request
from strongroom_host import timing
from strongroom_host.connection import Connection, exchange
from strongroom_host.relay.beside import Beside
from strongroom_host.signers import Signers

Kind = Literal["dkg", "pair", "test", "sign"]
MOST_TRIPS: Final = 12
ABORT_TIMEOUT: Final = 0.5

Message = tuple[str, str, bytes]
"""Sender, recipient, sealed bytes."""

Route = Callable[[int, list[Message]], list[Message]]
"""What is done to a round's messages on their way: nothing, but in a test of a dishonest host."""


@dataclass(frozen=True)
class Plan:
    """One ceremony. start: the first request to each participant, in roster order, encoded.

    timeout: seconds for each trip. deadline: time.monotonic() for all of them. trips: how many there are, where known.
    during: called while the signers compute that trip, counted from 1. route: see Route. others: requests to journals
    that take no part, sent beside the first trip; wanted: how many of them must agree. keep: keeps what they sealed,
    (journal, blocks), while the second trip is computed.
    """

    kind: Kind
    start: Mapping[str, bytes]
    ceremony: bytes
    timeout: float
    deadline: float
    trips: int | None = None
    during: Mapping[int, Callable[[], None]] = field(default_factory=dict)
    route: Route | None = None
    others: Mapping[str, bytes] = field(default_factory=dict)
    wanted: int = 0
    keep: Callable[[Sequence[tuple[str, Sequence[bytes]]]], None] = lambda _said: None

    @property
    def participants(self) -> tuple[str, ...]:
        return tuple(self.start)


@dataclass(frozen=True)
class Last:
    """A participant's last step. signature: of its contribution, by its boot key; None but in signing ceremonies."""

    result: bytes
    signature: bytes | None


class CeremonyFailed(Exception):
    """refusals: by signer. last_left: whether a request of the last trip was sent to anybody."""

    def __init__(self, refusals: Mapping[str, Refusal], *, last_left: bool = False) -> None:
        super().__init__("; ".join(f"{name}: {refusal}" for name, refusal in refusals.items()))
        self.refusals = dict(refusals)
        self.last_left = last_left


def ceremony_id(
    kind: Kind,
    order: bytes,
    epoch: int,
    participants: Sequence[str],
    tickets: Sequence[bytes],
    subject: bytes,
    attempt: int,
) -> bytes:
    """docs/specification.md section 9. Every signer computes it for itself; the host only to know who strays."""
    value: dict[str, cbor.Value] = {
        "kind": kind,
        "order": order,
        "epoch": epoch,
        "set": list(participants),
        "tickets": list(tickets),
        "subject": subject,
        "attempt": attempt,
    }
    return hashlib.sha256(b"strongroom/ceremony/v1" + cbor.encode(value)).digest()


@dataclass(frozen=True)
class _Step:
    messages: tuple[tuple[str, bytes], ...]
    last: Last | None


def drive(signers: Signers, plan: Plan) -> dict[str, Last]:
    """The last step of every participant. Raises CeremonyFailed; whatever `plan.during` raises passes through.

    Either way the ceremony is ended at the signers that still take part in it.
    """
    with signers.lines((*plan.participants, *plan.others), plan.deadline) as lines:
        lost = {name: line for name, line in lines.items() if isinstance(line, Refusal)}
        if lost.keys() & set(plan.participants) or len(plan.others) - len(lost) < plan.wanted:
            raise CeremonyFailed(lost)
        run = _Run(signers, plan, {name: line for name, line in lines.items() if isinstance(line, Connection)})
        try:
            return run.all()
        except BaseException:
            run.abort()
            raise


class _Run:
    def __init__(self, signers: Signers, plan: Plan, lines: dict[str, Connection]) -> None:
        self._signers = signers
        self._plan = plan
        self._lines = lines
        self._alive: set[str] = set()
        self._journals = Beside()

    def all(self) -> dict[str, Last]:
        plan = self._plan
        requests = dict(plan.start)
        done: dict[str, Last] = {}
        for trip in range(1, (plan.trips or MOST_TRIPS) + 1):
            steps = self._trip(trip, requests)
            done.update({name: step.last for name, step in steps.items() if step.last is not None})
            if len(done) == len(plan.participants):
                return done
            requests = self._deliver(trip, steps, done)
        left = {name: _stray(name, "it does not end with the others") for name in plan.participants if name not in done}
        raise CeremonyFailed(left, last_left=plan.trips is not None)

    def _trip(self, trip: int, requests: dict[str, bytes]) -> dict[str, _Step]:
        plan = self._plan
        deadline = min(time.monotonic() + plan.timeout, plan.deadline)
        beside = {name: each for name, each in plan.others.items() if name in self._lines} if trip == 1 else {}
        jobs = [(self._lines[name], request) for name, request in (*requests.items(), *beside.items())]
        self._alive.update(requests)
        timing.lap("relay")
        payloads = exchange(jobs, deadline, self._during(trip))
        timing.lap(f"trip-{trip}")
        steps: dict[str, _Step] = {}
        refusals: dict[str, Refusal] = {}
        for name, payload in zip(beside, payloads[len(requests) :], strict=True):
            answer = self._signers.read(name, payload)
            try:
                if isinstance(answer, Refusal):
                    raise answer
                self._journals.take(name, answer)
            except Refusal as refusal:
                self._journals.refused(name, refusal)
        for name, payload in zip(requests, payloads[: len(requests)], strict=True):
            answer = self._signers.read(name, payload)
            try:
                if isinstance(answer, Refusal):
                    raise answer
                steps[name] = self._step(name, trip, answer)
            except Refusal as refusal:
                refusals[name] = refusal
                self._alive.discard(name)
        if trip == 1 and not refusals:
            refusals = self._journals.missing(plan.participants, plan.wanted)
        if refusals:
            if trip == 1:
                plan.keep(self._journals.sealed())
            raise CeremonyFailed(refusals, last_left=trip == plan.trips)
        return steps

    def _during(self, trip: int) -> Callable[[], None] | None:
        given, sealed = self._plan.during.get(trip), self._journals.sealed() if trip == 2 else []
        if not sealed:
            return given

        def both() -> None:
            self._plan.keep(sealed)
            if given is not None:
                given()

        return both

    def _step(self, name: str, trip: int, answer: Fields) -> _Step:
        """Raises Refusal `malformed_message`, with the signer as its culprit."""
        plan = self._plan
        try:
            ceremony, number = answer.blob("ceremony", size=32), answer.integer("round", most=64)
            messages = answer.items("messages", pair_item)
            result, signature = answer.optional_blob("result"), answer.optional_blob("signature", size=64)
            if answer.has("journal"):
                self._journals.take(name, answer.fields("journal"))
            answer.end()
        except Refusal as refusal:
            raise _stray(name, refusal.reason) from None
        if ceremony != plan.ceremony:
            raise _stray(name, "it answered for another ceremony")
        if result is not None:
            if plan.trips is not None and trip < plan.trips:
                raise _stray(name, "it ended before the last round")
            return _Step(messages, Last(result, signature))
        if number != trip:
            raise _stray(name, f"it answered round {number}, not {trip}")
        if any(recipient == name or recipient not in self._lines for recipient, _ in messages):
            raise _stray(name, "it writes to somebody who has no part in this")
        return _Step(messages, None)

    def _deliver(self, trip: int, steps: dict[str, _Step], done: Mapping[str, Last]) -> dict[str, bytes]:
        plan = self._plan
        passing = [(sender, to, sealed) for sender, step in steps.items() for to, sealed in step.messages]
        if plan.route is not None:
            passing = plan.route(trip, passing)
        boxes: dict[str, list[cbor.Value]] = {name: [] for name in plan.participants}
        for sender, to, sealed in passing:
            boxes[to].append([sender, sealed])
        return {
            name: encode_request("ceremony.step", self._body(name, trip, box))
            for name, box in boxes.items()
            if name not in done
        }

    def _body(self, name: str, trip: int, box: list[cbor.Value]) -> dict[str, cbor.Value]:
        body: dict[str, cbor.Value] = {"ceremony": self._plan.ceremony, "round": trip, "messages": box}
        if trip == 1 and (heard := self._journals.acknowledged(name)):
            body["acknowledgements"] = heard
        return body

    def abort(self) -> None:
        """Frees what the others keep for this ceremony; who does not listen frees it after its own deadline."""
        request = encode_request("ceremony.abort", {"ceremony": self._plan.ceremony})
        jobs = [(line, request) for name, line in self._lines.items() if name in self._alive and not line.closed]
        if jobs:
            exchange(jobs, time.monotonic() + ABORT_TIMEOUT)


def _stray(name: str, why: str) -> Refusal:
    return Refusal("malformed_message", f"{name}: {why}", culprits=(name,))
