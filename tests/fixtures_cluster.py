"""One cluster of real processes for all end-to-end tests of a run, with a man in the middle before each signer.

A test takes `live`, does what it likes to processes and links, and leaves the rest to it: afterwards whatever was
stopped is started, whatever was paused goes on, and every link is honest again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from strongroom.errors import Refusal
from strongroom_client.cluster import HOST, Cluster, Machines, SignerPlan
from strongroom_client.cluster.chain import binary
from strongroom_client.wallets import Verified
from strongroom_simulator.adversary import Adversary

ECDSA, ED25519, BIP340, MUSIG2 = "dkls23-secp256k1", "frost-ed25519", "frost-secp256k1-tr", "musig2-secp256k1"
ETHER = 10**18


@dataclass
class Running:
    """cluster: two enclave signers, one HSM signer, the host. links: what the host reaches each signer through."""

    cluster: Cluster
    links: dict[str, Adversary] = field(default_factory=dict)
    wallets: dict[str, Verified] = field(default_factory=dict)

    def wallet(self, scheme: str) -> Verified:
        """2 of 3 (MuSig2: 3 of 3), made at first use and shared by all tests; an ECDSA one has 100 ether."""
        if scheme not in self.wallets:
            made = self.cluster.create_wallet(scheme, 3 if scheme == MUSIG2 else 2)
            if scheme == ECDSA and self.cluster.has_chain:
                self.cluster.chain.fund(made.address, 100 * ETHER)
            self.wallets[scheme] = made
        return self.wallets[scheme]

    def heal(self) -> None:
        for link in self.links.values():
            link.rules.clear()
            link.seen.clear()
        for name in (*self.cluster.everyone, HOST):
            process = self.cluster.process(name)
            self.cluster.resume(name)
            if not process.running:
                self.cluster.restart(name)


def _has_chain() -> bool:
    """anvil is published for x86_64 alone."""
    try:
        binary()
    except Refusal:
        return False
    return True


def intercepted(make: Callable[..., Cluster]) -> Iterator[Running]:
    """A cluster with a man in the middle before each signer, until the test run ends. make: takes Cluster's options."""
    links: dict[str, Adversary] = {}

    def intercept(signer: SignerPlan) -> Path:
        link = Adversary(signer.socket.with_suffix(".link"), signer.socket)
        link.start()
        links[signer.name] = link
        return signer.socket.with_suffix(".link")

    cluster = make(chain=_has_chain(), intercept=intercept)
    try:
        with cluster:
            yield Running(cluster, links)
    finally:
        for link in links.values():
            link.stop()


@pytest.fixture(scope="session")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    yield from intercepted(partial(Cluster, tmp_path_factory.mktemp("cluster")))


@pytest.fixture
def live(_running: Running) -> Iterator[Running]:
    yield _running
    _running.heal()


@pytest.fixture
def live_ethereum(live: Running) -> Running:
    """As `live`, where there is a development chain."""
    if not live.cluster.has_chain:
        pytest.skip("no development chain: anvil is published for x86_64 alone")
    return live


Clusters = Callable[..., Cluster]


@pytest.fixture
def clusters(tmp_path: Path) -> Iterator[Clusters]:
    """Makes further clusters, of other sizes, and stops them: `clusters(enclaves=5, hsms=4, chain=False)`."""
    yield from making(tmp_path)


def making(folder: Path, machines: Machines | None = None) -> Iterator[Clusters]:
    """What makes clusters in this folder, until the test ends. machines: what their enclaves run in."""
    made: list[Cluster] = []

    def make(**options: object) -> Cluster:
        cluster = Cluster(folder / f"cluster-{len(made)}", machines=machines, **options)  # type: ignore[arg-type]
        made.append(cluster)
        cluster.start()
        return cluster

    yield make
    for cluster in made:
        cluster.stop()
