from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from strongroom_enclave.nsm import Nsm, SocketTransport
from strongroom_simulator import pki
from tests.simulator.running import ARN, OTHER_ARN, Laptop


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    pki.create(tmp_path / "pki")
    laptop = Laptop(tmp_path)
    laptop.own_keys(ARN, OTHER_ARN)
    return laptop


@pytest.fixture
def nsm(laptop: Laptop) -> Iterator[Nsm]:
    with laptop.serve_nsm() as path, closing(SocketTransport(path)) as transport:
        yield Nsm(transport)
