"""Wallets as the host keeps them: the order, each signer's sealed record, and the certificate once there is one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import sqlalchemy as sa

from strongroom.errors import Refusal
from strongroom.wallet.certificate import Body, Certificate
from strongroom.wallet.order import SignedOrder
from strongroom_host.storage.database import Database
from strongroom_host.storage.directives import Directives
from strongroom_host.storage.shown import ShownBeside
from strongroom_host.storage.tables import JOURNALS, POLICY_RECORDS, RECORDS, WALLETS
from strongroom_host.storage.waivers import Waivers

Phase = Literal["ordered", "dealt", "certified"]


@dataclass(frozen=True)
class Wallet:
    """attempt: of the DKG. dealt: the public part of its result, as the signers encoded it; None before it.

    certificate: before the wallet is certified, the body alone that signers are asked to attest.
    """

    signed_order: SignedOrder
    phase: Phase
    attempt: int
    wallet: str | None = None
    dealt: bytes | None = None
    certificate: bytes | None = None

    @cached_property
    def body(self) -> Body:
        """Raises Refusal `wrong_phase` before the wallet is certified."""
        return Body.decode(self.body_bytes)

    @cached_property
    def body_bytes(self) -> bytes:
        if self.certificate is None or self.phase != "certified":
            raise Refusal("wrong_phase", "the signers have not certified this wallet yet: send its order again")
        return Certificate.decode(self.certificate).body

    @property
    def proposed(self) -> bytes | None:
        """The body that signers may have attested already, each of them this one and no other."""
        return None if self.certificate is None else Certificate.decode(self.certificate).body

    @cached_property
    def policy(self) -> bytes:
        return self.signed_order.order.policy.digest()


class Wallets:
    """Certified wallets never change, and are kept in memory."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.directives = Directives(database)
        self.shown = ShownBeside(database)
        self.waivers = Waivers(database)
        self._certified: dict[str, Wallet] = {}

    def begin(self, order: SignedOrder, idempotency: str | None = None) -> Wallet:
        """The wallet of this order, recorded as `ordered` if it is new. Raises Refusal `idempotency_conflict` when the
        key (its hash) came with another order."""
        row = {
            "order_id": order.order_id.hex(),
            "phase": "ordered",
            "attempt": 0,
            "idempotency": idempotency,
            "signed_order": order.encode(),
            "created": int(time.time()),
        }
        exists = sa.select(WALLETS.c.order_id).where(WALLETS.c.order_id == row["order_id"])
        used = sa.select(WALLETS.c.order_id).where(WALLETS.c.idempotency == idempotency)

        def insert(connection: sa.Connection) -> None:
            other = None if idempotency is None else connection.execute(used).scalar()
            if other not in (None, row["order_id"]):
                raise Refusal("idempotency_conflict", "this Idempotency-Key was sent with another order")
            if connection.execute(exists).first() is None:
                connection.execute(WALLETS.insert().values(row))

        self._database.write(insert)
        return self.of_order(order.order_id)

    def attempt(self, order: bytes) -> int:
        """Counts a DKG's attempt, durably. order: its id."""
        key = WALLETS.c.order_id == order.hex()

        def count(connection: sa.Connection) -> int:
            connection.execute(WALLETS.update().where(key).values(attempt=WALLETS.c.attempt + 1))
            return int(connection.execute(sa.select(WALLETS.c.attempt).where(key)).scalar_one())

        return self._database.write(count)

    def dealt(self, order: bytes, wallet: bytes, dealt: bytes, records: Mapping[str, bytes]) -> None:
        """Keeps every signer's sealed record before anything is done with the key."""
        rows = [{"order_id": order.hex(), "signer": name, "record": record} for name, record in records.items()]
        changed = {"wallet": wallet.hex(), "phase": "dealt", "dealt": dealt, "certificate": None}

        def replace(connection: sa.Connection) -> None:
            connection.execute(RECORDS.delete().where(RECORDS.c.order_id == order.hex()))
            connection.execute(RECORDS.insert(), rows)
            connection.execute(WALLETS.update().where(WALLETS.c.order_id == order.hex()).values(changed))

        self._database.write(replace)

    def propose(self, order: bytes, body: bytes) -> bytes:
        """Keeps a certificate's body before any signer attests it: each attests one, and no other after it."""
        self._update(order, {"certificate": Certificate(body, ()).encode()})
        return body

    def certified(self, order: bytes, certificate: bytes) -> Wallet:
        self._update(order, {"phase": "certified", "certificate": certificate})
        return self.of_order(order)

    def _update(self, order: bytes, changed: Mapping[str, object]) -> None:
        update = WALLETS.update().where(WALLETS.c.order_id == order.hex()).values(changed)
        self._database.write(lambda connection: connection.execute(update))

    def succeeded(
        self, order: bytes, signer: str, *, record: bytes | None, policy: bytes, wrapped: bytes | None
    ) -> None:
        """A signer of a next release took over: what it sealed takes the place of what its predecessor had. record:
        None of a witness. wrapped: the journal's data key; None where there is no journal."""
        mine = {"order_id": order.hex(), "signer": signer}

        def replace(connection: sa.Connection) -> None:
            _replace(connection, POLICY_RECORDS, {**mine, "record": policy})
            if record is not None:
                _replace(connection, RECORDS, {**mine, "record": record})
            if wrapped is not None:
                key = (JOURNALS.c.order_id == order.hex()) & (JOURNALS.c.journal == signer)
                connection.execute(JOURNALS.update().where(key).values(wrapped=wrapped))

        self._database.write(replace)

    def record(self, order: bytes, signer: str) -> bytes | None:
        """A signer's sealed record: opaque here, of use to that signer alone."""
        chosen = sa.select(RECORDS.c.record).where(RECORDS.c.order_id == order.hex(), RECORDS.c.signer == signer)
        with self._database.read() as connection:
            return connection.execute(chosen).scalar_one_or_none()

    def of_order(self, order: bytes) -> Wallet:
        with self._database.read() as connection:
            row = connection.execute(sa.select(WALLETS).where(WALLETS.c.order_id == order.hex())).one()
        return _wallet(row)

    def get(self, wallet: str) -> Wallet:
        """By the wallet's id in hex. Raises Refusal `unknown_wallet`."""
        known = self._certified.get(wallet)
        if known is not None:
            return known
        with self._database.read() as connection:
            row = connection.execute(sa.select(WALLETS).where(WALLETS.c.wallet == wallet)).one_or_none()
        if row is None:
            raise Refusal("unknown_wallet", f"this host knows no wallet {wallet[:64]}")
        found = _wallet(row)
        if found.phase == "certified":
            self._certified[wallet] = found
        return found

    def all(self) -> list[Wallet]:
        with self._database.read() as connection:
            rows = connection.execute(sa.select(WALLETS).order_by(WALLETS.c.created, WALLETS.c.order_id)).all()
        return [_wallet(row) for row in rows]


def _replace(connection: sa.Connection, table: sa.Table, row: dict[str, object]) -> None:
    """Of one signer, the one row."""
    key = (table.c.order_id == row["order_id"]) & (table.c.signer == row["signer"])
    connection.execute(table.delete().where(key))
    connection.execute(table.insert().values(row))


def _phase(text: str) -> Phase:
    if text == "ordered":
        return "ordered"
    if text == "dealt":
        return "dealt"
    if text == "certified":
        return "certified"
    raise ValueError(f"no such phase: {text[:20]!r}")


def _wallet(row: sa.Row[tuple[object, ...]]) -> Wallet:
    return Wallet(
        SignedOrder.decode(row.signed_order),
        _phase(row.phase),
        row.attempt,
        row.wallet,
        row.dealt,
        row.certificate,
    )
