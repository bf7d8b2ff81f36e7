"""How each kind of ceremony begins: who takes part, what it is about, and what its end means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import strongroom_native as native

from strongroom import schemes
from strongroom.approval import Approval
from strongroom.chains.effects import ToSign
from strongroom.channel import bundle
from strongroom.channel.envelope import contribution_signing_bytes
from strongroom.errors import Refusal
from strongroom.intent import judge as judging
from strongroom.intent.intent import Intent
from strongroom.journal.journal import Reserved
from strongroom.policy.history import History
from strongroom.policy.shown import Shown
from strongroom.signer.ceremonies import NO_SUBJECT, Ceremonies, Ceremony, Finish, Kind, Outcome, Result, ceremony_id
from strongroom.signer.exhaustion import SETUP, Load
from strongroom.signer.identity import Identity
from strongroom.signer.journals import Admit, Agreement, Journals
from strongroom.signer.standings import Standings
from strongroom.signer.tickets import Tickets
from strongroom.signer.wallets import Wallet
from strongroom.wallet.certificate import test_message
from strongroom.wire import cbor


@dataclass(frozen=True)
class Ask:
    """What every start carries. tickets: in the order of the set."""

    tickets: tuple[bytes, ...]
    attempt: int


@dataclass(frozen=True)
class Asked:
    """A request as it came. signers: the set. shown: what the host adds to it, at its own risk."""

    intent: bytes
    signature: bytes
    approvals: Sequence[bytes]
    shown: Shown
    signers: Sequence[str]


@dataclass(frozen=True)
class Run:
    """What is started. names: the set, in roster order. protocols: given the ceremony's id."""

    kind: Kind
    names: tuple[str, ...]
    subject: bytes
    protocols: Callable[[bytes], list[native.Ceremony]]
    finish: Finish
    load: Load
    agreement: Agreement | None = None


class Starting:
    def __init__(
        self,
        name: str,
        identity: Identity,
        tickets: Tickets,
        ceremonies: Ceremonies,
        deal: Finish,
        standings: Standings,
        journals: Journals,
    ) -> None:
        self._journals = journals
        self._name = name
        self._identity = identity
        self._tickets = tickets
        self._ceremonies = ceremonies
        self._deal = deal
        self._standings = standings

    def dkg(self, wallet: Wallet, ask: Ask, now: int) -> dict[str, cbor.Value]:
        order = wallet.order

        def protocols(ceremony: bytes) -> list[native.Ceremony]:
            return [native.dkg(order.scheme, ceremony, wallet.index, order.threshold, len(order.roster))]

        with wallet.during("dkg.start"):
            self._require_unbanned(wallet, order.names)
            self._ceremonies.abort_wallet(wallet, "dkg")
            load = Load(wallet.order_id, cost=SETUP["dkg"])
            return self._start(wallet, Run("dkg", order.names, NO_SUBJECT, protocols, self._deal, load), ask, now)

    def pair(self, wallet: Wallet, peer: str, ask: Ask, now: int) -> dict[str, cbor.Value]:
        wallet.require("pair.start")
        self._standings.require_not_left(wallet)
        self._require_unbanned(wallet, (peer,))
        order, held = wallet.order, wallet.hold()
        index = order.index(peer)
        if index == wallet.index:
            raise Refusal("malformed_message", "a signer is not paired with itself")
        names = tuple(sorted((peer, self._name), key=order.index))

        def protocols(ceremony: bytes) -> list[native.Ceremony]:
            return [native.pair(held.share, ceremony, index)]

        load = Load(wallet.order_id, cost=SETUP["pair"])
        return self._start(wallet, Run("pair", names, NO_SUBJECT, protocols, _nothing, load), ask, now)

    def test(
        self, wallet: Wallet, signers: Sequence[str], release: bytes | None, ask: Ask, now: int
    ) -> dict[str, cbor.Value]:
        """release: the hash of the one that all of these arrive with; None for the wallet's own test."""
        wallet.require("test.start")
        names = wallet.order.sorted_set(signers)
        if release is None:
            self._standings.require_serving(wallet)
            message = test_message(wallet.hold().wallet, names)
        else:
            message = self._standings.test_message(wallet, release, names, now)
        protocols = self._signatures(wallet, names, [ToSign(message)])
        load = Load(wallet.order_id, cost=SETUP["test"])
        return self._start(wallet, Run("test", names, message, protocols, self._contribute, load), ask, now)

    def sign(self, wallet: Wallet, asked: Asked, ask: Ask, at: int | None, now: int) -> dict[str, cbor.Value]:
        """Decodes and judges the intent, and reserves it; there is no other way to a signature but the test message.

        at: see `Journals.reserve`. With witnesses, the answer has the acknowledgements under `journal`.
        """
        wallet.require("sign.start")
        intent = Intent.decode(asked.intent)
        names = wallet.order.sorted_set(asked.signers)

        def admit(judged: judging.Judged) -> None:
            self._ceremonies.require_room(_load(wallet, intent, judged), now)

        judged, reserved = self._reserve(wallet, intent, asked, at, admit, now)
        protocols, load = self._signatures(wallet, names, judged.to_sign), _load(wallet, intent, judged)
        agreement = None
        if reserved is not None and wallet.journal is not None:
            agreement = Agreement(wallet, wallet.journal, reserved)
        run = Run("sign", names, intent.intent_id, protocols, self._contribute, load, agreement)
        step = self._start(wallet, run, ask, now)
        if reserved is not None:
            step["journal"] = self._journals.acknowledge(wallet, reserved, cast(bytes, step["ceremony"]), names, now)
        return step

    def reserve(self, wallet: Wallet, asked: Asked, ceremony: bytes, at: int, now: int) -> dict[str, cbor.Value]:
        """At a journal that takes no part in the ceremony: judged and remembered all the same. ceremony: the host's
        word; a signer that takes part knows its own."""
        wallet.require("journal.reserve")
        names = wallet.order.sorted_set(asked.signers)
        intent = Intent.decode(asked.intent)

        def admit(judged: judging.Judged) -> None:
            load = _load(wallet, intent, judged)
            self._ceremonies.meter.begin(load, now)
            self._ceremonies.meter.end(load)

        _, reserved = self._reserve(wallet, intent, asked, at, admit, now)
        if reserved is None:
            raise Refusal("wrong_phase", "this wallet's order names no witness")
        return self._journals.acknowledge(wallet, reserved, ceremony, names, now)

    def _reserve(
        self, wallet: Wallet, intent: Intent, asked: Asked, at: int | None, admit: Admit, now: int
    ) -> tuple[judging.Judged, Reserved | None]:
        given, (identifier, keys) = [Approval.decode(each) for each in asked.approvals], wallet.known()
        known = judging.Wallet(identifier, wallet.order, keys)
        policy, circumstances = self._standings.in_force(wallet, now, asked.shown)

        def judge(history: History) -> judging.Judged:
            return judging.judge(intent, asked.signature, known, policy, circumstances, given, history)

        return self._journals.reserve(wallet, intent, at, judge, admit, now)

    def _signatures(
        self, wallet: Wallet, names: Sequence[str], to_sign: Sequence[ToSign]
    ) -> Callable[[bytes], list[native.Ceremony]]:
        """One protocol for each message. Raises Refusal where these signers cannot sign together now."""
        order, share = wallet.order, wallet.hold().share
        self._require_unbanned(wallet, names)
        self._require_paired(wallet, names)
        indices, tweak = [order.index(name) for name in names], wallet.suite.tweak

        def protocols(ceremony: bytes) -> list[native.Ceremony]:
            return [
                native.sign(share, bundle.session(ceremony, number), indices, each.message, tweak, each.path)
                for number, each in enumerate(to_sign)
            ]

        return protocols

    def _contribute(self, ceremony: Ceremony, results: Sequence[Result]) -> Outcome:
        contributions = [each for each in results if isinstance(each, bytes)]
        if len(contributions) != len(results):
            raise Refusal("misuse", "a signing ceremony ended without a contribution")
        result = bundle.join(contributions)
        message = contribution_signing_bytes(ceremony.identifier, self._name, result)
        return Outcome(result, self._identity.sign(message))

    def _require_unbanned(self, wallet: Wallet, names: Sequence[str]) -> None:
        banned = tuple(name for name in names if name in wallet.banned)
        if banned:
            raise Refusal("pair_banned", "this signer was cheated by a member of the set", culprits=banned)

    def _require_paired(self, wallet: Wallet, names: Sequence[str]) -> None:
        if not wallet.suite.pairwise:
            return
        paired = set(wallet.hold().share.paired())
        missing = tuple(name for name in names if name != self._name and wallet.order.index(name) not in paired)
        if missing:
            raise Refusal("not_paired", f"no pairing with {', '.join(missing)} since the last start", culprits=missing)

    def _start(self, wallet: Wallet, run: Run, ask: Ask, now: int) -> dict[str, cbor.Value]:
        names = run.names
        if self._name not in names:
            raise Refusal("unexpected_sender", f"{self._name} is not in the set {', '.join(names)}")
        if len(ask.tickets) != len(names):
            raise Refusal("malformed_message", f"there must be {len(names)} tickets, in the order of the set")
        for name in names:
            if name != self._name:
                wallet.links.sending(name, now)
        with self._ceremonies.reserved(run.load, now):
            self._tickets.spend(ask.tickets[names.index(self._name)])
            identifier = ceremony_id(run.kind, wallet, names, ask.tickets, run.subject, ask.attempt)
            try:
                begun = run.protocols(identifier)
            except native.NativeError as error:
                indices = {wallet.order.index(name): name for name in names}
                raise schemes.native_refusal(error, indices) from None
            own = self._name, begun, self._identity
            ceremony = Ceremony(run.kind, identifier, wallet, names, *own, run.finish, run.load, run.agreement)
            return self._ceremonies.start(ceremony, now)


def _nothing(_ceremony: Ceremony, _results: Sequence[Result]) -> Outcome:
    return Outcome(b"")


def _load(wallet: Wallet, intent: Intent, judged: judging.Judged) -> Load:
    count = len(judged.to_sign)
    return Load(wallet.order_id, intent.requester, count, count)
