"""Real signers in threads, a database in a folder of its own, and a host put together from both."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from strongroom_host.api.app import create_app
from strongroom_host.broadcasting import Chains
from strongroom_host.custody import Custody
from strongroom_host.following import Chain
from strongroom_host.gathering import Gathering
from strongroom_host.relay import signing
from strongroom_host.relay.relay import Relay
from strongroom_host.screening import Screening
from strongroom_host.screening import Service as Screened
from strongroom_host.service import Service
from strongroom_host.storage.approvals import Approvals
from strongroom_host.storage.database import Database
from strongroom_host.storage.migrate import migrate
from strongroom_host.storage.requests import Requests
from strongroom_host.storage.wallets import Wallet, Wallets
from tests.host.world import CHAIN_ID, World

KEY = "a key for tests"


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    # A short path: a Unix socket's has 108 bytes at most.
    world = World(tmp_path_factory.mktemp("s"))
    yield world
    world.close()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "host.db"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    database.close()
    return path


@pytest.fixture
def database(migrated: Path, tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{shutil.copy(migrated, tmp_path / 'host.db')}")
    yield database
    database.close()


Host = Callable[..., Custody]


@pytest.fixture
def host(world: World, database: Database) -> Iterator[Host]:
    """Makes hosts over the same database: a second one is the first one after its restart."""
    made: list[Custody] = []

    def make(chain: Chain | None = None, screening: Mapping[str, Screened] | None = None) -> Custody:
        requests = Requests(database)
        chains = Chains({} if chain is None else {CHAIN_ID: chain}, requests)
        gathering = Gathering(Approvals(database), Screening(screening or {}))
        made.append(Custody(Relay(world.links()), Wallets(database), requests, chains, gathering, len(made) + 1))
        return made[-1]

    yield make
    for custody in made:
        custody.relay.close()
        custody.gathering.screening.close()


@pytest.fixture
def custody(host: Host) -> Custody:
    return host()


@pytest.fixture
def wallet(world: World, custody: Custody) -> Wallet:
    """Ed25519, 2 of 3."""
    return custody.create(world.order())


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines that a test can wait for."""
    monkeypatch.setattr(signing, "ROUND_TIMEOUT", 0.5)


@pytest.fixture
def client(custody: Custody) -> FlaskClient:
    """With the key. Every test sees what a client sees: problems, never exceptions."""
    addresses = dict.fromkeys(custody.relay.signers.names, "uds:/nowhere#1")
    service = Service(custody, custody.relay.signers, addresses, (hashlib.sha256(KEY.encode()).digest(),), "simulated")
    client = create_app(service).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {KEY}"
    return client
