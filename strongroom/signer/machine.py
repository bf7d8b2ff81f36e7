"""The signer: one request in, one answer out. It is told everything, and calls its four seams.

Every operation of docs/specification.md section 11 is one row of `_OPERATIONS` and one method; what a wallet's phase
allows is in `table.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from strongroom import schemes
from strongroom.approval import MAX_APPROVALS
from strongroom.channel import handshake
from strongroom.errors import Refusal
from strongroom.intent.intent import MAX_SIZE as MAX_INTENT
from strongroom.journal.quorum import MAX_JOURNALS
from strongroom.journal.sealed import MAX_BLOCK
from strongroom.policy.directives import MAX_SIZE as MAX_DIRECTIVE
from strongroom.policy.directives import Kind
from strongroom.policy.shown import Shown
from strongroom.signer import journals
from strongroom.signer.ceremonies import Ceremonies
from strongroom.signer.configuration import Configuration
from strongroom.signer.exhaustion import Bounds, Meter
from strongroom.signer.handing import Handover
from strongroom.signer.identity import Identity, evidence_user_data
from strongroom.signer.journals import Journals
from strongroom.signer.keeping import Keeping
from strongroom.signer.seams import Attester, Clock, Health, Random, Sealer
from strongroom.signer.standings import MAX_RECORD, Standings
from strongroom.signer.starting import Ask, Asked, Starting
from strongroom.signer.tickets import MAX_COUNT, SIZE, Tickets
from strongroom.signer.wallets import Wallet, Wallets
from strongroom.wallet.order import MAX_PARTIES, SignedOrder
from strongroom.wallet.record import MAX_SIZE, Record
from strongroom.wire import cbor, frame
from strongroom.wire.fields import Fields, bytes_item, pair_item, text_item

_log = logging.getLogger(__name__)

MAX_DIRECTIVES = 256
"""That lead to a release, in one handover."""

MAX_BLOCKS = 1024
"""Blocks of a journal in one request."""

Body = dict[str, cbor.Value]
Half = TypeVar("Half", handshake.Opened, handshake.Answered, handshake.Proven)


class Signer:
    """Threads may call `handle` at once; each wallet and each ceremony has its own lock."""

    def __init__(
        self,
        configuration: Configuration,
        sealer: Sealer,
        attester: Attester,
        clock: Clock,
        random: Random,
        health: Health,
        bounds: Bounds | None = None,
    ) -> None:
        self._configuration = configuration
        self._attester = attester
        self._clock = clock
        self._random = random
        self._health = health
        self._identity = Identity(random, attester)
        self._tickets = Tickets(random)
        self._wallets = Wallets(configuration.name)
        self._ceremonies = Ceremonies(Meter(bounds))
        self._keeping = Keeping(configuration, sealer, self._identity, self._wallets)
        self._standings = Standings(configuration, sealer, self._identity, random)
        self._journals = Journals(configuration.name, sealer, self._identity, random)
        self._handover = Handover(configuration, self._identity, random, self._keeping, self._standings, self._journals)
        self._starting = Starting(
            configuration.name,
            self._identity,
            self._tickets,
            self._ceremonies,
            self._keeping.deal,
            self._standings,
            self._journals,
        )

    def handle(self, payload: bytes) -> bytes:
        """One frame's payload in, one out; never raises. What went wrong inside is logged by type, without its text."""
        try:
            operation, fields = frame.decode_request(payload)
            handler = _OPERATIONS.get(operation)
            if handler is None:
                raise Refusal("unknown_request", f"there is no operation {operation[:40]}")
            return frame.encode_answer(handler(self, fields))
        except Refusal as refusal:
            return frame.encode_refusal(refusal)
        except Exception as error:
            _log.error("internal error %s", type(error).__name__, exc_info=_log.isEnabledFor(logging.DEBUG))
            return frame.encode_refusal(Refusal("internal", f"the signer failed with {type(error).__name__}"))

    # About the signer

    def status(self, fields: Fields) -> Body:
        fields.end()
        reason, now = self._health.degraded(), self._clock.now()
        return {
            "name": self._configuration.name,
            "mode": self._configuration.mode,
            "root": self._attester.root,
            "phase": "ready" if reason is None else "degraded",
            "reason": reason,
            "boot": self._identity.boot,
            "clock": now,
            "configuration": self._configuration.digest(),
            "public_key": self._identity.public_key,
            "suites": [_suite(suite) for suite in schemes.suites().values()],
            "wallets": [self._describe(wallet, now) for wallet in self._wallets.all()],
            "inflight": len(self._ceremonies),
        }

    def _describe(self, wallet: Wallet, now: int) -> Body:
        paired: list[cbor.Value] = []
        if wallet.dealt is not None:
            paired.extend(wallet.order.names[index - 1] for index in wallet.dealt.share.paired())
        return {
            "wallet": wallet.identifier if wallet.dealt is not None or (wallet.witnesses and wallet.body) else None,
            "order": wallet.order_id,
            "epoch": wallet.epoch,
            "phase": wallet.phase,
            "place": self._standings.place(wallet),
            "scheme": wallet.order.scheme,
            "paired": paired,
            "journal": journals.status(wallet, now),
            "channels": [list(row) for row in wallet.links.expiries()],
            "load": self._ceremonies.meter.status(wallet.order_id, now),
        }

    def evidence(self, fields: Fields) -> Body:
        nonce = fields.blob("nonce", size=32)
        fields.end()
        return self._document(self._identity.attest(nonce, evidence_user_data(self._configuration.digest())))

    def _document(self, document: bytes) -> Body:
        return {"document": document, "root": self._attester.root}

    def tickets(self, fields: Fields) -> Body:
        count = fields.integer("count", least=1, most=MAX_COUNT)
        fields.end()
        return {"tickets": list(self._tickets.issue(count))}

    # Orders and channels

    def accept_order(self, fields: Fields) -> Body:
        raw = fields.blob("order", most=1 << 18)
        fields.end()
        wallet = self._keeping.accept(SignedOrder.decode(raw))
        return {"order": wallet.order_id, "index": wallet.index}

    def _link(self, operation: str, fields: Fields) -> tuple[Wallet, handshake.Setting]:
        wallet = self._wallets.by_order(fields.blob("order", size=32))
        peer = fields.text("peer")
        wallet.require(operation)
        setting = handshake.Setting(
            self._standings.roster(wallet),
            wallet.order_id,
            wallet.epoch,
            self._configuration.name,
            peer,
            self._identity.boot,
        )
        return wallet, setting

    def open_channel(self, fields: Fields) -> Body:
        wallet, setting = self._link("channel.open", fields)
        fields.end()
        wallet.links.opened[setting.peer], message = handshake.open_handshake(setting, self._random)
        return {"message": message}

    def answer_channel(self, fields: Fields) -> Body:
        wallet, setting = self._link("channel.answer", fields)
        first = fields.blob("message", most=1024)
        fields.end()
        answered, message = handshake.answer(setting, first, self._random, self._identity.attest)
        wallet.links.answered[setting.peer] = answered
        return {"message": message}

    def prove_channel(self, fields: Fields) -> Body:
        wallet, setting = self._link("channel.prove", fields)
        second = fields.blob("message", most=1 << 16)
        fields.end()
        opened = _waiting(wallet.links.opened, setting.peer)
        wallet.links.proven[setting.peer], message = handshake.prove(
            opened, second, self._identity.attest, self._clock.now()
        )
        return {"message": message}

    def accept_channel(self, fields: Fields) -> Body:
        wallet, setting = self._link("channel.accept", fields)
        third = fields.blob("message", most=1 << 16)
        fields.end()
        now = self._clock.now()
        channel, message = handshake.accept(_waiting(wallet.links.answered, setting.peer), third, now)
        wallet.links.add(channel, now)
        return {"message": message, "expires": channel.expires}

    def finish_channel(self, fields: Fields) -> Body:
        wallet, setting = self._link("channel.finish", fields)
        fourth = fields.blob("message", most=1024)
        fields.end()
        now = self._clock.now()
        channel = handshake.finish(_waiting(wallet.links.proven, setting.peer), fourth, now)
        wallet.links.add(channel, now)
        return {"expires": channel.expires}

    # Ceremonies

    def start_dkg(self, fields: Fields) -> Body:
        wallet = self._wallets.by_order(fields.blob("order", size=32))
        ask = _ask(fields)
        return self._starting.dkg(wallet, ask, self._clock.now())

    def start_test(self, fields: Fields) -> Body:
        wallet = self._wallets.by_wallet(fields.blob("wallet", size=32))
        signers = fields.items("set", text_item, most=MAX_PARTIES)
        release = fields.blob("release", size=32) if fields.has("release") else None
        ask = _ask(fields)
        return self._starting.test(wallet, signers, release, ask, self._clock.now())

    def start_pair(self, fields: Fields) -> Body:
        wallet = self._wallets.by_wallet(fields.blob("wallet", size=32))
        peer = fields.text("peer")
        ask = _ask(fields)
        return self._starting.pair(wallet, peer, ask, self._clock.now())

    def start_sign(self, fields: Fields) -> Body:
        wallet = self._wallets.by_wallet(fields.blob("wallet", size=32))
        intent, signature = fields.blob("intent", most=MAX_INTENT), fields.blob("signature", size=64)
        approvals = fields.items("approvals", bytes_item, most=MAX_APPROVALS)
        shown, signers = Shown.parse(fields.fields("shown")), fields.items("set", text_item, most=MAX_PARTIES)
        at = fields.integer("at") if fields.has("at") else None
        ask, asked = _ask(fields), Asked(intent, signature, approvals, shown, signers)
        return self._starting.sign(wallet, asked, ask, at, self._clock.now())

    def step_ceremony(self, fields: Fields) -> Body:
        identifier, round_number = fields.blob("ceremony", size=32), fields.integer("round", most=255)
        messages = fields.items("messages", pair_item, most=MAX_PARTIES)
        heard: tuple[tuple[str, bytes], ...] = ()
        if fields.has("acknowledgements"):
            heard = fields.items("acknowledgements", pair_item, most=MAX_JOURNALS)
        fields.end()
        return self._ceremonies.advance(identifier, round_number, messages, heard, self._clock.now())

    def abort_ceremony(self, fields: Fields) -> Body:
        identifier = fields.blob("ceremony", size=32)
        fields.end()
        self._ceremonies.abort(identifier)
        return {}

    # Wallets

    def certify_wallet(self, fields: Fields) -> Body:
        wallet = self._wallets.by_wallet(fields.blob("wallet", size=32))
        body, nonce = fields.blob("body", most=1 << 19), fields.blob("nonce", size=32)
        fields.end()
        self._keeping.certify(wallet, body)
        return self._document(self._keeping.attest(wallet, nonce))

    def attest_wallet(self, fields: Fields) -> Body:
        wallet = self._wallets.by_wallet(fields.blob("wallet", size=32))
        nonce = fields.blob("nonce", size=32)
        fields.end()
        self._standings.require_not_left(wallet)
        return self._document(self._keeping.attest(wallet, nonce))

    # Policies

    def install_policy(self, fields: Fields) -> Body:
        return self._direct("policy.install", fields, ("policy", "officers"))

    def renew_policy(self, fields: Fields) -> Body:
        return self._direct("policy.renew", fields, ("renewal",))

    def freeze_wallet(self, fields: Fields) -> Body:
        return self._direct("policy.freeze", fields, ("freeze",))

    def install_release(self, fields: Fields) -> Body:
        return self._direct("release.install", fields, ("release",))

    def activate_release(self, fields: Fields) -> Body:
        return self._direct("release.activate", fields, ("activation",))

    def _direct(self, operation: str, fields: Fields, kinds: Sequence[Kind]) -> Body:
        wallet = self._wallets.by_wallet(fields.blob("wallet", size=32))
        directive = fields.blob("directive", most=MAX_DIRECTIVE)
        fields.end()
        return self._standings.take(wallet, operation, directive, kinds, self._clock.now())

    def load_policy(self, fields: Fields) -> Body:
        wallet = self._wallets.by_wallet(fields.blob("wallet", size=32))
        record = fields.blob("record", most=2 * MAX_RECORD)
        fields.end()
        return self._standings.load(wallet, record, self._clock.now())

    def show_policy(self, fields: Fields) -> Body:
        wallet = self._wallets.by_wallet(fields.blob("wallet", size=32))
        nonce = fields.blob("nonce", size=32)
        fields.end()
        view, document = self._standings.attest(wallet, nonce, self._clock.now())
        return {"standing": view, **self._document(document)}

    def load_wallet(self, fields: Fields) -> Body:
        raw, body = fields.blob("record", most=MAX_SIZE), fields.optional_blob("body", most=1 << 19)
        fields.end()
        record = Record.decode(raw)
        wallet = self._keeping.load(record, body)
        return {"wallet": record.wallet, "epoch": record.epoch, "order": wallet.order_id, "phase": wallet.phase}

    # Handover to the next release

    def open_handover(self, fields: Fields) -> Body:
        raw = fields.blob("order", most=1 << 18)
        directives = fields.items("directives", bytes_item, most=MAX_DIRECTIVES)
        fields.end()
        return self._handover.open(SignedOrder.decode(raw), directives)

    def answer_handover(self, fields: Fields) -> Body:
        wallet = self._wallets.by_wallet(fields.blob("wallet", size=32))
        message = fields.blob("message", most=1024)
        fields.end()
        wallet.require("handover.answer")
        return self._handover.answer(wallet, message, self._clock.now())

    def prove_handover(self, fields: Fields) -> Body:
        wallet = self._wallets.by_order(fields.blob("order", size=32))
        message = fields.blob("message", most=1 << 16)
        fields.end()
        return self._handover.prove(wallet, message, self._clock.now())

    def give_handover(self, fields: Fields) -> Body:
        wallet = self._wallets.by_wallet(fields.blob("wallet", size=32))
        message = fields.blob("message", most=1 << 16)
        fields.end()
        wallet.require("handover.give")
        return self._handover.give(wallet, message, self._clock.now())

    def take_handover(self, fields: Fields) -> Body:
        wallet = self._wallets.by_order(fields.blob("order", size=32))
        message, sealed = fields.blob("message", most=1024), fields.blob("sealed", most=1 << 21)
        body = fields.blob("body", most=1 << 19)
        fields.end()
        return self._handover.take(wallet, message, sealed, body, self._clock.now())

    def keep_handover(self, fields: Fields) -> Body:
        wallet = self._wallets.by_wallet(fields.blob("wallet", size=32))
        fields.end()
        wallet.require("handover.keep")
        return self._handover.keep(wallet)

    # Journals

    def witness_wallet(self, fields: Fields) -> Body:
        body = fields.blob("body", most=1 << 19)
        fields.end()
        wallet = self._keeping.witness(body)
        return {"wallet": wallet.identifier, "phase": wallet.phase}

    def _peer(self, operation: str, fields: Fields) -> tuple[Wallet, str]:
        wallet = self._wallets.by_wallet(fields.blob("wallet", size=32))
        wallet.require(operation)
        self._standings.require_serving(wallet)
        return wallet, fields.text("peer")

    def open_journal(self, fields: Fields) -> Body:
        wallet = self._wallets.by_wallet(fields.blob("wallet", size=32))
        wrapped = fields.optional_blob("wrapped", most=8192)
        blocks = fields.items("blocks", bytes_item, most=MAX_BLOCKS)
        fields.end()
        wallet.require("journal.open")
        if self._standings.place(wallet) == "arriving":
            # One that left opens it to hand it over.
            self._standings.require_serving(wallet)
        if wrapped is None and self._standings.inherited(wallet):
            raise Refusal("sealed_mismatch", "this journal was handed over by an earlier release: it has a key already")
        return self._journals.open(wallet, wrapped, blocks)

    def ask_journal(self, fields: Fields) -> Body:
        wallet, peer = self._peer("journal.ask", fields)
        fields.end()
        return self._journals.ask(wallet, peer, self._clock.now())

    def tell_journal(self, fields: Fields) -> Body:
        wallet, peer = self._peer("journal.tell", fields)
        message = fields.blob("message", most=MAX_BLOCK)
        fields.end()
        return self._journals.tell(wallet, peer, message, self._clock.now())

    def hear_journal(self, fields: Fields) -> Body:
        wallet, peer = self._peer("journal.hear", fields)
        message = fields.blob("message", most=MAX_BLOCK)
        fields.end()
        return self._journals.hear(wallet, peer, message, self._clock.now())

    def reserve_journal(self, fields: Fields) -> Body:
        wallet = self._wallets.by_wallet(fields.blob("wallet", size=32))
        intent, signature = fields.blob("intent", most=MAX_INTENT), fields.blob("signature", size=64)
        approvals = fields.items("approvals", bytes_item, most=MAX_APPROVALS)
        shown, signers = Shown.parse(fields.fields("shown")), fields.items("set", text_item, most=MAX_PARTIES)
        ceremony, at = fields.blob("ceremony", size=32), fields.integer("at")
        fields.end()
        asked = Asked(intent, signature, approvals, shown, signers)
        return self._starting.reserve(wallet, asked, ceremony, at, self._clock.now())

    def checkpoint_journal(self, fields: Fields) -> Body:
        wallet = self._wallets.by_wallet(fields.blob("wallet", size=32))
        page = fields.integer("page", most=1 << 16)
        fields.end()
        wallet.require("journal.checkpoint")
        self._standings.require_serving(wallet)
        return self._journals.checkpoint(wallet, page)

    def waive_journal(self, fields: Fields) -> Body:
        wallet = self._wallets.by_wallet(fields.blob("wallet", size=32))
        waiver = fields.blob("waiver", most=1 << 15)
        fields.end()
        wallet.require("journal.waive")
        self._standings.require_serving(wallet)
        now = self._clock.now()
        return self._journals.waive(wallet, waiver, self._standings.officers(wallet, now), now)


def _waiting(halves: dict[str, Half], peer: str) -> Half:
    """Each half is used once: a second message for it finds nothing."""
    half = halves.pop(peer, None)
    if half is None:
        raise Refusal("channel_handshake", f"no handshake with {peer} waits for this message", verdict="link")
    return half


def _ask(fields: Fields) -> Ask:
    tickets = fields.items("tickets", bytes_item, most=MAX_PARTIES)
    attempt = fields.integer("attempt", most=1 << 32)
    fields.end()
    if any(len(ticket) != SIZE for ticket in tickets):
        raise Refusal("malformed_message", f"a ticket has {SIZE} bytes")
    return Ask(tickets, attempt)


def _suite(suite: schemes.Suite) -> Body:
    return {
        "suite": suite.name,
        "library": suite.library,
        "version": suite.version,
        "auditor": suite.auditor,
        "randomness": suite.randomness,
    }


_OPERATIONS: Final[Mapping[str, Callable[[Signer, Fields], Body]]] = {
    "status": Signer.status,
    "evidence": Signer.evidence,
    "tickets": Signer.tickets,
    "order.accept": Signer.accept_order,
    "channel.open": Signer.open_channel,
    "channel.answer": Signer.answer_channel,
    "channel.prove": Signer.prove_channel,
    "channel.accept": Signer.accept_channel,
    "channel.finish": Signer.finish_channel,
    "dkg.start": Signer.start_dkg,
    "test.start": Signer.start_test,
    "pair.start": Signer.start_pair,
    "sign.start": Signer.start_sign,
    "ceremony.step": Signer.step_ceremony,
    "ceremony.abort": Signer.abort_ceremony,
    "wallet.certify": Signer.certify_wallet,
    "wallet.attest": Signer.attest_wallet,
    "wallet.load": Signer.load_wallet,
    "policy.install": Signer.install_policy,
    "policy.renew": Signer.renew_policy,
    "policy.freeze": Signer.freeze_wallet,
    "policy.load": Signer.load_policy,
    "release.install": Signer.install_release,
    "release.activate": Signer.activate_release,
    "handover.open": Signer.open_handover,
    "handover.answer": Signer.answer_handover,
    "handover.prove": Signer.prove_handover,
    "handover.give": Signer.give_handover,
    "handover.take": Signer.take_handover,
    "handover.keep": Signer.keep_handover,
    "policy.show": Signer.show_policy,
    "wallet.witness": Signer.witness_wallet,
    "journal.open": Signer.open_journal,
    "journal.ask": Signer.ask_journal,
    "journal.tell": Signer.tell_journal,
    "journal.hear": Signer.hear_journal,
    "journal.reserve": Signer.reserve_journal,
    "journal.checkpoint": Signer.checkpoint_journal,
    "journal.waive": Signer.waive_journal,
}
