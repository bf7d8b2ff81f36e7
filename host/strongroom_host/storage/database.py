"""The engine. SQLite set up to be durable: WAL, FULL, a busy timeout, and writers that begin IMMEDIATE.

Threads that write at once share one commit: SQLite has one writer at a time, its waiting is by sleeping and unfair, and
a commit is a wait for the disk. Whoever comes first writes for all who came meanwhile.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from sqlite3 import Connection as SqliteConnection
from typing import Any, Final, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy import event

BUSY_TIMEOUT_MS: Final = 10_000
"""For other processes' writers; those of this one queue before the database is asked."""

T = TypeVar("T")


class Database:
    """url: SQLAlchemy's, as in `sqlite:////var/lib/strongroom/host.db`. threads: how many use it at once."""

    def __init__(self, url: str, threads: int = 16) -> None:
        self._engine = sa.create_engine(url, pool_size=threads, max_overflow=threads)
        self._waiting: deque[_Work[Any]] = deque()
        self._turn = threading.Lock()
        self._writer: sa.Connection | None = None
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _set_up)

    def close(self) -> None:
        with self._turn:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        self._engine.dispose()

    @property
    def engine(self) -> sa.Engine:
        return self._engine

    def write(self, statements: Callable[[sa.Connection], T], *, durable: bool = True) -> T:
        """Runs `statements` as one transaction: all of it is there when this returns, none of it when it
        raises. It holds the writers' lock from its first statement on, so it may read before it writes.

        durable: it survives a loss of power from then on. Otherwise it survives the end of this process only, and of a
        lost tail every part is lost: for what may be forgotten, because what is remembered then is safe.
        """
        work = _Work(statements, durable=durable)
        self._waiting.append(work)
        with self._turn:
            if not work.ended:
                self._together([self._waiting.popleft() for _ in range(len(self._waiting))])
        return work.outcome()

    def _together(self, batch: list[_Work[Any]]) -> None:
        try:
            # Kept from one commit to the next: only whoever has the turn uses it.
            self._writer = connection = self._writer or self._engine.connect()
            if self._engine.dialect.name == "sqlite":
                _require_sync(connection, any(work.durable for work in batch))
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            done = [work for work in batch if work.run(connection, alone=len(batch) == 1)]
            if done:
                connection.commit()
            else:
                connection.rollback()
            for work in done:
                work.ended = True
        except BaseException as error:
            for work in batch:
                work.fail(error)
            if self._writer is not None:
                self._writer.invalidate()
                self._writer.close()
                self._writer = None
            if not isinstance(error, Exception):
                raise

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Statements that change nothing."""
        with self._engine.connect() as connection:
            yield connection


class Prepared:
    """A statement that every request runs: compiled once, where building and keying it anew costs more than running it.

    Parameters are given by name and as the database takes them; no types are converted on the way in or out.
    """

    def __init__(self, statement: sa.ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, Sequence[str] | None, Mapping[str, Any]]] = {}

    def __call__(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> sa.CursorResult[Any]:
        """One row of parameters, or several for an insert of several rows."""
        sql, order, fixed = self._compiled.get(connection.dialect.name) or self._compile(connection.dialect)
        given = [{**fixed, **row} for row in rows]
        if order is None:
            return connection.exec_driver_sql(sql, given if len(given) > 1 else given[0])
        positional = [tuple(row[name] for name in order) for row in given]
        return connection.exec_driver_sql(sql, positional if len(positional) > 1 else positional[0])

    def _compile(self, dialect: sa.Dialect) -> tuple[str, Sequence[str] | None, Mapping[str, Any]]:
        compiled = self._statement.compile(dialect=dialect)
        order = getattr(compiled, "positiontup", None)
        fixed = {name: value for name, value in compiled.params.items() if value is not None}
        self._compiled[dialect.name] = (str(compiled), order, fixed)
        return self._compiled[dialect.name]


class _Work(Generic[T]):
    """One caller's statements. ended: its outcome stands, and if it is a result, it is durable."""

    def __init__(self, statements: Callable[[sa.Connection], T], *, durable: bool) -> None:
        self._statements = statements
        self.durable = durable
        self._result: T | None = None
        self._error: BaseException | None = None
        self.ended = False

    def run(self, connection: sa.Connection, *, alone: bool) -> bool:
        """Whether it is to be committed. Not alone: what it did is undone for itself, the others' stays."""
        try:
            if alone:
                self._result = self._statements(connection)
            else:
                with connection.begin_nested():
                    self._result = self._statements(connection)
        except Exception as error:
            self.fail(error)
            return False
        return True

    def fail(self, error: BaseException) -> None:
        if not self.ended:
            self._error, self.ended = error, True

    def outcome(self) -> T:
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # None only where T is


def _require_sync(connection: sa.Connection, durable: bool) -> None:
    """Between transactions: whether the next one waits for the disk."""
    level = "FULL" if durable else "NORMAL"
    if connection.info.get("synchronous", "FULL") != level:
        connection.exec_driver_sql(f"PRAGMA synchronous={level}")
        connection.info["synchronous"] = level


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
