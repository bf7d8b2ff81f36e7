"""What signers are shown beside an intent, kept for as long as its request may be sent again."""

from __future__ import annotations

import sqlalchemy as sa

from strongroom.policy.shown import NOTHING, Shown
from strongroom_host.storage.database import Database
from strongroom_host.storage.tables import SHOWN


class ShownBeside:
    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, request: str, shown: Shown) -> None:
        """The first that came stays: a repetition of the request changes nothing."""
        known = sa.select(SHOWN.c.request).where(SHOWN.c.request == request)

        def insert(connection: sa.Connection) -> None:
            if connection.execute(known).first() is None:
                connection.execute(SHOWN.insert().values(request=request, shown=shown.encode()))

        self._database.write(insert)

    def of(self, request: str) -> Shown:
        with self._database.read() as connection:
            raw = connection.execute(sa.select(SHOWN.c.shown).where(SHOWN.c.request == request)).scalar_one_or_none()
        return NOTHING if raw is None else Shown.decode(raw)
