"""A wallet's journal at its signer: opened, joined, asked to reserve; and what other journals acknowledged, verified.

An order that names witnesses has the protocol of docs/adr/0011. Without any, each signer remembers for itself, until
its next start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.channel.session import Binding, route
from strongroom.errors import Refusal
from strongroom.intent.intent import Intent
from strongroom.intent.judge import Judged
from strongroom.intent.replacing import require_witnesses
from strongroom.journal.acknowledgement import Acknowledgement
from strongroom.journal.entry import Candidate
from strongroom.journal.journal import Journal, Reserved
from strongroom.journal.sealed import Chain, Place
from strongroom.journal.waiver import SignedWaiver
from strongroom.policy.history import History, Spend
from strongroom.signer.configuration import Officers
from strongroom.signer.handover import JournalEnd
from strongroom.signer.identity import Identity
from strongroom.signer.seams import Context, DataKey, Random, Sealer
from strongroom.signer.wallets import Wallet
from strongroom.wire import cbor
from strongroom.wire.fields import Fields

Judge = Callable[[History], Judged]
Admit = Callable[[Judged], None]
Pairs = Sequence[tuple[str, bytes]]
"""(name, sealed) of each."""

ROUND: Final = 0
"""Of what journals send each other: no ceremony has a round of this number."""

PAGE: Final = 3 << 20
"""Bytes of blocks in one answer, unless one alone has more: a frame has 4 MiB."""

INHERITED: Final = b"strongroom/journal-key/v1"
"""Before a data key that came from the journal's keeper in an earlier release."""

_NONCE: Final = 12

CARRIED: Final = hashlib.sha256(b"strongroom/journal/v1").digest()
"""Stands for the ceremony where questions and answers belong to none."""


@dataclass(frozen=True)
class Agreement:
    """A reservation of this signer, and what its ceremony wants of others before round 1 is answered."""

    wallet: Wallet
    journal: Journal
    reserved: Reserved

    def require(self, ceremony: bytes, acknowledgements: Pairs, now: int) -> None:
        """Raises Refusal `journal_*`, or `channel_link` for what does not open."""
        heard: dict[str, Acknowledgement] = {}
        for sender, sealed in acknowledgements:
            if sender in heard or sender not in self.journal.peers:
                raise Refusal("unexpected_sender", f"{sender[:32]} acknowledges nothing here", verdict="link")
            try:
                heard[sender] = Acknowledgement.decode(_open(self.wallet, ceremony, sender, sealed, now))
            except Refusal as refusal:
                raise Refusal(refusal.code, refusal.reason, culprits=(sender,), verdict="link") from None
        with self.wallet.lock:
            self.journal.agreed(self.reserved, heard, now)


class Journals:
    def __init__(self, name: str, sealer: Sealer, identity: Identity, random: Random) -> None:
        self._name = name
        self._sealer = sealer
        self._identity = identity
        self._random = random

    # Opened and joined

    def open(self, wallet: Wallet, wrapped: bytes | None, blocks: Sequence[bytes]) -> dict[str, cbor.Value]:
        """What this journal sealed before, oldest first; called again, goes on. wrapped: None where there is none yet.

        Of blocks that do not follow each other it takes those before the gap.
        """
        if wallet.order.quorum is None:
            raise Refusal("wrong_phase", "this wallet's order names no witness, so no journal of it is kept")
        with wallet.lock:
            if wallet.journal is None:
                key, wrapped, wallet.journal_from = self._key(wallet, wrapped)
                chain = Chain(key, Place(self._name, wallet.order_id, wallet.epoch), self._random)
                wallet.wrapped = wrapped
                wallet.journal = Journal(
                    self._name, wallet.order.journals, wallet.order.quorum, chain, self._identity.boot
                )
            reason = None
            try:
                wallet.journal.load(blocks)
            except Refusal as refusal:
                reason = refusal.code
            return {"wrapped": wallet.wrapped, "sequence": wallet.journal.chain.sequence, "refused": reason}

    def _context(self, wallet: Wallet) -> Context:
        return {
            "signer": self._name,
            "wallet": wallet.identifier.hex(),
            "epoch": str(wallet.epoch),
            "kind": "journal",
        }

    def _key(self, wallet: Wallet, wrapped: bytes | None) -> tuple[bytes, bytes, JournalEnd | None]:
        """The chain's key, how it is kept, and where a predecessor's part of the chain ended."""
        context = self._context(wallet)
        if wrapped is None:
            made, wrapped = self._sealer.new_key(context)
            return exposed(made), wrapped, None
        if wrapped.startswith(INHERITED):
            end = self._unwrap(wrapped.removeprefix(INHERITED), context)
            return end.key, wrapped, end
        return exposed(self._sealer.open_key(wrapped, context)), wrapped, None

    # Handed over

    def end(self, wallet: Wallet) -> JournalEnd | None:
        """All that a successor needs to go on; None where there is no journal. Call under the wallet's lock."""
        if wallet.order.quorum is None:
            return None
        journal = wallet.journal
        if journal is None or wallet.wrapped is None:
            raise Refusal("not_joined", "this wallet's journal was not opened since the signer's start: open it first")
        _require_whole(wallet)
        key, _, _ = self._key(wallet, wallet.wrapped)
        return JournalEnd(key, journal.chain.sequence, journal.chain.head)

    def inherit(self, wallet: Wallet, end: JournalEnd) -> bytes:
        """A predecessor's data key under one of this release's own: what `open` takes as `wrapped`."""
        context = self._context(wallet)
        key, wrapped = self._sealer.new_key(context)
        nonce = self._random(_NONCE)
        sealed = AESGCM(exposed(key)).encrypt(nonce, cbor.encode(end.value()), _associated(context))
        return INHERITED + cbor.encode({"wrapped": wrapped, "nonce": nonce, "sealed": sealed})

    def _unwrap(self, kept: bytes, context: Context) -> JournalEnd:
        fields = Fields.decode(kept, "journal key")
        wrapped, nonce = fields.blob("wrapped", most=8192), fields.blob("nonce", size=_NONCE)
        sealed = fields.blob("sealed", most=1024)
        fields.end()
        key = AESGCM(exposed(self._sealer.open_key(wrapped, context)))
        try:
            content = key.decrypt(nonce, sealed, _associated(context))
        except InvalidTag:
            raise Refusal("sealed_mismatch", "the journal's key was changed, or sealed by another signer") from None
        return JournalEnd.parse(Fields.decode(content, "journal key"))

    def ask(self, wallet: Wallet, peer: str, now: int) -> dict[str, cbor.Value]:
        with wallet.lock:
            message = _journal(wallet).ask(peer, self._random)
        return {"message": _seal(wallet, CARRIED, self._name, peer, message, now)}

    def tell(self, wallet: Wallet, peer: str, sealed: bytes, now: int) -> dict[str, cbor.Value]:
        question = _open(wallet, CARRIED, peer, sealed, now)
        with wallet.lock:
            journal = _journal(wallet)
            message, _ = journal.tell(peer, question)
            blocks: list[cbor.Value] = list(journal.outbox)
        return {"message": _seal(wallet, CARRIED, self._name, peer, message, now), "blocks": blocks}

    def hear(self, wallet: Wallet, peer: str, sealed: bytes, now: int) -> dict[str, cbor.Value]:
        answer = _open(wallet, CARRIED, peer, sealed, now)
        with wallet.lock:
            journal = _journal(wallet)
            heard, _ = journal.hear(peer, answer, now)
            return {"heard": heard, "joined": journal.joined, "blocks": list(journal.outbox)}

    def checkpoint(self, wallet: Wallet, page: int) -> dict[str, cbor.Value]:
        """All there is, in as many pages as frames want; page 0 makes it anew. more: whether another page follows."""
        with wallet.lock:
            journal = _journal(wallet)
            if page == 0:
                wallet.checkpoint = _paged(journal.checkpoint())
            if page >= len(wallet.checkpoint):
                raise Refusal("malformed_message", f"the checkpoint has no page {page}: begin with page 0")
            blocks, more = wallet.checkpoint[page], page + 1 < len(wallet.checkpoint)
            if not more:
                wallet.checkpoint = []
            return {"blocks": list(blocks), "more": more}

    def waive(self, wallet: Wallet, raw: bytes, officers: Officers, now: int) -> dict[str, cbor.Value]:
        """Officers let those go on who are left. officers: the set in office, not the one that made the wallet."""
        order = wallet.order
        divisor = len(order.names) - order.threshold + 1
        waiver = SignedWaiver.decode(raw).verify(officers, wallet.order_id, wallet.epoch, divisor)
        with wallet.lock:
            journal = _journal(wallet)
            journal.waive(waiver, now)
            return {"blocks": list(journal.outbox)}

    # Reserving

    def reserve(
        self, wallet: Wallet, intent: Intent, at: int | None, judge: Judge, admit: Admit, now: int
    ) -> tuple[Judged, Reserved | None]:
        """Judges by what was reserved before, and remembers. at: the time that all journals are asked to note. admit:
        raises where there is too much already, so that what is not signed fills no journal.

        None for the reservation: this signer remembers for itself alone. Raises Refusal.
        """
        probe = _Probe()
        judged = judge(probe)
        if intent.replaces is not None:
            # Else nobody could see that it conflicts with what it replaces, and is counted in its place rightly.
            require_witnesses(wallet.order)
        admit(judged)

        def spends(history: History) -> Sequence[Spend]:
            return (judged.counted(history) if probe.asked else judged.decision).spends

        path = intent.path
        with wallet.lock:
            wallet.require_going_on()
            if wallet.order.quorum is None:
                # What others reserved it cannot know, so that a nonce it has not seen says nothing.
                effects = replace(judged.effects, once=())
                alone = Candidate(intent.request, intent.intent_id, now, intent.expiry, effects)
                wallet.book.add(wallet.book.decide(alone, spends))
                return judged, None
            if at is None:
                raise Refusal("malformed_message", "a wallet with witnesses wants the time of the reservation: at")
            candidate = Candidate(
                intent.request, intent.intent_id, at, intent.expiry, judged.effects, intent.replaces, path
            )
            return judged, _journal(wallet).reserve(candidate, spends, now)

    def acknowledge(
        self, wallet: Wallet, reserved: Reserved, ceremony: bytes, names: Sequence[str], now: int
    ) -> dict[str, cbor.Value]:
        """For each signer of the set, sealed for it alone; and what the host may see."""
        message = reserved.own.encode()
        rows: list[cbor.Value] = [
            [peer, _seal(wallet, ceremony, self._name, peer, message, now)] for peer in names if peer != self._name
        ]
        return {
            "acknowledgements": rows,
            "digest": reserved.own.digest,
            "counted": reserved.counted,
            "blocks": list(_journal(wallet).outbox),
        }


class _Probe:
    """Whether a policy counts at all: most have no window, and are judged once."""

    def __init__(self) -> None:
        self.asked = False

    def spent(self, asset: str | None, rule: str | None, to: str | None, since: int) -> tuple[int, int]:
        self.asked = True
        return 0, 0


def _paged(blocks: Sequence[bytes]) -> list[list[bytes]]:
    pages: list[list[bytes]] = [[]]
    size = 0
    for block in blocks:
        if pages[-1] and size + len(block) > PAGE:
            pages.append([])
            size = 0
        pages[-1].append(block)
        size += len(block)
    return pages


def _journal(wallet: Wallet) -> Journal:
    if wallet.journal is None:
        raise Refusal("not_joined", "this wallet's journal was not opened since the signer's start")
    wallet.require_going_on()
    _require_whole(wallet)
    return wallet.journal


def _require_whole(wallet: Wallet) -> None:
    """A predecessor's part of the chain is there to its very end: a release is no occasion to forget."""
    begun, journal = wallet.journal_from, wallet.journal
    if begun is None or journal is None:
        return
    chain = journal.chain
    if chain.sequence < begun.sequence or (chain.sequence == begun.sequence and chain.head != begun.head):
        raise Refusal("sealed_mismatch", "the host gave back less of this journal than its predecessor handed over")


def exposed(key: DataKey) -> bytes:
    """The key's bytes, for AES-GCM here."""
    raw = key.expose()
    try:
        return bytes(raw)
    finally:
        raw[:] = bytes(len(raw))


def _associated(context: Context) -> bytes:
    return hashlib.sha256(b"strongroom/journal-key/v1" + cbor.encode(dict(context))).digest()


def status(wallet: Wallet, now: int) -> Mapping[str, cbor.Value] | None:
    journal = wallet.journal
    if journal is None:
        return None
    return {
        "joined": journal.joined,
        "incarnation": journal.number,
        "digest": journal.book.digest(),
        "entries": len(journal.book),
        "sequence": journal.chain.sequence,
        "waived": None if (waiver := journal.waiver(now)) is None else waiver.expiry,
    }


def _seal(wallet: Wallet, ceremony: bytes, sender: str, recipient: str, message: bytes, now: int) -> bytes:
    prefix = Binding(ceremony, wallet.order_id, wallet.epoch).prefix()
    return wallet.links.sending(recipient, now).seal(prefix + route(ROUND, sender, recipient), message)


def _open(wallet: Wallet, ceremony: bytes, sender: str, sealed: bytes, now: int) -> bytes:
    prefix = Binding(ceremony, wallet.order_id, wallet.epoch).prefix()
    return wallet.links.receiving(sender, sealed, now).open(prefix + route(ROUND, sender, wallet.name), sealed)
