"""One signature: a set of signers is chosen, and whoever is silent or at fault replaced within the same request."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from strongroom import schemes
from strongroom.chains.effects import ToSign
from strongroom.channel import bundle
from strongroom.errors import Refusal
from strongroom.policy.shown import NOTHING, Shown
from strongroom.wire import cbor
from strongroom_host import timing
from strongroom_host.relay.blame import wrong_contributions
from strongroom_host.relay.relay import MENDABLE, Group, Job, Relay
from strongroom_host.relay.rounds import CeremonyFailed, Last, Route
from strongroom_host.relay.sets import Candidates

REQUEST_TIMEOUT: Final = 30.0
ROUND_TIMEOUT: Final = 5.0
FOLLOWING: Final = frozenset({"nonce_gap"})
REPLACING: Final = frozenset({"journal_conflict"})
"""What a journal that was away refuses: what follows, or replaces, that which it has not heard of."""

LATE: Final = 10.0
"""Seconds for which a signer that was out of reach is asked last."""


@dataclass(frozen=True)
class Task:
    """What is to be signed by whom. to_sign: as `strongroom.intent.judge` gave it. preferred: the set to try first.

    replaces: whether the intent names another that it replaces."""

    group: Group
    scheme: str
    threshold: int
    package: bytes
    intent: bytes
    intent_id: bytes
    intent_signature: bytes
    to_sign: tuple[ToSign, ...]
    preferred: tuple[str, ...] | None = None
    route: Route | None = None
    approvals: tuple[bytes, ...] = ()
    shown: Shown = NOTHING
    replaces: bool = False


@dataclass(frozen=True)
class Signed:
    """signatures: in the order of the task's `to_sign`."""

    signatures: tuple[bytes, ...]
    signers: tuple[str, ...]
    attempt: int


class Reservation(Protocol):
    """What must be durable before the last trip. Each is called while the signers compute a trip, again for each
    attempt, and may raise to stop the ceremony."""

    def begin(self, attempt: int, signers: tuple[str, ...], *, last: bool) -> None:
        """During the first trip. last: the next one is the last, so that `before_last` is not called."""

    def before_last(self) -> None:
        """During the last trip but one."""


class SigningFailed(Exception):
    """cause: what tells most. refusals: by signer, of all attempts; what nobody is to blame for stands in none of them.

    last_left: a last request left, so that a signature may exist.
    """

    def __init__(self, cause: Refusal, refusals: Mapping[str, Refusal], *, last_left: bool) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.refusals = dict(refusals)
        self.last_left = last_left


def sign(relay: Relay, task: Task, reservation: Reservation, *, timeout: float = REQUEST_TIMEOUT) -> Signed:
    """Raises SigningFailed; whatever `reservation` raises passes through."""
    deadline = time.monotonic() + timeout
    waived = task.group.waived

    def late(name: str) -> bool:
        return relay.signers.troubled(name, LATE) or (bool(waived) and name not in waived)

    candidates = Candidates(task.group.names, task.threshold, task.preferred, late)
    refusals: dict[str, Refusal] = {}
    unattributed: Refusal | None = None
    last_left = False
    attempt = 1
    while (chosen := candidates.next()) is not None and time.monotonic() < deadline:
        others = _others(relay, task, chosen, refusals)
        if others is None:
            break
        job = _job(task, chosen, others, attempt, deadline, reservation)
        try:
            ceremony, lasts = relay.run(job)
        except CeremonyFailed as failed:
            last_left |= failed.last_left
            refusals.update(failed.refusals)
            candidates.learn(chosen, failed.refusals)
        else:
            last_left = True
            timing.lap("relay")
            try:
                return Signed(_combine(task, ceremony, chosen, lasts), chosen, attempt)
            except Refusal as refusal:
                proven = wrong_contributions(relay.signers, task.group.signed, ceremony, refusal, lasts)
                if proven is None:
                    candidates.learn(chosen, {})
                    unattributed = _nobodys(chosen, refusal)
                else:
                    for name in proven.culprits:
                        candidates.exclude(name)
                        refusals[name] = proven
        attempt += 1
    raise SigningFailed(_cause(refusals, unattributed, task), refusals, last_left=last_left)


def _others(
    relay: Relay, task: Task, chosen: tuple[str, ...], refusals: Mapping[str, Refusal]
) -> tuple[str, ...] | None:
    """The journals beside the set: all that answered lately, so that all stay level; under a waiver exactly those that
    it names. None where there are too few."""
    quorum = task.group.signed.order.quorum
    if quorum is None:
        return ()
    if task.group.waived:
        return tuple(name for name in task.group.waived if name not in chosen)
    wanted = quorum.acknowledgements - len(chosen)
    left = [
        name
        for name in task.group.journals
        if name not in chosen and (name not in refusals or refusals[name].code in MENDABLE)
    ]
    left.sort(key=lambda name: relay.signers.troubled(name, LATE))
    lately = sum(not relay.signers.troubled(name, LATE) for name in left)
    return tuple(left[: max(wanted, lately)]) if len(left) >= wanted else None


def _job(
    task: Task,
    chosen: tuple[str, ...],
    others: tuple[str, ...],
    attempt: int,
    deadline: float,
    reservation: Reservation,
) -> Job:
    body: dict[str, cbor.Value] = {
        "wallet": task.group.wallet,
        "intent": task.intent,
        "signature": task.intent_signature,
        "approvals": list(task.approvals),
        "shown": task.shown.value(),
        "set": list(chosen),
    }
    quorum = task.group.signed.order.quorum
    wanted = 0
    if quorum is not None:
        body["at"] = int(time.time())
        wanted = len(others) if task.group.waived else quorum.acknowledgements - len(chosen)
    count = schemes.suite(task.scheme).trips
    return Job(
        "sign",
        "sign.start",
        task.group,
        dict.fromkeys(chosen, body),
        task.intent_id,
        ROUND_TIMEOUT,
        deadline,
        trips=count,
        attempt=attempt,
        during=_during(reservation, attempt, chosen, count),
        route=task.route,
        others=others,
        wanted=wanted,
        behind=FOLLOWING | REPLACING if task.replaces else FOLLOWING,
    )


def _during(
    reservation: Reservation, attempt: int, chosen: tuple[str, ...], count: int
) -> Mapping[int, Callable[[], None]]:
    if count == 2:
        return {1: lambda: reservation.begin(attempt, chosen, last=True)}
    return {1: lambda: reservation.begin(attempt, chosen, last=False), count - 1: reservation.before_last}


def _combine(task: Task, ceremony: bytes, chosen: tuple[str, ...], lasts: Mapping[str, Last]) -> tuple[bytes, ...]:
    """Raises Refusal where the contributions do not make every signature."""
    numbers = {name: task.group.names.index(name) + 1 for name in chosen}
    contributions = [(numbers[name], lasts[name].result) for name in chosen]
    return tuple(bundle.combine(task.scheme, task.package, ceremony, task.to_sign, contributions))


def _nobodys(chosen: tuple[str, ...], refusal: Refusal) -> Refusal:
    """Contributions that nobody signed, or that no protocol can tell apart: whoever is named may be honest."""
    reason = f"the contributions of {', '.join(chosen)} make no signature, and none is proven wrong: {refusal.reason}"
    return Refusal("aborted", reason, verdict="unattributed")


def _cause(refusals: Mapping[str, Refusal], unattributed: Refusal | None, task: Task) -> Refusal:
    """The refusal that tells most: a signer's judgement, then a fault, then too much at once, then who is missing."""
    for wanted in ({"refused", "malformed", "conflict"}, {"fault"}, {"internal"}, {"busy"}):
        for name, refusal in refusals.items():
            if refusal.kind in wanted:
                culprits = refusal.culprits or ((name,) if refusal.kind == "internal" else ())
                return Refusal(
                    refusal.code, refusal.reason, culprits=culprits, verdict=refusal.verdict, proof=refusal.proof
                )
        if wanted == {"fault"} and unattributed is not None:
            return unattributed
    missing = tuple(refusals)
    reason = f"{task.threshold} of {len(task.group.names)} signers are needed; out of reach: {', '.join(missing)}"
    return Refusal("quorum_unavailable", reason, culprits=missing)
