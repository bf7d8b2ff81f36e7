"""How each kind of ceremony begins: who takes part, what it is about, and what its end means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import strongroom_native as native

from strongroom import schemes
from strongroom.approval import Approval
from strongroom.channel.envelope import contribution_signing_bytes
from strongroom.errors import Refusal
from strongroom.intent.intent import Intent
from strongroom.intent.judge import judge
from strongroom.signer.ceremonies import NO_SUBJECT, Ceremonies, Ceremony, Finish, Kind, Outcome, ceremony_id
from strongroom.signer.identity import Identity
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


class Starting:
    def __init__(
        self,
        name: str,
        identity: Identity,
        tickets: Tickets,
        ceremonies: Ceremonies,
        deal: Finish,
        standings: Standings,
    ) -> None:
        self._name = name
        self._identity = identity
        self._tickets = tickets
        self._ceremonies = ceremonies
        self._deal = deal
        self._standings = standings

    def dkg(self, wallet: Wallet, ask: Ask, now: int) -> dict[str, cbor.Value]:
        order = wallet.order

        def protocol(session: bytes) -> native.Ceremony:
            return native.dkg(order.scheme, session, wallet.index, order.threshold, len(order.roster))

        with wallet.during("dkg.start"):
            self._require_unbanned(wallet, order.names)
            self._ceremonies.abort_wallet(wallet, "dkg")
            return self._start("dkg", wallet, order.names, NO_SUBJECT, ask, protocol, self._deal, now)

    def pair(self, wallet: Wallet, peer: str, ask: Ask, now: int) -> dict[str, cbor.Value]:
        wallet.require("pair.start")
        self._require_unbanned(wallet, (peer,))
        order, held = wallet.order, wallet.hold()
        index = order.index(peer)
        if index == wallet.index:
            raise Refusal("malformed_message", "a signer is not paired with itself")
        names = tuple(sorted((peer, self._name), key=order.index))

        def protocol(session: bytes) -> native.Ceremony:
            return native.pair(held.share, session, index)

        return self._start("pair", wallet, names, NO_SUBJECT, ask, protocol, _nothing, now)

    def test(self, wallet: Wallet, signers: Sequence[str], ask: Ask, now: int) -> dict[str, cbor.Value]:
        wallet.require("test.start")
        names = wallet.order.sorted_set(signers)
        message = test_message(wallet.hold().wallet, names)
        return self._sign("test", wallet, names, message, message, ask, now)

    def sign(
        self,
        wallet: Wallet,
        raw: bytes,
        signature: bytes,
        approvals: Sequence[bytes],
        signers: Sequence[str],
        ask: Ask,
        now: int,
    ) -> dict[str, cbor.Value]:
        """Decodes and judges the intent; there is no other way to a signature but the test message."""
        wallet.require("sign.start")
        intent = Intent.decode(raw)
        policy, circumstances = self._standings.in_force(wallet, now)
        given = [Approval.decode(each) for each in approvals]
        judged = judge(intent, signature, wallet.order, wallet.hold().wallet, policy, circumstances, given)
        wallet.remember(intent.request, intent.intent_id)
        names = wallet.order.sorted_set(signers)
        return self._sign("sign", wallet, names, judged.message, intent.intent_id, ask, now)

    def _sign(
        self, kind: Kind, wallet: Wallet, names: tuple[str, ...], message: bytes, subject: bytes, ask: Ask, now: int
    ) -> dict[str, cbor.Value]:
        order, share = wallet.order, wallet.hold().share
        self._require_unbanned(wallet, names)
        self._require_paired(wallet, names)
        indices = [order.index(name) for name in names]

        def protocol(session: bytes) -> native.Ceremony:
            return native.sign(share, session, indices, message, wallet.suite.tweak)

        return self._start(kind, wallet, names, subject, ask, protocol, self._contribute, now)

    def _contribute(self, ceremony: Ceremony, result: native.KeyShare | bytes | None) -> Outcome:
        if not isinstance(result, bytes):
            raise Refusal("misuse", "a signing ceremony ended without a contribution")
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

    def _start(
        self,
        kind: Kind,
        wallet: Wallet,
        names: tuple[str, ...],
        subject: bytes,
        ask: Ask,
        protocol: Callable[[bytes], native.Ceremony],
        finish: Finish,
        now: int,
    ) -> dict[str, cbor.Value]:
        if self._name not in names:
            raise Refusal("unexpected_sender", f"{self._name} is not in the set {', '.join(names)}")
        if len(ask.tickets) != len(names):
            raise Refusal("malformed_message", f"there must be {len(names)} tickets, in the order of the set")
        for name in names:
            if name != self._name:
                wallet.links.sending(name, now)
        self._ceremonies.reserve(now)
        self._tickets.spend(ask.tickets[names.index(self._name)])
        identifier = ceremony_id(kind, wallet, names, ask.tickets, subject, ask.attempt)
        try:
            native_ceremony = protocol(identifier)
        except native.NativeError as error:
            indices = {wallet.order.index(name): name for name in names}
            raise schemes.native_refusal(error, indices) from None
        ceremony = Ceremony(kind, identifier, wallet, names, self._name, native_ceremony, self._identity, finish)
        return self._ceremonies.start(ceremony, now)


def _nothing(_ceremony: Ceremony, _result: native.KeyShare | bytes | None) -> Outcome:
    return Outcome(b"")
