"""One enclave at a time: what it measures, and how it ends where it must not serve."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from strongroom_client.cluster import Machines
from strongroom_eif.image import Image
from strongroom_simulator.machine import Machine, Running, boot
from strongroom_simulator.measure import ROLE
from strongroom_simulator.parent import CONFIGURATION_PORT, CREDENTIALS_PORT, KMS_PORT
from tests.fixtures_cluster import Running as Cluster

pytestmark = pytest.mark.timeout(600)  # every instruction is translated, and the machine is busy

PATIENCE = 240.0

Change = Callable[[Image], Image]


@contextmanager
def booted(
    live: Cluster,
    machines: Machines,
    console: Path,
    *,
    image: bytes | None = None,
    config: Path | None = None,
) -> Iterator[Running]:
    """Another boot of the first enclave, beside it; the cluster's own goes on."""
    plan = live.cluster.plan
    signer = plan.signer("enclave-1")
    with tempfile.TemporaryDirectory(prefix="strongroom-") as folder, console.open("wb") as out:
        file = Path(folder) / "enclave.eif"
        file.write_bytes(image or machines.image_of(plan, signer).read_bytes())
        machine = Machine(machines.qemu, file, Path(folder) / "v", signer.instance, ROLE, plan.pki)
        running = boot(machine, out.fileno())
        try:
            running.parent.hand(CONFIGURATION_PORT, config or signer.config)
            running.parent.hand(CREDENTIALS_PORT, signer.folder / "credentials.json")
            running.parent.forward(KMS_PORT, ("127.0.0.1", plan.kms_port))
            yield running
        finally:
            running.stop()


def test_it_boots_again_beside_itself(live: Cluster, machines: Machines, tmp_path: Path) -> None:
    with booted(live, machines, tmp_path / "console") as running:
        assert running.parent.heard.wait(PATIENCE)
        assert running.reachable(5000, PATIENCE)


def test_an_image_of_other_bytes_gets_no_key(live: Cluster, machines: Machines, tmp_path: Path) -> None:
    """One word more on the command line: it boots, is measured otherwise, and ends itself over a key not its own."""
    image = Image.decode(machines.image.read_bytes())
    other = dataclasses.replace(image, cmdline=image.cmdline + b" quiet").encode()
    with booted(live, machines, tmp_path / "console", image=other) as running:
        assert running.child.wait(PATIENCE) == 0
        assert "key_policy" in running.parent.words


def test_a_configuration_that_is_none_ends_it_and_it_says_why(
    live: Cluster, machines: Machines, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text(json.dumps({"attested": {"mode": "simulated"}}))
    with booted(live, machines, tmp_path / "console", config=tmp_path / "config") as running:
        assert running.child.wait(PATIENCE) == 0
        assert "configuration" in running.parent.words
