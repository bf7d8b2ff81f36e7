"""A next release, from one image to another: the process tier's own test, with every enclave in a virtual machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from strongroom_client.cluster import Machines
from strongroom_eif.image import Image
from tests.cluster.test_releases import test_a_wallet_goes_over_to_the_next_release
from tests.fixtures_cluster import Clusters, making

__all__ = ["test_a_wallet_goes_over_to_the_next_release"]

pytestmark = pytest.mark.timeout(1200)  # every instruction is translated, and up to six machines run at once


@pytest.fixture
def clusters(tmp_path: Path, machines: Machines) -> Iterator[Clusters]:
    """As the process tier has it. The next release's image has a word more on its command line: another PCR0."""
    image = Image.decode(machines.image.read_bytes())
    following = tmp_path / "following.eif"
    following.write_bytes(dataclasses.replace(image, cmdline=image.cmdline + b" quiet").encode())
    yield from making(tmp_path, dataclasses.replace(machines, following=following))
