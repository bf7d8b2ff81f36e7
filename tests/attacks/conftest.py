"""Clusters of real signers for the whole session: one that only lies are told to, one that is broken, and one of which
journals are kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from strongroom_client.cluster.cluster import Cluster
from strongroom_host.storage.wallets import Wallet
from tests.attacks.custody import ECDSA, ED25519, SCHEMES, Custody
from tests.attacks.lingering import Lingering
from tests.attacks.witnessed import Witnessed


@pytest.fixture(scope="session")
def _begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Custody, Lingering]]:
    for custody in _custody(tmp_path_factory, "custody"):
        with Lingering(custody) as lingering:
            yield custody, lingering


@pytest.fixture(scope="session")
def custody(_begun: tuple[Custody, Lingering]) -> Custody:
    """Its signers are never restarted, so that nothing they forget can be forgiven."""
    return _begun[0]


@pytest.fixture(scope="session")
def lingering(_begun: tuple[Custody, Lingering]) -> Lingering:
    """What was begun when `custody` was, and not touched since."""
    return _begun[1]


@pytest.fixture(scope="session")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Custody]:
    """Its signers are killed, stopped, replaced and started again."""
    yield from _custody(tmp_path_factory, "breakable")


@pytest.fixture(scope="session")
def witnessed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witnessed]:
    """With a witness. Killed, rolled back and copied."""
    folder = tmp_path_factory.mktemp("witnessed")
    with Cluster(folder, witnesses=1, chain=False, host=False) as cluster, Witnessed(cluster) as custody:
        yield custody


def _custody(factory: pytest.TempPathFactory, name: str) -> Iterator[Custody]:
    with Cluster(factory.mktemp(name), chain=False, host=False) as cluster, Custody(cluster) as custody:
        yield custody


@pytest.fixture(params=SCHEMES)
def wallet(request: pytest.FixtureRequest, custody: Custody) -> Iterator[Wallet]:
    """One of each scheme, 2 of 3 (MuSig2: 3 of 3). After the attack every set of signers signs as before."""
    yield from _intact(custody, request.param)


@pytest.fixture
def ecdsa(custody: Custody) -> Iterator[Wallet]:
    yield from _intact(custody, ECDSA)


@pytest.fixture
def ed25519(custody: Custody) -> Iterator[Wallet]:
    yield from _intact(custody, ED25519)


def _intact(custody: Custody, scheme: str) -> Iterator[Wallet]:
    wallet = custody.wallet(scheme)
    yield wallet
    custody.require_intact(wallet)
