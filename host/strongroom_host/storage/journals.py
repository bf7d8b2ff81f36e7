"""Journals at rest: blocks that only their own signer or witness can read. Kept in order, each once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from strongroom.errors import Refusal
from strongroom.wire.fields import Fields
from strongroom_host.storage.database import Database
from strongroom_host.storage.tables import BLOCKS, JOURNALS

COMPACT: Final = 4096
"""Blocks after which a journal is asked for a checkpoint, so that a start has few to read."""

PAGE: Final = 256
"""Blocks that are read at once."""


class Journals:
    def __init__(self, database: Database) -> None:
        self._database = database

    def wrapped(self, order: bytes, journal: str) -> bytes | None:
        """Its data key, as its signer wrapped it. order: its id."""
        chosen = sa.select(JOURNALS.c.wrapped).where(_of(JOURNALS, order, journal))
        with self._database.read() as connection:
            return connection.execute(chosen).scalar_one_or_none()

    def begin(self, order: bytes, journal: str, wrapped: bytes) -> None:
        """Before anything is sealed under the key. Another process's key that came first stays."""
        row = {"order_id": order.hex(), "journal": journal, "wrapped": wrapped}
        exists = sa.select(JOURNALS.c.journal).where(_of(JOURNALS, order, journal))

        def insert(connection: sa.Connection) -> None:
            if connection.execute(exists).first() is None:
                connection.execute(JOURNALS.insert().values(row))

        self._database.write(insert)

    def blocks(self, order: bytes, journal: str, after: int = -1) -> list[tuple[int, bytes]]:
        """(sequence, block), a page of those behind `after`, oldest first."""
        chosen = (
            sa.select(BLOCKS.c.sequence, BLOCKS.c.block)
            .where(_of(BLOCKS, order, journal), BLOCKS.c.sequence > after)
            .order_by(BLOCKS.c.sequence)
            .limit(PAGE)
        )
        with self._database.read() as connection:
            return [(int(row.sequence), bytes(row.block)) for row in connection.execute(chosen)]

    def keep(self, order: bytes, said: Sequence[tuple[str, Sequence[bytes]]]) -> list[str]:
        """Durably keeps what comes next of each journal; what is there already is dropped, since signers send the
        newest blocks again and again. Gives the journals that miss blocks, or whose blocks are many by now: they need a
        checkpoint."""
        parsed = [(journal, [(_sequence(block), block) for block in blocks]) for journal, blocks in said if blocks]
        if not parsed:
            return []
        missing: list[str] = []

        def insert(connection: sa.Connection) -> None:
            for journal, rows in parsed:
                newest = sa.select(sa.func.max(BLOCKS.c.sequence)).where(_of(BLOCKS, order, journal))
                last = connection.execute(newest).scalar()
                following = -1 if last is None else int(last)
                for sequence, block in sorted(rows):
                    if sequence == following + 1:
                        connection.execute(BLOCKS.insert().values(_row(order, journal, sequence, block)))
                        following = sequence
                        if sequence and sequence % COMPACT == 0:
                            missing.append(journal)
                    elif sequence > following:
                        missing.append(journal)
                        break

        self._database.write(insert)
        return missing

    def replace(self, order: bytes, journal: str, blocks: Sequence[bytes]) -> None:
        """By a checkpoint: nothing before it is needed."""
        rows = [_row(order, journal, _sequence(block), block) for block in blocks]

        def change(connection: sa.Connection) -> None:
            connection.execute(BLOCKS.delete().where(_of(BLOCKS, order, journal)))
            connection.execute(BLOCKS.insert(), rows)

        self._database.write(change)

    def cut(self, order: bytes, journal: str, sequence: int) -> None:
        """Forgets the blocks from this one on: their signer could not go on from them."""
        behind = sa.and_(_of(BLOCKS, order, journal), BLOCKS.c.sequence >= sequence)
        self._database.write(lambda connection: connection.execute(BLOCKS.delete().where(behind)))


def _of(table: sa.Table, order: bytes, journal: str) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.order_id == order.hex(), table.c.journal == journal)


def _row(order: bytes, journal: str, sequence: int, block: bytes) -> dict[str, object]:
    return {"order_id": order.hex(), "journal": journal, "sequence": sequence, "block": block}


def _sequence(block: bytes) -> int:
    """Raises Refusal for what is no block."""
    fields = Fields.decode(block, "block")
    sequence = fields.integer("sequence", most=(1 << 62))
    if not fields.has("sealed"):
        raise Refusal("malformed_message", "a journal's block is not sealed")
    return sequence
