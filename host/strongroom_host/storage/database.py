"""The engine. SQLite set up to be durable: WAL, FULL, a busy timeout, and writers that begin IMMEDIATE."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from sqlite3 import Connection as SqliteConnection
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event

BUSY_TIMEOUT_MS: Final = 10_000


class Database:
    """url: SQLAlchemy's, as in `sqlite:////var/lib/strongroom/host.db`. threads: how many use it at once."""

    def __init__(self, url: str, threads: int = 16) -> None:
        self.url = url
        self._engine = sa.create_engine(url, pool_size=threads, max_overflow=threads)
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _set_up)

    def close(self) -> None:
        self._engine.dispose()

    @property
    def engine(self) -> sa.Engine:
        return self._engine

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that is durable when the block ends, and holds the writers' lock from its first statement."""
        with self._engine.connect() as connection:
            if self._engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.commit()
            except BaseException:
                connection.rollback()
                raise

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Statements that change nothing."""
        with self._engine.connect() as connection:
            yield connection


def _set_up(connection: SqliteConnection, _record: Any) -> None:
    # The driver must not begin transactions of its own: they would be deferred ones, and deadlock as writers.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")
