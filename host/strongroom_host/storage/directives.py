"""What officers directed, as this host passes it on, and what each signer sealed about it."""

from __future__ import annotations

import time
from typing import Final

import sqlalchemy as sa

from strongroom.policy.directives import Directive
from strongroom_host.storage.database import Database, Prepared
from strongroom_host.storage.tables import DIRECTIVES, POLICY_RECORDS


class Directives:
    """order: the id of the wallet's order."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._read: dict[bytes, tuple[int, tuple[Directive, ...]]] = {}

    def add(self, order: bytes, directive: Directive) -> None:
        """Kept once, in the order in which they came."""
        raw = directive.encode()
        known = sa.select(DIRECTIVES.c.id).where(DIRECTIVES.c.order_id == order.hex(), DIRECTIVES.c.directive == raw)
        row = {"order_id": order.hex(), "kind": directive.kind, "directive": raw, "created": int(time.time())}

        def insert(connection: sa.Connection) -> None:
            if connection.execute(known).first() is None:
                connection.execute(DIRECTIVES.insert().values(row))

        self._database.write(insert)

    def all(self, order: bytes) -> tuple[Directive, ...]:
        """The very same tuple while nothing is added, by this process or another: each request asks for it."""
        with self._database.read() as connection:
            last = _NEWEST(connection, [{"its_order": order.hex()}]).scalar() or 0
            known = self._read.get(order)
            if known is None or known[0] != last:
                mine = DIRECTIVES.c.order_id == order.hex()
                rows = connection.execute(sa.select(DIRECTIVES.c.directive).where(mine).order_by(DIRECTIVES.c.id))
                known = self._read[order] = last, tuple(Directive.decode(raw) for raw in rows.scalars())
        return known[1]

    def keep(self, order: bytes, signer: str, record: bytes) -> None:
        """A signer's newest record: opaque here, of use to that signer alone."""
        key = (POLICY_RECORDS.c.order_id == order.hex()) & (POLICY_RECORDS.c.signer == signer)
        row = {"order_id": order.hex(), "signer": signer, "record": record}

        def replace(connection: sa.Connection) -> None:
            connection.execute(POLICY_RECORDS.delete().where(key))
            connection.execute(POLICY_RECORDS.insert().values(row))

        self._database.write(replace)

    def record(self, order: bytes, signer: str) -> bytes | None:
        key = (POLICY_RECORDS.c.order_id == order.hex()) & (POLICY_RECORDS.c.signer == signer)
        with self._database.read() as connection:
            return connection.execute(sa.select(POLICY_RECORDS.c.record).where(key)).scalar_one_or_none()


_NEWEST: Final = Prepared(
    sa.select(sa.func.max(DIRECTIVES.c.id)).where(DIRECTIVES.c.order_id == sa.bindparam("its_order"))
)
