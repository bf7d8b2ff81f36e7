"""The newest waiver of each order: which journals go on without the others, and until when."""

from __future__ import annotations

import sqlalchemy as sa

from strongroom.journal.waiver import SignedWaiver
from strongroom_host.storage.database import Database
from strongroom_host.storage.tables import WAIVERS


class Waivers:
    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, order: bytes, signed: SignedWaiver) -> None:
        """In the place of an earlier one, as at its journals. order: its id."""
        row = {"order_id": order.hex(), "waiver": signed.encode()}

        def replace(connection: sa.Connection) -> None:
            connection.execute(WAIVERS.delete().where(WAIVERS.c.order_id == order.hex()))
            connection.execute(WAIVERS.insert().values(row))

        self._database.write(replace)

    def latest(self, order: bytes) -> SignedWaiver | None:
        chosen = sa.select(WAIVERS.c.waiver).where(WAIVERS.c.order_id == order.hex())
        with self._database.read() as connection:
            raw = connection.execute(chosen).scalar_one_or_none()
        return None if raw is None else SignedWaiver.decode(raw)
