"""A ceremony at one signer: native protocols side by side, wrapped in sealed, echoed, timed messages.

The host hands in each round's messages and takes away the next ones. Nothing in here knows which protocol runs, or
whether it runs once or, as for a transaction of many inputs, several times in step.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import strongroom_native as native

from strongroom import schemes, signatures
from strongroom.channel import bundle
from strongroom.channel.envelope import NO_ECHO, Envelope, Seen, broadcast_signing_bytes, echo, testimony
from strongroom.channel.session import Binding, Channel, route
from strongroom.errors import Refusal
from strongroom.signer.exhaustion import Load, Meter
from strongroom.signer.identity import Identity
from strongroom.signer.journals import Agreement
from strongroom.signer.wallets import Wallet
from strongroom.wire import cbor

Kind = Literal["dkg", "pair", "test", "sign"]
MAX_SKEW = 30
"""Seconds that two signers' clocks may differ."""

MAX_IDLE = 60
"""Seconds after which a ceremony that nobody feeds is over."""

MAX_INFLIGHT = 64
NO_SUBJECT = bytes(32)


def ceremony_id(
    kind: Kind, wallet: Wallet, names: Sequence[str], tickets: Sequence[bytes], subject: bytes, attempt: int
) -> bytes:
    """H over everything that the participants must agree on; the host alone chooses none of it."""
    value: dict[str, cbor.Value] = {
        "kind": kind,
        "order": wallet.order_id,
        "epoch": wallet.epoch,
        "set": list(names),
        "tickets": list(tickets),
        "subject": subject,
        "attempt": attempt,
    }
    return hashlib.sha256(b"strongroom/ceremony/v1" + cbor.encode(value)).digest()


@dataclass(frozen=True)
class Outcome:
    """What a finished ceremony tells the host. signature: by the boot key, over a public contribution."""

    result: bytes
    signature: bytes | None = None


Result = native.KeyShare | bytes | None
Finish = Callable[["Ceremony", Sequence[Result]], Outcome]
"""Given the result of each protocol, in their order."""


class Ceremony:
    """One run. `begin` and `advance` give the step for the host; a Refusal ends it."""

    def __init__(
        self,
        kind: Kind,
        identifier: bytes,
        wallet: Wallet,
        names: Sequence[str],
        name: str,
        protocols: Sequence[native.Ceremony],
        identity: Identity,
        finish: Finish,
        load: Load,
        agreement: Agreement | None = None,
    ) -> None:
        self._agreement = agreement
        self.kind = kind
        self.load = load
        self.identifier = identifier
        self.wallet = wallet
        self.names = tuple(names)
        self.peers = tuple(peer for peer in names if peer != name)
        self.name = name
        self.round = 0
        self.touched = 0
        self.transcript = hashlib.sha256(b"strongroom/dkg/v1" + identifier).digest()
        self.lock = threading.Lock()
        self._indices = {peer: wallet.order.index(peer) for peer in self.peers}
        self._protocols = tuple(protocols)
        self._identity = identity
        self._finish = finish
        self._prefix = Binding(identifier, wallet.order_id, wallet.epoch).prefix()
        self._echo = NO_ECHO
        self._own: Seen | None = None
        self._seen: tuple[Seen, ...] = ()

    def begin(self, now: int) -> dict[str, cbor.Value]:
        return self._step(self._native(lambda: [each.start() for each in self._protocols]), now)

    def advance(
        self, messages: Sequence[tuple[str, bytes]], acknowledgements: Sequence[tuple[str, bytes]], now: int
    ) -> dict[str, cbor.Value]:
        """messages: (sender, sealed) of the open round, one from each peer. acknowledgements: in round 1 of a signing
        ceremony, those of other journals: before them nothing is answered that depends on the share."""
        if self._agreement is not None and self.round == 1:
            self._agreement.require(self.identifier, acknowledgements, now)
        elif acknowledgements:
            raise Refusal("unexpected_message", "nothing is to be acknowledged in this round", verdict="link")
        senders = sorted(sender for sender, _ in messages)
        if senders != sorted(self.peers):
            code = "missing_message" if set(senders) < set(self.peers) else "unexpected_sender"
            raise Refusal(
                code, f"round {self.round} wants one message from each of {', '.join(self.peers)}", verdict="link"
            )
        envelopes = {sender: self._open(sender, sealed, now) for sender, sealed in messages}
        if self.kind == "dkg":
            self._watch(envelopes)
        else:
            self._compare_pairings(envelopes)
        feeds = self._feeds(envelopes)
        return self._step(
            self._native(lambda: [each.receive(feed) for each, feed in zip(self._protocols, feeds, strict=True)]), now
        )

    # Incoming

    def _open(self, sender: str, sealed: bytes, now: int) -> Envelope:
        channel = self.wallet.links.receiving(sender, sealed, now)
        plaintext = channel.open(self._prefix + route(self.round, sender, self.name), sealed)
        try:
            envelope = Envelope.decode(plaintext)
        except Refusal as refusal:
            # It opened, so its sender wrote it.
            raise Refusal(refusal.code, refusal.reason, culprits=(sender,), verdict="accusation") from None
        if abs(envelope.clock - now) > MAX_SKEW:
            reason = f"the clock of {sender} differs from this signer's by {envelope.clock - now} seconds"
            raise Refusal("clock_skew", reason, culprits=(sender,), verdict="unattributed")
        if self.kind == "dkg":
            self._check_signature(sender, envelope, channel)
        return envelope

    def _check_signature(self, sender: str, envelope: Envelope, channel: Channel) -> None:
        broadcast, signature = envelope.broadcast, envelope.signature
        if broadcast is None and signature is None:
            return
        if broadcast is not None and signature is not None:
            message = broadcast_signing_bytes(self.identifier, self.round, sender, broadcast)
            if signatures.verify(channel.boot_key, signature, message):
                return
        reason = f"{sender} did not sign its broadcast"
        raise Refusal("malformed_message", reason, culprits=(sender,), verdict="accusation")

    def _watch(self, envelopes: dict[str, Envelope]) -> None:
        """Echoes of the round before must agree; then this round's broadcasts join the transcript."""
        for sender, envelope in envelopes.items():
            if envelope.echo != self._echo:
                raise Refusal(
                    "split_view",
                    f"{sender} saw other broadcasts in round {self.round - 1} than this signer",
                    verdict="unattributed",
                    proof=testimony(self.identifier, self.round - 1, self._seen),
                )
        seen = {sender: _seen(sender, envelope.broadcast, envelope.signature) for sender, envelope in envelopes.items()}
        own = self._own or _seen(self.name, None, None)
        self._seen = tuple(own if name == self.name else seen[name] for name in self.names)
        self._echo = echo(self._seen)
        digests = b"".join(view.digest for view in self._seen)
        self.transcript = hashlib.sha256(self.transcript + bytes((self.round,)) + digests).digest()

    def _compare_pairings(self, envelopes: dict[str, Envelope]) -> None:
        """Two signers whose pairwise state is of different set-ups would accuse each other: find out before."""
        if self.kind == "pair" or not self.wallet.suite.pairwise or self.round != 1:
            return
        share = self.wallet.hold().share
        for sender, envelope in envelopes.items():
            if envelope.echo != (share.pairing_digest(self._indices[sender]) or NO_ECHO):
                share.unpair(self._indices[sender])
                raise Refusal("not_paired", f"{sender} holds another pairing than this signer", culprits=(sender,))

    def _feeds(self, envelopes: dict[str, Envelope]) -> list[list[tuple[int, bool, bytes]]]:
        """What each protocol is given: (sender, whether a broadcast, payload)."""
        feeds: list[list[tuple[int, bool, bytes]]] = [[] for _ in self._protocols]
        for sender, envelope in envelopes.items():
            for payloads, broadcast in ((envelope.broadcast, True), (envelope.private, False)):
                if payloads is None:
                    continue
                try:
                    parts = bundle.split(payloads, len(feeds))
                except Refusal as refusal:
                    # It opened, so its sender wrote it; and the ceremony's id says how many there are.
                    raise Refusal(refusal.code, refusal.reason, culprits=(sender,), verdict="accusation") from None
                for feed, part in zip(feeds, parts, strict=True):
                    feed.append((self._indices[sender], broadcast, part))
        return feeds

    # Outgoing

    def _step(self, steps: Sequence[native.Step], now: int) -> dict[str, cbor.Value]:
        self.touched = now
        if steps[0].done:
            outcome = self._finish(self, [each.result() for each in self._protocols])
            return self._answer([], outcome.result, outcome.signature)
        self.round += 1
        said: dict[int, list[bytes]] = {}
        for step in steps:
            for recipient, payload in step.outgoing:
                said.setdefault(recipient, []).append(payload)
        private = {recipient: bundle.join(payloads) for recipient, payloads in said.items()}
        broadcast = private.pop(0, None)
        signature = self._sign_broadcast(broadcast)
        messages: list[cbor.Value] = []
        for peer in self.peers:
            own_part = private.get(self._indices[peer])
            envelope = Envelope(now, self._echo_for(peer), broadcast, signature, own_part)
            channel = self.wallet.links.sending(peer, now)
            sealed = channel.seal(self._prefix + route(self.round, self.name, peer), envelope.encode())
            messages.append([peer, sealed])
        return self._answer(messages, None, None)

    def _sign_broadcast(self, broadcast: bytes | None) -> bytes | None:
        if self.kind != "dkg":
            return None
        signature = None
        if broadcast is not None:
            signature = self._identity.sign(broadcast_signing_bytes(self.identifier, self.round, self.name, broadcast))
        self._own = _seen(self.name, broadcast, signature)
        return signature

    def _echo_for(self, peer: str) -> bytes:
        if self.kind == "dkg":
            return self._echo
        if self.kind != "pair" and self.wallet.suite.pairwise and self.round == 1:
            return self.wallet.hold().share.pairing_digest(self._indices[peer]) or NO_ECHO
        return NO_ECHO

    def _answer(
        self, messages: list[cbor.Value], result: bytes | None, signature: bytes | None
    ) -> dict[str, cbor.Value]:
        return {
            "ceremony": self.identifier,
            "round": self.round,
            "messages": messages,
            "result": result,
            "signature": signature,
        }

    def _native(self, call: Callable[[], list[native.Step]]) -> list[native.Step]:
        try:
            return call()
        except native.NativeError as error:
            names = {index: peer for peer, index in self._indices.items()}
            raise schemes.native_refusal(error, names) from None


def _seen(sender: str, broadcast: bytes | None, signature: bytes | None) -> Seen:
    return Seen(sender, hashlib.sha256(broadcast or b"").digest(), signature or b"")


class Ceremonies:
    """Those in flight, bounded in number and in idle time."""

    def __init__(self, meter: Meter | None = None) -> None:
        self.meter = meter or Meter()
        self._running: dict[bytes, Ceremony] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._running)

    @contextmanager
    def reserved(self, load: Load, now: int) -> Iterator[None]:
        """Sweeps what is over, then counts what is started within; it counts as in flight until it ends.

        Raises Refusal `ceremony_limit` or `ceremony_rate` where there is too much; nothing is spent before.
        """
        self._sweep(now)
        self.meter.begin(load, now)
        try:
            yield
        except BaseException:
            self.meter.end(load)
            raise

    def require_room(self, load: Load, now: int) -> None:
        """Raises what `reserved` would, and counts nothing."""
        self._sweep(now)
        self.meter.require(load, now)

    def _sweep(self, now: int) -> None:
        with self._lock:
            for identifier, ceremony in list(self._running.items()):
                if now - ceremony.touched > MAX_IDLE:
                    del self._running[identifier]
                    self.meter.end(ceremony.load)
            if len(self._running) >= MAX_INFLIGHT:
                raise Refusal("ceremony_limit", f"{MAX_INFLIGHT} ceremonies are in flight at this signer")

    def start(self, ceremony: Ceremony, now: int) -> dict[str, cbor.Value]:
        step = self._run(ceremony, lambda: ceremony.begin(now))
        with self._lock:
            self._running[ceremony.identifier] = ceremony
        return step

    def advance(
        self,
        identifier: bytes,
        round_number: int,
        messages: Sequence[tuple[str, bytes]],
        acknowledgements: Sequence[tuple[str, bytes]],
        now: int,
    ) -> dict[str, cbor.Value]:
        ceremony = self._running.get(identifier)
        if ceremony is None:
            raise Refusal("unknown_ceremony", "this signer runs no such ceremony: it ended, failed or never began here")
        if not ceremony.lock.acquire(blocking=False):
            raise Refusal("ceremony_round", "this round is being computed already")
        try:
            if now - ceremony.touched > MAX_IDLE:
                self.abort(identifier)
                raise Refusal("ceremony_expired", f"nobody fed this ceremony for {MAX_IDLE} seconds")
            if round_number != ceremony.round:
                # A repeated or reordered request of the host's: refused, and nothing is lost.
                raise Refusal("ceremony_round", f"round {ceremony.round} is open here, not {round_number}")
            step = self._run(ceremony, lambda: ceremony.advance(messages, acknowledgements, now))
        finally:
            ceremony.lock.release()
        if step["result"] is not None:
            self.abort(identifier)
            ceremony.wallet.ended(unattributed=False)
        return step

    def abort(self, identifier: bytes) -> None:
        with self._lock:
            ceremony = self._running.pop(identifier, None)
        if ceremony is None:
            return
        self.meter.end(ceremony.load)
        if ceremony.kind == "dkg":
            ceremony.wallet.deal_ended()

    def abort_wallet(self, wallet: Wallet, kind: Kind) -> None:
        with self._lock:
            running = [key for key, each in self._running.items() if each.wallet is wallet and each.kind == kind]
        for identifier in running:
            self.abort(identifier)

    def _run(self, ceremony: Ceremony, call: Callable[[], dict[str, cbor.Value]]) -> dict[str, cbor.Value]:
        try:
            return call()
        except Refusal as refusal:
            self.abort(ceremony.identifier)
            _blame(ceremony, refusal)
            raise
        except Exception:
            # A defect: it blames nobody, and the protocol cannot go on from here.
            self.abort(ceremony.identifier)
            raise


def _blame(ceremony: Ceremony, refusal: Refusal) -> None:
    """An accusation cuts the pair at once; aborts that name nobody are counted (design section 3): whatever their code,
    since each takes a signer that misbehaved. What a host or a clock can do alone is no abort."""
    wallet = ceremony.wallet
    if refusal.verdict == "accusation" and refusal.code == "ot_check_failed":
        with wallet.lock:
            wallet.banned.update(refusal.culprits)
            # In a first DKG there is no share yet, and what it had set up is gone with it.
            if wallet.dealt is not None:
                for culprit in refusal.culprits:
                    wallet.dealt.share.unpair(wallet.order.index(culprit))
    if refusal.verdict in ("proof", "accusation"):
        wallet.ended(unattributed=False)
    elif refusal.verdict == "unattributed" and not refusal.culprits:
        wallet.ended(unattributed=True)
