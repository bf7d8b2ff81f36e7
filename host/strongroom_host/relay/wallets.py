"""Makes a wallet: order, channels, DKG, test signatures over everybody, certificate. Can be taken up where it stopped.

The host believes no signer: it compares their answers, so that a wallet on which they differ fails here and not at the
client, who checks all of it again.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Final

from strongroom import schemes
from strongroom.chains.effects import ToSign
from strongroom.channel import bundle
from strongroom.errors import Refusal
from strongroom.policy.directives import Kind
from strongroom.wallet.certificate import (
    Body,
    Certificate,
    TestSignature,
    covering_sets,
    test_message,
    verify_body,
)
from strongroom.wallet.order import SignedOrder
from strongroom.wire import cbor
from strongroom.wire.fields import Fields, bytes_item
from strongroom_host.relay.blame import equivocation
from strongroom_host.relay.relay import EPOCH, Asker, Group, Job, Relay
from strongroom_host.relay.rounds import CeremonyFailed, Last, Route
from strongroom_host.signers import Question, Refused
from strongroom_host.storage.directives import Directives
from strongroom_host.storage.wallets import Wallet, Wallets

_log = logging.getLogger(__name__)

DKG_TIMEOUT: Final = 60.0
"""Seconds for one trip of a DKG: nine signers on one small machine share its processors."""

CERTIFY_TIMEOUT: Final = 15.0


@dataclass(frozen=True)
class Dealt:
    """What all signers must say alike at the end of the DKG."""

    wallet: bytes
    public_key: bytes
    verification_shares: tuple[bytes, ...]
    package: bytes
    chain_code: bytes | None
    transcript: bytes

    @classmethod
    def parse(cls, fields: Fields) -> Dealt:
        return cls(
            fields.blob("wallet", size=32),
            fields.blob("public_key", most=33),
            fields.items("verification_shares", bytes_item, most=9),
            fields.blob("package", most=1 << 16),
            fields.optional_blob("chain_code", size=32),
            fields.blob("transcript", size=32),
        )

    def encode(self) -> bytes:
        return cbor.encode(
            {
                "wallet": self.wallet,
                "public_key": self.public_key,
                "verification_shares": list(self.verification_shares),
                "package": self.package,
                "chain_code": self.chain_code,
                "transcript": self.transcript,
            }
        )


class Maker:
    """route: see rounds.Route."""

    def __init__(self, relay: Relay, wallets: Wallets, route: Route | None = None) -> None:
        self._relay = relay
        self._wallets = wallets
        self._route = route

    def create(self, order: SignedOrder, idempotency: str | None = None) -> Wallet:
        """The certified wallet of this order, made now as far as it was not made before. Raises Refusal."""
        self._require_known(order)
        wallet = self._wallets.begin(order, idempotency)
        try:
            if wallet.phase == "ordered":
                wallet = self._deal(order)
            if wallet.phase == "dealt":
                wallet = self._certify(wallet)
        except CeremonyFailed as failed:
            proven = equivocation(self._relay.signers, order, failed.refusals)
            raise (first(failed) if proven is None else Disagreed(proven, failed.refusals)) from failed
        except Refused as refusal:
            raise first(CeremonyFailed({refusal.by: refusal})) from refusal
        if wallet.phase == "certified" and wallet.body_bytes is not None:
            self._join(order, wallet)
        return wallet

    def _join(self, order: SignedOrder, wallet: Wallet) -> None:
        """So that the first request need not wait. A journal that is away joins when it is asked for."""
        group = self.group(order, wallet.body.wallet, wallet.body_bytes)
        for name in group.journals:
            try:
                self._relay.keeper.join(group, name)
            except Refusal as refusal:
                _log.info("the journal of %s has not joined: %s", name, refusal)

    def _require_known(self, order: SignedOrder) -> None:
        unknown = [name for name in order.order.journals if name not in self._relay.signers.names]
        if unknown:
            reason = f"this host has no address for {', '.join(unknown)}"
            raise Refusal("signer_unreachable", reason, culprits=tuple(unknown))

    def _deal(self, order: SignedOrder) -> Wallet:
        names, group = order.order.names, self.group(order, None, None)
        raw = order.encode()
        self._all([(name, "order.accept", {"order": raw}) for name in names])
        self._relay.handshakes.open(order.order_id, list(combinations(names, 2)))
        body: dict[str, cbor.Value] = {"order": order.order_id}
        job = Job(
            "dkg",
            "dkg.start",
            group,
            dict.fromkeys(names, body),
            bytes(32),
            DKG_TIMEOUT,
            time.monotonic() + 3 * DKG_TIMEOUT,
            attempt=self._wallets.attempt(order.order_id),
            route=self._route,
        )
        _, lasts = self._relay.run(job)
        dealt, records = agreed(lasts)
        self._wallets.dealt(order.order_id, dealt.wallet, dealt.encode(), records)
        return self._wallets.of_order(order.order_id)

    def _certify(self, wallet: Wallet) -> Wallet:
        order, names = wallet.signed_order, wallet.signed_order.order.names
        if wallet.dealt is None:
            raise AssertionError("a dealt wallet has its DKG's result")
        dealt = Dealt.parse(Fields.decode(wallet.dealt, "dealt"))
        group = self.group(order, dealt.wallet, None)
        raw = wallet.proposed or self._wallets.propose(order.order_id, self._body(order, group, dealt))
        nonce = secrets.token_bytes(32)
        question: dict[str, cbor.Value] = {"wallet": dealt.wallet, "body": raw, "nonce": nonce}
        answers = self._all([(name, "wallet.certify", question) for name in names], group)
        documents = tuple((name, answer.blob("document")) for name, answer in zip(names, answers, strict=True))
        return self._wallets.certified(order.order_id, Certificate(raw, documents).encode())

    def _body(self, order: SignedOrder, group: Group, dealt: Dealt) -> bytes:
        tests = tuple(self._test(order, group, dealt, chosen) for chosen in covering_sets(order.order))
        body = Body(
            order,
            dealt.wallet,
            EPOCH,
            dealt.public_key,
            dealt.verification_shares,
            dealt.package,
            dealt.chain_code,
            dealt.transcript,
            tests,
        )
        return verify_body(body, order.order.officers).encode()

    def _test(self, order: SignedOrder, group: Group, dealt: Dealt, chosen: tuple[str, ...]) -> TestSignature:
        message = test_message(dealt.wallet, chosen)
        body: dict[str, cbor.Value] = {"wallet": dealt.wallet, "set": list(chosen)}
        job = Job(
            "test",
            "test.start",
            group,
            dict.fromkeys(chosen, body),
            message,
            DKG_TIMEOUT,
            time.monotonic() + DKG_TIMEOUT,
            trips=schemes.suite(order.order.scheme).trips,
            route=self._route,
        )
        ceremony, lasts = self._relay.run(job)
        contributions = [(order.order.index(name), lasts[name].result) for name in chosen]
        (signature,) = bundle.combine(order.order.scheme, dealt.package, ceremony, [ToSign(message)], contributions)
        return TestSignature(chosen, signature)

    def _all(self, questions: list[Question], group: Group | None = None) -> list[Fields]:
        """Every signer's answer. group: whose shares restarted signers are given first. Raises the first one's refusal,
        with all who refused as its culprits."""
        answers = self._relay.signers.ask(questions, CERTIFY_TIMEOUT)
        for index, answer in enumerate(answers):
            if group is not None and isinstance(answer, Refused) and answer.code == "unknown_wallet":
                self._relay.load(group, answer.by)
                answers[index] = self._relay.signers.ask([questions[index]], CERTIFY_TIMEOUT)[0]
        refused = {answer.by: answer for answer in answers if isinstance(answer, Refused)}
        if refused:
            raise first(CeremonyFailed(refused))
        return [answer for answer in answers if isinstance(answer, Fields)]

    def group(self, order: SignedOrder, wallet: bytes | None, body: bytes | None) -> Group:
        return Group(
            order,
            wallet,
            body,
            lambda name: self._wallets.record(order.order_id, name),
            partial(_catch_up, self._wallets.directives, order.order_id, wallet or b""),
        )


def _catch_up(directives: Directives, order: bytes, wallet: bytes, ask: Asker, name: str) -> None:
    """What the signer sealed of the policy, then what came while it was away. A directive that it refuses by now, since
    a later one took its place, is no reason to do without the signer."""
    record = directives.record(order, name)
    if record is not None:
        with suppress(Refused):
            ask("policy.load", {"wallet": wallet, "record": record})
    for directive in directives.all(order):
        with suppress(Refused):
            answer = ask(OPERATIONS[directive.kind], {"wallet": wallet, "directive": directive.encode()})
            sealed = answer.optional_blob("record")
            if sealed is not None:
                directives.keep(order, name, sealed)


OPERATIONS: Final[Mapping[Kind, str]] = {
    "policy": "policy.install",
    "officers": "policy.install",
    "renewal": "policy.renew",
    "freeze": "policy.freeze",
    "release": "release.install",
    "activation": "release.activate",
}
"""The signer's operation for each kind of directive."""


class Disagreed(Refusal):
    """Several signers refused. refusals: each one's own."""

    def __init__(self, cause: Refusal, refusals: dict[str, Refusal]) -> None:
        super().__init__(cause.code, cause.reason, culprits=cause.culprits, verdict=cause.verdict, proof=cause.proof)
        self.refusals = refusals


def first(failed: CeremonyFailed) -> Disagreed:
    """The refusal that says most: of a fault before that of a missing signer."""
    ranked = sorted(failed.refusals.values(), key=lambda refusal: refusal.kind == "unavailable")
    return Disagreed(ranked[0], failed.refusals)


def agreed(lasts: dict[str, Last]) -> tuple[Dealt, dict[str, bytes]]:
    """What all signers said, and their sealed records. Raises Refusal `bad_certificate` where they differ."""
    said: dict[str, Dealt] = {}
    records: dict[str, bytes] = {}
    for name, last in lasts.items():
        fields = Fields.decode(last.result, f"the DKG's result of {name}")
        said[name], records[name] = Dealt.parse(fields), fields.blob("record")
        fields.end()
    names = list(said)
    others = tuple(name for name in names if said[name] != said[names[0]])
    if others:
        reason = f"{', '.join(others)} ended the DKG with another key or transcript than {names[0]}"
        raise Refusal("bad_certificate", reason)
    return said[names[0]], records
