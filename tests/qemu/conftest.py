"""`live`, as the process tier has it (tests/fixtures_cluster.py), with every enclave signer in a virtual machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from strongroom_client.cluster import Cluster, Machines
from tests.conftest import ROOT
from tests.fixtures_cluster import Running, intercepted

QEMU = ROOT / "build" / "qemu"
IMAGE = ROOT / "build" / "strongroom-enclave.eif"


@pytest.fixture(scope="session")
def machines() -> Machines:
    for path, target in ((QEMU / "qemu-system-x86_64", "qemu"), (IMAGE, "eif")):
        if not path.exists():
            pytest.skip(f"no {path.relative_to(ROOT)}: `make {target}` makes it, or says why it cannot be made here")
    return Machines(IMAGE, QEMU)


@pytest.fixture(scope="session")
def _running(tmp_path_factory: pytest.TempPathFactory, machines: Machines) -> Iterator[Running]:
    """Two enclaves and an HSM with shares, and a third enclave that keeps a journal."""

    def make(**options: object) -> Cluster:
        return Cluster(tmp_path_factory.mktemp("machines"), witnesses=1, machines=machines, **options)  # type: ignore[arg-type]

    yield from intercepted(make)
