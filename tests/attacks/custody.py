"""Real signers, and nobody between them and the test: the test is their host, honest or not.

Honest work goes through the host's own relay, so that an attack and the signature after it take the production path.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import coincurve
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from strongroom import schemes
from strongroom.chains.effects import ToSign
from strongroom.chains.evm import Transaction
from strongroom.intent.decoding import decode
from strongroom.intent.intent import Intent, intent_signing_bytes
from strongroom.policy.document import Policy
from strongroom.policy.shown import NOTHING
from strongroom.wallet.certificate import Body
from strongroom.wallet.order import Member, Order, SignedOrder, order_id, order_signing_bytes
from strongroom.wire import cbor
from strongroom.wire.fields import Fields
from strongroom_client import keyfiles, officers, orders
from strongroom_client.cluster.cluster import Cluster
from strongroom_client.cluster.plan import PORT
from strongroom_host.connection import Address
from strongroom_host.relay.relay import Group, Relay
from strongroom_host.relay.rounds import Route
from strongroom_host.relay.signing import Signed, Task, sign
from strongroom_host.relay.wallets import Maker
from strongroom_host.signers import Signers
from strongroom_host.storage import migrate
from strongroom_host.storage.database import Database
from strongroom_host.storage.journals import Journals
from strongroom_host.storage.wallets import Wallet, Wallets
from tests.attacks.hand import Run, Step, read_step
from tests.policy.made import payments

ECDSA: Final = "dkls23-secp256k1"
ED25519: Final = "frost-ed25519"
TAPROOT: Final = "frost-secp256k1-tr"
MUSIG2: Final = "musig2-secp256k1"
SCHEMES: Final = (ECDSA, ED25519, TAPROOT, MUSIG2)

CHAIN_ID: Final = 31337
RECIPIENT: Final = bytes.fromhex("70997970c51812dc3a010c7d01b50e0d17dc79c8")
CONTRACT: Final = bytes.fromhex("5fbdb2315678afecb367f032d93f642f64180aa3")
METHOD: Final = bytes.fromhex("d0e30db0")
LIMIT: Final = 10**18
FEE_CEILING: Final = 10**16
TRANSACTION: Final = Transaction(CHAIN_ID, 0, 10**9, 2 * 10**9, 21_000, RECIPIENT, 10**15)

Ask = dict[str, cbor.Value]


@dataclass(frozen=True)
class Status:
    phase: str
    reason: str | None
    clock: int
    boot: bytes
    inflight: int
    wallets: list[Any]


class Unreserved:
    """A host that keeps no requests: what must be durable before a round is somebody else's test."""

    def begin(self, attempt: int, signers: tuple[str, ...], *, last: bool) -> None: ...

    def before_last(self) -> None: ...


class Custody:
    def __init__(self, cluster: Cluster, sockets: Mapping[str, Path] | None = None) -> None:
        """sockets: where the relay dials a signer instead of at its own socket."""
        self.cluster = cluster
        dialled = {name: cluster.socket(name) for name in cluster.everyone} | dict(sockets or {})
        self.signers = Signers({name: Address.parse(f"uds:{path}#{PORT}") for name, path in dialled.items()})
        self.database = Database(f"sqlite:///{cluster.plan.host / 'host.db'}")
        migrate.migrate(self.database)
        self.journals = Journals(self.database)
        self.relay = Relay(self.signers, self.journals)
        self.wallets = Wallets(self.database)
        self._folder = cluster.plan.officers
        self.requester = keyfiles.load(self._folder / officers.REQUESTER, _no_passphrase)
        self.officer_keys = [keyfiles.load(path, _no_passphrase) for path in officers.officer_files(self._folder)]
        self.officers = officers.load_pins(self._folder)
        self._made: dict[tuple[str, int], Wallet] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return self.cluster.names

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.relay.close()
        self.database.close()

    def rest(self) -> None:
        """Returns when the relay sets nothing up ahead any more, for signers that it saw restarted."""
        self.relay._warmer.close()

    # --- Wallets ---

    def order(
        self, scheme: str, threshold: int = 2, *, roster: Sequence[Member] | None = None, **changed: Any
    ) -> Order:
        """changed: fields of Order other than those that officers would choose here."""
        members = tuple(roster or self.cluster.roster)
        order = Order(
            "simulated",
            scheme,
            len(members) if scheme == MUSIG2 else threshold,
            members,
            self.officers,
            self.policy(),
            (scheme,),
            secrets.token_bytes(32),
            self.cluster.witnesses,
        )
        return replace(order, **changed)

    def policy(self) -> Policy:
        requesters = (keyfiles.public(self.requester),)
        calls, issued = ((CONTRACT, METHOD),), int(time.time())
        return payments(requesters, (CHAIN_ID,), (RECIPIENT,), LIMIT, FEE_CEILING, calls, issued=issued)

    def signed(self, order: Order, *, quorum: int | None = None) -> SignedOrder:
        """Signed by that many officers, a quorum unless said otherwise; not checked here."""
        keys = self.officer_keys[: self.officers.quorum if quorum is None else quorum]
        if quorum is None:
            return orders.sign(order, keys)
        message = order_signing_bytes(order_id(order.encode()))
        return SignedOrder.of(order, {keyfiles.public(key): key.sign(message) for key in keys})

    def make(self, scheme: str, threshold: int = 2, route: Route | None = None) -> Wallet:
        """A new wallet of all signers."""
        return self.create(self.signed(self.order(scheme, threshold)), route)

    def create(self, order: SignedOrder, route: Route | None = None) -> Wallet:
        return Maker(self.relay, self.wallets, route).create(order)

    def wallet(self, scheme: str, threshold: int = 2) -> Wallet:
        """The session's own, made when somebody first asks."""
        key = scheme, threshold
        if key not in self._made:
            self._made[key] = self.make(*key)
        return self._made[key]

    def group(self, wallet: Wallet) -> Group:
        return Maker(self.relay, self.wallets).group(wallet.signed_order, wallet.body.wallet, wallet.body_bytes)

    def record(self, wallet: Wallet, name: str) -> bytes:
        record = self.wallets.record(wallet.signed_order.order_id, name)
        assert record is not None
        return record

    # --- Requests ---

    def intent(self, wallet: Wallet, /, **changed: Any) -> Intent:
        """A fresh one that every signer agrees with, unless `changed` says otherwise."""
        digest = schemes.suite(wallet.signed_order.order.scheme).digest
        intent = Intent(
            wallet.body.wallet,
            "evm-transaction" if digest else "message",
            TRANSACTION.encode() if digest else b"pay nobody",
            os.urandom(16),
            keyfiles.public(self.requester),
            int(time.time()) + 600,
            wallet.policy,
            f"evm:{TRANSACTION.chain_id}" if digest else "",
        )
        return replace(intent, **changed)

    def approve(self, intent: Intent) -> bytes:
        """The requester's signature."""
        return self.requester.sign(intent_signing_bytes(intent.intent_id))

    def sign(
        self,
        wallet: Wallet,
        names: Sequence[str] | None = None,
        *,
        intent: Intent | None = None,
        route: Route | None = None,
    ) -> Signed:
        """By the relay. names: the set to try first. The signature is verified by somebody else's code."""
        intent = intent or self.intent(wallet)
        to_sign = decode(intent, wallet.body.keys).to_sign
        signed = self.send(wallet, intent, to_sign, names, route)
        for each, signature in zip(to_sign, signed.signatures, strict=True):
            assert verifies(wallet.body, each.message, signature, each.path)
        return signed

    def send(
        self,
        wallet: Wallet,
        intent: Intent,
        to_sign: Sequence[ToSign],
        names: Sequence[str] | None = None,
        route: Route | None = None,
        approvals: Sequence[bytes] = (),
    ) -> Signed:
        """Without a judgement of the host's own. to_sign: what the host believes is signed."""
        order = wallet.signed_order.order
        preferred = None if names is None else order.sorted_set(names)
        task = Task(
            self.group(wallet), order.scheme, order.threshold, wallet.body.package, intent.encode(), intent.intent_id,
            self.approve(intent), tuple(to_sign), preferred, route, tuple(approvals),
            replaces=intent.replaces is not None,
        )  # fmt: skip
        return sign(self.relay, task, Unreserved())

    def sets(self, wallet: Wallet) -> list[tuple[str, ...]]:
        """Every set of signers that may sign: for 2 of 3, each of the three pairs."""
        order = wallet.signed_order.order
        size, names = order.threshold, order.names
        return [tuple(sorted((names * 2)[start : start + size], key=order.index)) for start in range(len(names))]

    def require_intact(self, wallet: Wallet) -> None:
        """Each set of signers signs, none of them replaced by another."""
        for names in self.sets(wallet):
            assert self.sign(wallet, names).signers == names

    # --- What a dishonest host does ---

    def ask(self, name: str, operation: str, body: Ask | None = None) -> Fields:
        """Raises the signer's Refusal."""
        return self.signers.call(name, operation, body or {}, timeout=30.0)

    def status(self, name: str) -> Status:
        """What a signer says of itself, as far as tests look at it."""
        fields = self.ask(name, "status")
        wallets = fields.raw("wallets")
        assert isinstance(wallets, list)
        return Status(
            fields.text("phase"),
            fields.optional_text("reason"),
            fields.integer("clock"),
            fields.blob("boot"),
            fields.integer("inflight"),
            wallets,
        )

    def tickets(self, names: Sequence[str]) -> list[bytes]:
        return [_bytes(self.ask(name, "tickets", {"count": 1}).raw("tickets")) for name in names]

    def start(self, name: str, operation: str, body: Ask) -> Step:
        return read_step(name, self.ask(name, operation, body))

    def begin(self, operation: str, bodies: Mapping[str, Ask]) -> Run:
        """The same tickets for everybody, fresh; `bodies` may hold others."""
        tickets = self.tickets(list(bodies))
        common: Ask = {"tickets": list(tickets), "attempt": 1}
        with ExitStack() as undo:
            run = undo.enter_context(Run(self.signers))
            for name, body in bodies.items():
                run.take(self.start(name, operation, common | body))
            undo.pop_all()
        return run

    def signing(self, wallet: Wallet, names: Sequence[str] | None = None, intent: Intent | None = None) -> Run:
        """A signing that has begun, in the host's hand. names: of the set, in roster order."""
        chosen = tuple(names or self.sets(wallet)[0])
        return self.begin("sign.start", dict.fromkeys(chosen, self.sign_body(wallet, chosen, intent)))

    def sign_body(self, wallet: Wallet, names: Sequence[str], intent: Intent | None = None) -> Ask:
        intent = intent or self.intent(wallet)
        signature = self.approve(intent)
        return {
            "wallet": wallet.body.wallet,
            "intent": intent.encode(),
            "signature": signature,
            "approvals": [],
            "shown": NOTHING.value(),
            "set": list(names),
        }

    def dealing(self, order: SignedOrder) -> Run:
        """A DKG that has begun: the order accepted, channels open."""
        names = order.order.names
        for name in names:
            self.ask(name, "order.accept", {"order": order.encode()})
        self.connect(order)
        body: Ask = {"order": order.order_id}
        return self.begin("dkg.start", dict.fromkeys(names, body))

    def pairing(self, wallet: Wallet, first: str, second: str) -> Run:
        bodies: dict[str, Ask] = {
            name: {"wallet": wallet.body.wallet, "peer": peer} for name, peer in ((first, second), (second, first))
        }
        return self.begin("pair.start", bodies)

    def connect(self, order: SignedOrder) -> None:
        """Opens all channels anew."""
        names = order.order.names
        pairs = [(names[i], names[j]) for i in range(len(names)) for j in range(i + 1, len(names))]
        self.relay.handshakes.open(order.order_id, pairs)


def verifies(body: Body, message: bytes, signature: bytes, path: tuple[int, ...] = ()) -> bool:
    """By libsecp256k1 or OpenSSL, under the key of the wallet's certificate, or the one at `path`."""
    scheme = body.order.order.scheme
    if scheme == ECDSA:
        key = coincurve.PublicKey.from_signature_and_message(signature, message, hasher=None)
        return bool(key.format() == body.keys.key(path))
    if scheme == ED25519:
        try:
            Ed25519PublicKey.from_public_bytes(body.wallet_key).verify(signature, message)
        except InvalidSignature:
            return False
        return True
    return bool(coincurve.PublicKeyXOnly(body.wallet_key).verify(signature, message))


def _bytes(value: cbor.Value) -> bytes:
    assert isinstance(value, list) and isinstance(value[0], bytes)
    return value[0]


def _no_passphrase() -> bytes:
    raise AssertionError("the cluster's keys are not encrypted")
