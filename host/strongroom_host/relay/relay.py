"""One ceremony among signers that may have been restarted: what can be mended is mended, and the ceremony run again.

A restarted signer lacks its wallet (its sealed record is loaded), its channels (the handshake is run), its pairings
(the pairing is run) and knows no ticket of before (new ones are fetched). No mending makes a signer sign what it would
not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from strongroom import schemes
from strongroom.errors import Refusal
from strongroom.wire import cbor
from strongroom.wire.fields import Fields
from strongroom.wire.frame import encode_request
from strongroom_host.relay.group import Asker as Asker
from strongroom_host.relay.group import Group as Group
from strongroom_host.relay.handshake import Handshakes, Pair
from strongroom_host.relay.journals import Keeper
from strongroom_host.relay.once import Once
from strongroom_host.relay.rounds import CeremonyFailed, Kind, Last, Plan, Route, ceremony_id, drive
from strongroom_host.relay.tickets import Tickets
from strongroom_host.relay.warming import Warmer
from strongroom_host.signers import Refused, Signers
from strongroom_host.storage.journals import Journals

MOST_MENDINGS: Final = 8
LOAD_TIMEOUT: Final = 10.0
PAIR_TIMEOUT: Final = 20.0
BUSY_PAUSE: Final = 0.05
EPOCH: Final = 1
"""The only epoch of this version: shares are not refreshed yet."""

MENDABLE: Final = frozenset(
    {"stale_ticket", "channel_missing", "channel_expired", "not_paired", "unknown_wallet", "unknown_order"}
    | {"ceremony_limit", "not_joined", "journal_behind", "journal_superseded"}
)


@dataclass(frozen=True)
class Job:
    """A ceremony to run. body: what its start request holds beside tickets and attempt, by participant in roster order.

    subject: docs/specification.md section 9. timeout: seconds of a trip; deadline: time.monotonic().
    """

    kind: Kind
    operation: str
    group: Group
    bodies: Mapping[str, dict[str, cbor.Value]]
    subject: bytes
    timeout: float
    deadline: float
    trips: int | None = None
    attempt: int = 1
    during: Mapping[int, Callable[[], None]] = field(default_factory=dict)
    route: Route | None = None
    others: tuple[str, ...] = ()
    wanted: int = 0
    """Journals that take no part in the ceremony, and are asked to reserve beside it; wanted: how many of them must."""
    behind: frozenset[str] = frozenset()
    """Codes with which a journal may refuse only because it does not know yet what the others do."""

    @property
    def participants(self) -> tuple[str, ...]:
        return tuple(self.bodies)


class Relay:
    """Thread safe; one for each process."""

    def __init__(self, signers: Signers, journals: Journals | None = None) -> None:
        self.signers = signers
        self.tickets = Tickets(signers)
        self.handshakes = Handshakes(signers)
        self.keeper = Keeper(signers, self.handshakes, journals, self.load)
        self._once = Once()
        self._warmer = Warmer()

    def close(self) -> None:
        self._warmer.close()
        self.signers.close()

    def run(self, job: Job) -> tuple[bytes, dict[str, Last]]:
        """The ceremony's id and every participant's last step. Raises CeremonyFailed for what cannot be mended."""
        last_left = relinked = levelled = False
        if job.group.wallet is not None and job.kind == "sign":
            self._warmer.used(job.group.order, job.group.everyone, partial(self.warm, job.group))
        for mending in range(MOST_MENDINGS + 1):
            began = time.monotonic()
            try:
                return self._once_through(job, job.attempt + mending)
            except CeremonyFailed as failed:
                last_left |= failed.last_left
                try:
                    if mending == MOST_MENDINGS or began >= job.deadline:
                        raise
                    if not relinked and _crossed(failed.refusals):
                        relinked = True
                        self._relink(job, failed.refusals, began)
                    elif not levelled and _behind(job, failed.refusals):
                        levelled = True
                        self._catch_up(job, failed.refusals)
                    else:
                        self._mend(job, failed.refusals, began)
                except CeremonyFailed as hopeless:
                    raise CeremonyFailed(hopeless.refusals, last_left=last_left) from None
        raise AssertionError("the loop returns or raises")

    def _once_through(self, job: Job, attempt: int) -> tuple[bytes, dict[str, Last]]:
        participants = job.participants
        try:
            self.handshakes.renew_due(job.group.order, (*participants, *job.others))
            tickets = self.tickets.take(participants)
        except Refused as refusal:
            raise CeremonyFailed({refusal.by: refusal}) from None
        ceremony = ceremony_id(job.kind, job.group.order, EPOCH, participants, tickets, job.subject, attempt)
        plan = Plan(
            job.kind,
            self._start(job, tickets, attempt),
            ceremony,
            job.timeout,
            job.deadline,
            job.trips,
            job.during,
            job.route,
            self._reserve(job, ceremony),
            job.wanted,
            partial(self.keeper.keep, job.group),
        )
        return ceremony, drive(self.signers, plan)

    @staticmethod
    def _reserve(job: Job, ceremony: bytes) -> dict[str, bytes]:
        body = next(iter(job.bodies.values()))
        fields = ("wallet", "intent", "signature", "approvals", "shown", "set", "at")
        if not job.others:
            return {}
        asked = encode_request("journal.reserve", {**{key: body[key] for key in fields}, "ceremony": ceremony})
        return dict.fromkeys(job.others, asked)

    @staticmethod
    def _start(job: Job, tickets: list[bytes], attempt: int) -> dict[str, bytes]:
        """Encoded once where all participants are sent the same."""
        encoded: dict[int, bytes] = {}
        start: dict[str, bytes] = {}
        for name, body in job.bodies.items():
            if id(body) not in encoded:
                filled: dict[str, cbor.Value] = {**body, "tickets": list(tickets), "attempt": attempt}
                encoded[id(body)] = encode_request(job.operation, filled)
            start[name] = encoded[id(body)]
        return start

    def _mend(self, job: Job, refusals: Mapping[str, Refusal], began: float) -> None:
        """Returns when everything that stood in the way was mended. Raises CeremonyFailed for what cannot be."""
        for _ in range(MOST_MENDINGS):
            for name, refusal in refusals.items():
                if refusal.code in ("stale_ticket", "signer_unreachable", "unknown_wallet", "unknown_order"):
                    self.tickets.drop(name)
            if any(refusal.code not in MENDABLE for refusal in refusals.values()):
                break
            try:
                for mend in (self._mend_shares, self._mend_channels, self._mend_pairs, self._mend_journals):
                    for name, refusal in refusals.items():
                        mend(job, name, refusal, began)
                return
            except Refused as refusal:
                # What mending itself ran into: the peer was restarted too.
                refusals = {refusal.by: refusal}
            except CeremonyFailed as failed:
                refusals = failed.refusals
        raise CeremonyFailed(refusals)

    def _relink(self, job: Job, refusals: Mapping[str, Refusal], began: float) -> None:
        """A ceremony may cross a handshake that one side has ended and the other not yet: seen once, it is run again
        over channels that both sides have. Seen again, somebody changes messages."""
        try:
            for name, refusal in refusals.items():
                if refusal.code == "channel_link":
                    for peer in _peers(job, name, refusal):
                        self.handshakes.open(job.group.order, [(peer, name)], began)
        except Refusal:
            raise CeremonyFailed(refusals) from None

    def _catch_up(self, job: Job, refusals: Mapping[str, Refusal]) -> None:
        """A journal that was out of reach misses what the others acknowledged meanwhile, and refuses what follows from
        it: the next nonce, a replacement. What it refuses again once it has heard them, it refuses."""
        for name, refusal in refusals.items():
            if refusal.code in job.behind:
                self.keeper.catch_up(job.group, name)

    def _mend_shares(self, job: Job, name: str, refusal: Refusal, began: float) -> None:
        if refusal.code in ("unknown_wallet", "unknown_order"):
            self._once.do(("load", job.group.order, name), began, partial(self.load, job.group, name))
            self._warmer.restarted(name, began)
        elif refusal.code == "ceremony_limit":
            time.sleep(BUSY_PAUSE)

    def _mend_channels(self, job: Job, name: str, refusal: Refusal, began: float) -> None:
        if refusal.code in ("unknown_wallet", "unknown_order", "channel_missing", "channel_expired"):
            # The peer opens: it knows then at once that the new channel holds, and sends on no older one.
            for peer in _peers(job, name, refusal):
                self.handshakes.open(job.group.order, [(peer, name)], began)

    def _mend_pairs(self, job: Job, name: str, refusal: Refusal, began: float) -> None:
        if refusal.code == "not_paired":
            for peer in _peers(job, name, refusal):
                pair = job.group.pair(name, peer)
                self._once.do(("pair", job.group.order, pair), began, partial(self.pair, job.group, pair))

    def _mend_journals(self, job: Job, name: str, refusal: Refusal, began: float) -> None:
        try:
            if refusal.code == "not_joined":
                self._once.do(("join", job.group.order, name), began, partial(self.keeper.join, job.group, name))
            elif refusal.code == "journal_behind":
                names = (*job.participants, *job.others)
                self._once.do(("level", job.group.order, names), began, partial(self.keeper.level, job.group, names))
            elif refusal.code == "journal_superseded":
                for culprit in refusal.culprits:
                    if culprit in job.group.journals:
                        self.keeper.join(job.group, culprit)
        except Refused:
            raise
        except Refusal as other:
            raise CeremonyFailed({name: other}) from None

    def load(self, group: Group, name: str) -> None:
        """Gives a restarted signer back what it had sealed; before there was a wallet, its order. A witness is shown
        the wallet's certificate."""
        if name not in group.names:
            self.ask(name, "wallet.witness", {"body": group.body})
            group.after_load(partial(self.ask, name), name)
            return
        record = group.records(name)
        if record is None:
            self.ask(name, "order.accept", {"order": group.signed.encode()})
            return
        try:
            self.ask(name, "wallet.load", {"record": record, "body": group.body})
        except Refused as refusal:
            if refusal.code not in ("wallet_exists", "wrong_phase"):
                raise
        group.after_load(partial(self.ask, name), name)

    def warm(self, group: Group, name: str, since: float) -> None:
        """Gives a restarted signer share, channels and pairings of a wallet, and has its journal hear the others while
        they are there: restarts that add up leave nobody who has joined. Raises Refusal, CeremonyFailed."""
        self._once.do(("load", group.order, name), since, partial(self.load, group, name))
        for peer in group.everyone:
            if peer != name:
                self.handshakes.open(group.order, [(peer, name)], since)
        if group.journals:
            self._once.do(("join", group.order, name), since, partial(self.keeper.join, group, name))
        if name in group.names and schemes.suite(group.signed.order.scheme).pairwise:
            for peer in (each for each in group.names if each != name):
                pair = group.pair(name, peer)
                self._once.do(("pair", group.order, pair), since, partial(self.pair, group, pair))

    def ask(self, name: str, operation: str, body: dict[str, cbor.Value]) -> Fields:
        (answer,) = self.signers.ask([(name, operation, body)], LOAD_TIMEOUT)
        if isinstance(answer, Refusal):
            raise answer
        return answer

    def pair(self, group: Group, pair: Pair) -> None:
        """Sets up a pair's state afresh, 0.4 s of CPU for DKLs23. Raises CeremonyFailed."""
        first, second = pair
        bodies: dict[str, dict[str, cbor.Value]] = {
            first: {"wallet": group.wallet, "peer": second},
            second: {"wallet": group.wallet, "peer": first},
        }
        deadline = time.monotonic() + PAIR_TIMEOUT
        self.run(Job("pair", "pair.start", group, bodies, bytes(32), PAIR_TIMEOUT, deadline))


def _crossed(refusals: Mapping[str, Refusal]) -> bool:
    codes = {refusal.code for refusal in refusals.values()}
    return "channel_link" in codes and codes <= MENDABLE | {"channel_link"}


def _behind(job: Job, refusals: Mapping[str, Refusal]) -> bool:
    codes = {refusal.code for refusal in refusals.values()}
    return bool(job.others) and bool(codes & job.behind) and codes <= MENDABLE | job.behind


def _peers(job: Job, name: str, refusal: Refusal) -> list[str]:
    """Whom a refusal by `name` is about: those it names, or else all others of the set."""
    everyone = (*job.group.names, *job.group.journals)
    named = [peer for peer in refusal.culprits if peer in everyone]
    return [peer for peer in named or job.participants if peer != name]
