"""A signer gives its wallet to its successor in the next release, and a successor takes it (specification, section 17).

Once before the release is active: a copy, so that enough successors can prove that they hold their shares. Once after:
the end. From the moment at which a signer knows the activation it has left, and nothing that it gives is signed by it
again; its successor signs only when it holds that end. So the two never sign side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import strongroom_native as native

from strongroom import schemes
from strongroom.channel import handshake
from strongroom.channel.session import Channel
from strongroom.errors import Refusal
from strongroom.policy.release import Measured
from strongroom.policy.standing import Standing
from strongroom.signer.configuration import Configuration
from strongroom.signer.handover import (
    ARRIVING,
    LEAVING,
    Handing,
    State,
    associated,
    follow,
    handover_id,
    pair_of,
    share_aad,
)
from strongroom.signer.identity import Identity
from strongroom.signer.journals import Journals, exposed
from strongroom.signer.keeping import Keeping
from strongroom.signer.seams import Random
from strongroom.signer.standings import Standings
from strongroom.signer.wallets import Dealt, Wallet
from strongroom.wallet.order import SignedOrder
from strongroom.wire import cbor

Body = dict[str, cbor.Value]
Half = TypeVar("Half", handshake.Opened, handshake.Answered, handshake.Proven)


class Handover:
    def __init__(
        self,
        configuration: Configuration,
        identity: Identity,
        random: Random,
        keeping: Keeping,
        standings: Standings,
        journals: Journals,
    ) -> None:
        self._configuration = configuration
        self._name = configuration.name
        self._identity = identity
        self._random = random
        self._keeping = keeping
        self._standings = standings
        self._journals = journals

    # --- Who arrives ---

    def open(self, signed: SignedOrder, directives: Sequence[bytes]) -> Body:
        """Asks to be handed a wallet. directives: what officers signed that led to this release, oldest first."""
        signed.verify(self._configuration.officers)
        chain = follow(signed.order, directives)
        own = dict(chain.release.members).get(self._name)
        if own is None or own["pcr16"] != self._configuration.pcr16():
            raise Refusal("release_refused", f"release {chain.release.number} names another {self._name} than this one")
        wallet = self._keeping.expect(signed)
        with wallet.lock:
            if wallet.is_known and self._standings.place(wallet) != "arriving":
                raise Refusal("release_refused", f"this {self._name} has taken its predecessor's place already")
            digest, after = chain.release.digest(), dict(chain.release.members)
            handing = self._handing(wallet, digest, chain.before.measurements, after)
            handing.opened, message = handshake.open_handshake(self._setting(wallet, handing, ARRIVING), self._random)
            wallet.handing, wallet.expected = handing, chain.release
        return {"message": message, "release": digest}

    def prove(self, wallet: Wallet, message: bytes, now: int) -> Body:
        with wallet.lock:
            handing = _under_way(wallet)
            opened, handing.opened = handing.opened, None
            handing.proven, third = handshake.prove(_half(opened), message, self._identity.attest, now)
        return {"message": third}

    def take(self, wallet: Wallet, message: bytes, sealed: bytes, body: bytes, now: int) -> Body:
        """Opens what was handed over, and seals it under this release's own key."""
        with wallet.lock:
            handing = _under_way(wallet)
            proven, handing.proven = handing.proven, None
            channel = handshake.finish(_half(proven), message, now)
            state = State.decode(channel.open(associated(handing.identifier, wallet.epoch), sealed))
            self._inherit(wallet, handing, state, body)
            wallet.handing = None
            return {"end": state.end, **self.keep(wallet)}

    def _inherit(self, wallet: Wallet, handing: Handing, state: State, body: bytes) -> None:
        release = wallet.expected
        if release is None:
            raise Refusal("release_refused", "no handover of this wallet was opened here")
        standing = Standing.decode(state.standing)
        if not state.wallet == standing.wallet == release.wallet:
            raise Refusal("release_refused", "the release, the share and the policy are of different wallets")
        if state.share is None:
            self._keeping.witness(body)
        elif wallet.dealt is None:
            dealt = Dealt(state.wallet, _unsealed(state, handing.identifier), state.transcript)
            self._keeping.inherit(wallet, dealt, body)
        if wallet.identifier != state.wallet:
            raise Refusal("sealed_mismatch", "what was handed over is of another wallet than the certificate")
        if state.end:
            standing.held = release.number
        self._standings.inherit(wallet, standing)
        if self._standings.place(wallet) == "left":
            raise Refusal("release_refused", "whoever hands over knows of another release than this one")
        if state.end and state.journal is not None:
            wallet.wrapped = self._journals.inherit(wallet, state.journal)

    def keep(self, wallet: Wallet) -> Body:
        """What the host keeps of a wallet that was handed over, sealed anew."""
        with wallet.lock:
            if wallet.is_known and self._standings.place(wallet) == "left":
                raise Refusal("not_in_office", "this signer's place was taken: its successor keeps the wallet")
            record = None if wallet.witnesses else self._keeping.sealed(wallet).encode()
            return {"record": record, "policy": self._standings.seal(wallet), "wrapped": wallet.wrapped}

    # --- Who leaves ---

    def answer(self, wallet: Wallet, message: bytes, now: int) -> Body:
        """To the process that officers named, and nobody else."""
        with wallet.lock:
            handing = self._to(wallet, now)
            setting = self._setting(wallet, handing, LEAVING)
            handing.answered, second = handshake.answer(setting, message, self._random, self._identity.attest)
            wallet.handing = handing
        return {"message": second}

    def give(self, wallet: Wallet, message: bytes, now: int) -> Body:
        """A copy before the activation, the end after it. Nothing leaves before the other one has proven itself."""
        with wallet.lock:
            handing = _under_way(wallet)
            answered, handing.answered = handing.answered, None
            channel, fourth = handshake.accept(_half(answered), message, now)
            if self._to(wallet, now).release != handing.release:
                raise Refusal("release_refused", "officers signed another release meanwhile")
            end = self._standings.place(wallet) == "left"
            sealed = self._give(wallet, handing, channel, end=end)
            wallet.handing = None
        return {"message": fourth, "sealed": sealed, "end": end}

    def _give(self, wallet: Wallet, handing: Handing, channel: Channel, *, end: bool) -> bytes:
        key = native.DataKey.generate()
        share, transcript = None, bytes(32)
        if not wallet.witnesses:
            held = wallet.hold()
            share, transcript = held.share.seal(key, share_aad(handing.identifier)), held.transcript
        standing = self._standings.standing(wallet).encode()
        journal = self._journals.end(wallet) if end else None
        wallet.handed = wallet.handed or end
        state = State(wallet.identifier, transcript, exposed(key), share, standing, end, journal)
        return channel.seal(associated(handing.identifier, wallet.epoch), state.encode())

    def _to(self, wallet: Wallet, now: int) -> Handing:
        """Whom this process gives to: the one of the release that took its place, or of the one that waits."""
        place, standing = self._standings.place(wallet), self._standings.standing(wallet)
        if place == "arriving":
            raise Refusal("not_in_office", f"this {self._name} holds a copy only: its predecessor hands over")
        active = standing.release.measurements
        if place == "left":
            named = standing.release.members.get(self._name)
            if named is None:
                raise Refusal("release_refused", f"no release names another {self._name}")
            return self._handing(wallet, named.release, active, active)
        if standing.arriving is None:
            raise Refusal("release_refused", "no release waits here")
        release = standing.acted_upon(standing.arriving[0].digest(), now)
        if self._name not in release.names:
            raise Refusal("release_refused", f"release {release.number} does not change {self._name}")
        return self._handing(wallet, release.digest(), active, dict(release.members))

    # --- Both ---

    def _handing(
        self, wallet: Wallet, release: bytes, before: Mapping[str, Measured], after: Mapping[str, Measured]
    ) -> Handing:
        roster = pair_of(wallet.order, self._name, before, after)
        return Handing(handover_id(wallet.order_id, release, self._name), roster, release)

    def _setting(self, wallet: Wallet, handing: Handing, own: str) -> handshake.Setting:
        peer = LEAVING if own == ARRIVING else ARRIVING
        # A next release is started beside the old one.
        roster, boot = handing.roster, self._identity.boot
        return handshake.Setting(roster, handing.identifier, wallet.epoch, own, peer, boot, apart=False)


def _under_way(wallet: Wallet) -> Handing:
    if wallet.handing is None:
        raise Refusal("channel_handshake", "no handover of this wallet is under way", verdict="link")
    return wallet.handing


def _half(half: Half | None) -> Half:
    """Each is used once."""
    if half is None:
        raise Refusal("channel_handshake", "no handover waits for this message", verdict="link")
    return half


def _unsealed(state: State, identifier: bytes) -> native.KeyShare:
    if state.share is None:
        raise Refusal("sealed_mismatch", "there is no share in what was handed over")
    try:
        key = native.DataKey.take(bytearray(state.key))
        share = native.KeyShare.unseal(state.share, key, share_aad(identifier))
        share.check()
    except native.NativeError as error:
        raise schemes.native_refusal(error, {}) from None
    return share
