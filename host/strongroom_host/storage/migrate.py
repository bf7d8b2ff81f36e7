"""Brings a database to the newest version of the schema. Two hosts that start at once do it one after the other."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from strongroom_host.storage.database import Database

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def configuration(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def migrate(database: Database) -> None:
    """Idempotent."""
    with _alone(database.engine.url), database.engine.connect() as connection:
        command.upgrade(configuration(connection), "head")
        connection.commit()


@contextmanager
def _alone(url: sa.URL) -> Iterator[None]:
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        yield
        return
    path = Path(url.database)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
