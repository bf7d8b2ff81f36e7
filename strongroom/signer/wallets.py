"""The wallets that a signer knows: their order, phase, share, channels and cut pairs. All of it lives in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

from strongroom_native import KeyShare

from strongroom import schemes
from strongroom.chains.bitcoin.keys import WalletKeys
from strongroom.errors import Refusal
from strongroom.journal.book import Book
from strongroom.journal.journal import Journal
from strongroom.policy.release import Release
from strongroom.policy.standing import Standing
from strongroom.signer import table
from strongroom.signer.handover import Handing, JournalEnd
from strongroom.signer.links import Links
from strongroom.signer.table import Phase
from strongroom.wallet.order import SignedOrder

MAX_WALLETS = 1024
MAX_ABORTS = 8
"""Unattributed aborts in a row that stop a wallet."""

EPOCH = 1


@dataclass(frozen=True)
class Dealt:
    """What the DKG left."""

    wallet: bytes
    share: KeyShare
    transcript: bytes

    @cached_property
    def keys(self) -> WalletKeys:
        """What addresses and derived keys follow from."""
        return WalletKeys(self.share.suite, self.share.public_key, self.share.chain_code)


class Wallet:
    def __init__(self, signed: SignedOrder, name: str) -> None:
        self.signed = signed
        self.order = signed.order
        self.order_id = signed.order_id
        self.suite = schemes.suite(signed.order.scheme)
        self.name = name
        self.index = signed.order.index(name) if name in signed.order.names else 0
        """The party number; 0 of a witness."""
        self.epoch = EPOCH
        self.phase: Phase = "ordered"
        self.dealt: Dealt | None = None
        self.body: bytes | None = None
        self.standing: Standing | None = None
        self.links = Links()
        self.banned: set[str] = set()
        self._aborts = 0
        self.book = Book()
        """What this signer reserved, where the order names no witness."""
        self.journal: Journal | None = None
        self.wrapped: bytes | None = None
        """The journal's data key, wrapped."""
        self.journal_from: JournalEnd | None = None
        """Where the chain of a predecessor in an earlier release ended."""
        self.handing: Handing | None = None
        self.handed = False
        """Whether this process has given its end away: what it would remember from then on, nobody would know."""
        self.expected: Release | None = None
        """The release with which this process arrives."""
        self.checkpoint: list[list[bytes]] = []
        """What is left of one that the host fetches in pages."""
        self._public: tuple[bytes, WalletKeys] | None = None
        self.lock = threading.RLock()

    def require_going_on(self) -> None:
        """Call under the lock. Raises Refusal `not_in_office`."""
        if self.handed:
            raise Refusal("not_in_office", f"{self.name} handed this wallet over to its next release")

    def require(self, operation: str) -> None:
        table.require(operation, self.phase)

    @contextmanager
    def during(self, operation: str) -> Iterator[None]:
        """Runs an operation under the table: its phase after success, or after failure. Holds the wallet's lock."""
        with self.lock:
            rule = table.require(operation, self.phase)
            try:
                yield
            except Exception:
                self.phase = rule.failure or self.phase
                raise
            self.phase = rule.success or self.phase

    @property
    def witnesses(self) -> bool:
        """Whether this is a witness of the wallet, without a share."""
        return self.index == 0

    def witness(self, identifier: bytes, keys: WalletKeys) -> None:
        """What a certificate says of the wallet that is witnessed."""
        self._public = identifier, keys

    @property
    def is_known(self) -> bool:
        """Whether it has an id yet: a share, or a certificate that is witnessed."""
        return self._public is not None or self.dealt is not None

    @property
    def identifier(self) -> bytes:
        return self.known()[0]

    def known(self) -> tuple[bytes, WalletKeys]:
        """The wallet's id and public keys, of whoever holds a share of it or witnesses it."""
        if self._public is not None:
            return self._public
        held = self.hold()
        return held.wallet, held.keys

    def hold(self) -> Dealt:
        if self.dealt is None:
            raise Refusal("unknown_wallet", "this signer holds no share of this wallet")
        return self.dealt

    def deal_ended(self) -> None:
        """A DKG is over, without a share of it if it was under way still. A share of an earlier one is loaded again."""
        with self.lock:
            self.phase = "ordered" if self.phase == "dealing" else self.phase

    def ended(self, *, unattributed: bool) -> None:
        """Counts aborts that blame nobody; a success or a named culprit starts the count anew."""
        with self.lock:
            self._aborts = self._aborts + 1 if unattributed else 0
            if self._aborts >= MAX_ABORTS:
                self.phase = "stopped"


@dataclass
class Wallets:
    """By order, and by wallet id once there is one."""

    name: str
    _by_order: dict[bytes, Wallet] = field(default_factory=dict)
    _by_wallet: dict[bytes, Wallet] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def accept(self, signed: SignedOrder) -> Wallet:
        with self._lock:
            known = self._by_order.get(signed.order_id)
            if known is not None:
                return known
            if len(self._by_order) >= MAX_WALLETS:
                raise Refusal("order_limit", f"this signer already holds {MAX_WALLETS} orders")
            wallet = Wallet(signed, self.name)
            self._by_order[signed.order_id] = wallet
            return wallet

    def bind(self, wallet: Wallet, identifier: bytes) -> None:
        with self._lock:
            self._by_wallet = {key: other for key, other in self._by_wallet.items() if other is not wallet}
            self._by_wallet[identifier] = wallet

    def by_order(self, order: bytes) -> Wallet:
        try:
            return self._by_order[order]
        except KeyError:
            raise Refusal("unknown_order", "this signer does not know this order") from None

    def by_wallet(self, identifier: bytes) -> Wallet:
        try:
            return self._by_wallet[identifier]
        except KeyError:
            raise Refusal("unknown_wallet", "this signer does not hold this wallet") from None

    def all(self) -> list[Wallet]:
        with self._lock:
            return list(self._by_order.values())
