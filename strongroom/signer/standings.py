"""The policy that each wallet stands under, in this signer: taken from officers, sealed for its next start, attested.

What is sealed is no secret; nobody else shall be able to write it. A host can give back an older one after a restart:
docs/threat-model.md says what that is worth to it.

It also says which release of a signer is in office for a wallet, and so whether this very process is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom import schemes
from strongroom.errors import Refusal
from strongroom.evidence.statement import Root
from strongroom.policy.decide import Circumstances
from strongroom.policy.directives import Directive, Kind
from strongroom.policy.document import Policy
from strongroom.policy.release import Measured, release_test
from strongroom.policy.shown import Shown
from strongroom.policy.standing import Standing, standing_user_data
from strongroom.signer.configuration import Configuration, Officers
from strongroom.signer.identity import Identity
from strongroom.signer.seams import Context, DataKey, Random, Sealer
from strongroom.signer.wallets import Wallet
from strongroom.wallet.members import Roster, require_release, roster_of
from strongroom.wire import cbor
from strongroom.wire.fields import Fields

MAX_RECORD: Final = 3 << 19
_NONCE: Final = 12

Body = dict[str, cbor.Value]

Place = Literal["serving", "arriving", "left"]
"""What this process is for a wallet: its signer; one that shall take its place; one whose place was taken."""


@dataclass(frozen=True)
class Record:
    """A standing at rest. signer, wallet and epoch are in the clear and bound by the seals."""

    signer: str
    wallet: bytes
    epoch: int
    wrapped: bytes
    nonce: bytes
    sealed: bytes

    def encode(self) -> bytes:
        return cbor.encode(
            {
                "v": 1,
                "signer": self.signer,
                "wallet": self.wallet,
                "epoch": self.epoch,
                "wrapped": self.wrapped,
                "nonce": self.nonce,
                "sealed": self.sealed,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Record:
        fields = Fields.decode(data, "policy record")
        fields.version()
        record = cls(
            fields.text("signer"),
            fields.blob("wallet", size=32),
            fields.integer("epoch", least=1),
            fields.blob("wrapped", most=8192),
            fields.blob("nonce", size=_NONCE),
            fields.blob("sealed", most=MAX_RECORD),
        )
        fields.end()
        return record


class Standings:
    """Threads may call at once: each wallet's standing is changed and read under the wallet's lock."""

    def __init__(self, configuration: Configuration, sealer: Sealer, identity: Identity, random: Random) -> None:
        self._name = configuration.name
        self._registers = dict(map(configuration.register, get_args(Root)))
        self._sealer = sealer
        self._identity = identity
        self._random = random
        self._sealed: dict[bytes, bytes] = {}
        """By wallet: what was sealed last, so that a directive that is known already costs no call of KMS."""

    def in_force(self, wallet: Wallet, now: int, shown: Shown) -> tuple[Policy, Circumstances]:
        """What a request is judged by, by whoever is in office. shown: beside its intent."""
        self.require_serving(wallet)
        with wallet.lock:
            standing = _of(wallet)
            return standing.policy(now), Circumstances(
                now,
                renewed=standing.renewed_until(now),
                frozen=standing.is_frozen(now),
                proofs=shown.proofs,
                address=shown.address,
                country=shown.country,
            )

    def officers(self, wallet: Wallet, now: int) -> Officers:
        """Those in office."""
        with wallet.lock:
            return _of(wallet).officers(now)

    def take(self, wallet: Wallet, operation: str, raw: bytes, kinds: Sequence[Kind], now: int) -> Body:
        """A directive of the officers. It counts at once, even where sealing it fails: a freeze waits for no KMS.

        record: null where nothing changed since the last one.
        """
        directive = Directive.decode(raw)
        directive.require(*kinds)
        if directive.kind == "policy":
            wallet.order.require_counted(directive.policy())
        with wallet.during(operation):
            standing, before = _of(wallet), self.roster(wallet)
            if directive.kind == "release" and not standing.knows(directive.release()):
                require_release(wallet.order, standing.release.measurements, directive.release())
            elif directive.kind == "activation":
                _verify_activation(wallet, standing, directive, now)
            standing.take(directive, now)
            content = standing.encode()
            record = None if self._sealed.get(standing.wallet) == content else self._seal(wallet, content)
            after = self.roster(wallet)
            wallet.links.cut([name for name, each in after.members.items() if each != before.members[name]])
            return {"standing": cbor.encode(standing.view(now).value()), "record": record}

    # --- Releases ---

    def roster(self, wallet: Wallet) -> Roster:
        """What each member must measure: by the active release, or by the one that this process arrives with."""
        with wallet.lock:
            if not wallet.is_known:
                return roster_of(wallet.order, {})
            active, following = _measurements(_of(wallet))
            arrives = not self._is(wallet, active) and self._is(wallet, following)
            return roster_of(wallet.order, following if arrives else active)

    def place(self, wallet: Wallet) -> Place:
        with wallet.lock:
            if not wallet.is_known:
                return "serving"
            standing = _of(wallet)
            active, following = _measurements(standing)
            if self._is(wallet, active):
                return "serving" if standing.release.since(self._name) <= standing.held else "arriving"
            return "arriving" if self._is(wallet, following) else "left"

    def _is(self, wallet: Wallet, measurements: Mapping[str, Measured]) -> bool:
        """Whether what these, or else the order, say of this name is this very process: its configuration differs in
        every release."""
        member = wallet.order.member(self._name)
        name = "pcr16" if member.root == "nitro" else "configuration"
        return measurements.get(self._name, member.measurements)[name] == self._registers[name]

    def inherited(self, wallet: Wallet) -> bool:
        """Whether this process holds the end of a predecessor."""
        with wallet.lock:
            return wallet.is_known and _of(wallet).held > 1

    def require_serving(self, wallet: Wallet) -> None:
        place = self.place(wallet)
        if place == "arriving":
            raise Refusal("not_in_office", f"this {self._name} has not taken its predecessor's place yet")
        self._require_not_left(place)

    def require_not_left(self, wallet: Wallet) -> None:
        self._require_not_left(self.place(wallet))

    def _require_not_left(self, place: Place) -> None:
        if place == "left":
            raise Refusal("not_in_office", f"another release of {self._name} is in office for this wallet")

    def test_message(self, wallet: Wallet, release: bytes, signers: tuple[str, ...], now: int) -> bytes:
        """The release test, for one that arrives with this very release. Raises Refusal."""
        with wallet.lock:
            arriving = _of(wallet).acted_upon(release, now)
            if self.place(wallet) != "arriving" or not set(signers) <= set(arriving.names):
                raise Refusal("release_refused", "a release is tested by those who arrive with it, and nobody else")
            return release_test(wallet.identifier, release, signers)

    def standing(self, wallet: Wallet) -> Standing:
        """Call under the wallet's lock."""
        return _of(wallet)

    def inherit(self, wallet: Wallet, standing: Standing) -> None:
        """What a predecessor handed over; what is known here already must not be newer. Call under the lock."""
        if standing.precedes(_of(wallet)):
            raise Refusal("policy_version", "this signer holds a later directive than the one whose place it takes")
        wallet.standing = standing

    def seal(self, wallet: Wallet) -> bytes:
        """A policy record. Call under the wallet's lock."""
        return self._seal(wallet, _of(wallet).encode())

    def load(self, wallet: Wallet, raw: bytes, now: int) -> Body:
        """What this signer sealed before it was restarted. Raises Refusal `policy_version` for what is older than what
        it holds by now."""
        with wallet.during("policy.load"):
            record = Record.decode(raw)
            if (record.signer, record.wallet, record.epoch) != (self._name, wallet.identifier, wallet.epoch):
                raise Refusal("sealed_mismatch", "the policy record is of another signer, wallet or epoch")
            loaded, held = self._open(record), _of(wallet)
            if loaded.precedes(held):
                raise Refusal("policy_version", "this signer holds a later policy, freeze or set of officers")
            if held.precedes(loaded):
                wallet.standing = loaded
                self._sealed[loaded.wallet] = loaded.encode()
            return {"standing": cbor.encode(_of(wallet).view(now).value())}

    def attest(self, wallet: Wallet, nonce: bytes, now: int) -> tuple[bytes, bytes]:
        """How the wallet stands, and fresh evidence that this signer says so."""
        wallet.require("policy.show")
        with wallet.lock:
            view = cbor.encode(_of(wallet).view(now).value())
        return view, self._identity.attest(nonce, standing_user_data(view))

    # --- At rest ---

    def _context(self, wallet: bytes, epoch: int) -> Context:
        return {"signer": self._name, "wallet": wallet.hex(), "epoch": str(epoch), "kind": "policy"}

    def _seal(self, wallet: Wallet, content: bytes) -> bytes:
        identifier = wallet.identifier
        context = self._context(identifier, wallet.epoch)
        key, wrapped = self._sealer.new_key(context)
        nonce = self._random(_NONCE)
        sealed = _cipher(key).encrypt(nonce, content, _associated(context))
        self._sealed[identifier] = content
        return Record(self._name, identifier, wallet.epoch, wrapped, nonce, sealed).encode()

    def _open(self, record: Record) -> Standing:
        context = self._context(record.wallet, record.epoch)
        key = self._sealer.open_key(record.wrapped, context)
        try:
            return Standing.decode(_cipher(key).decrypt(record.nonce, record.sealed, _associated(context)))
        except InvalidTag:
            raise Refusal("sealed_mismatch", "the policy record was changed, or sealed by another signer") from None


def _verify_activation(wallet: Wallet, standing: Standing, directive: Directive, now: int) -> None:
    """The wallet's own key signed the test of the release that waits, held by `threshold` of its members."""
    activation, order = directive.activation(), wallet.order
    if directive.signatures or activation.wallet != standing.wallet:
        raise Refusal("release_refused", "an activation of another wallet, or one with officers' signatures")
    if activation.release == standing.release.digest:
        return
    release, signers = standing.acted_upon(activation.release, now), activation.signers
    if order.sorted_set(signers) != signers or not set(signers) <= set(release.names):
        raise Refusal("release_refused", f"an activation names {order.threshold} signers of the release, in order")
    message = release_test(standing.wallet, activation.release, signers)
    if not schemes.verify(order.scheme, wallet.known()[1].public_key, message, activation.signature):
        raise Refusal("release_refused", "the wallet's key did not sign the test of this release")


def _measurements(standing: Standing) -> tuple[Mapping[str, Measured], Mapping[str, Measured]]:
    """By the active release, and by the one that waits; what neither names is the order's."""
    active = standing.release.measurements
    following = {} if standing.arriving is None else dict(standing.arriving[0].members)
    return active, {**active, **following}


def _of(wallet: Wallet) -> Standing:
    """Before officers directed anything, it is the order's."""
    if wallet.standing is None or wallet.standing.wallet != wallet.identifier:
        wallet.standing = Standing.first(wallet.identifier, wallet.order.policy, wallet.order.officers)
    return wallet.standing


def _cipher(key: DataKey) -> AESGCM:
    raw = key.expose()
    try:
        return AESGCM(bytes(raw))
    finally:
        raw[:] = bytes(len(raw))


def _associated(context: Context) -> bytes:
    return hashlib.sha256(b"strongroom/policy-record/v1" + cbor.encode(dict(context))).digest()
