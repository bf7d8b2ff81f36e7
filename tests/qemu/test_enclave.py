"""One enclave at a time: what it measures, and how it ends where it must not serve."""

from __future__ import annotations

import dataclasses
import json
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from strongroom_client.cluster import Machines
from strongroom_client.evidence import Judgement, judge_answer
from strongroom_eif.image import Image
from strongroom_host.connection import Address
from strongroom_host.signers import Signers
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
    notary: bool = True,
) -> Iterator[Running]:
    """Another boot of the first enclave, beside it; the cluster's own goes on."""
    plan = live.cluster.plan
    signer = plan.signer("enclave-1")
    with tempfile.TemporaryDirectory(prefix="strongroom-") as folder, console.open("wb") as out:
        file = Path(folder) / "enclave.eif"
        file.write_bytes(image or machines.image_of(plan, signer).read_bytes())
        machine = Machine(machines.qemu, file, Path(folder) / "v", signer.instance, ROLE, plan.pki, notary=notary)
        running = boot(machine, out.fileno())
        try:
            running.parent.hand(CONFIGURATION_PORT, config or signer.config)
            running.parent.hand(CREDENTIALS_PORT, signer.folder / "credentials.json")
            running.parent.forward(KMS_PORT, ("127.0.0.1", plan.kms_port))
            yield running
        finally:
            running.stop()


def judged(live: Cluster, running: Running) -> Judgement:
    """Fresh evidence of the first enclave's other boot, against the cluster's roster."""
    member = next(each for each in live.cluster.roster if each.name == "enclave-1")
    signers = Signers({member.name: Address.parse(f"uds:{running.machine.path}#5000")})
    nonce = secrets.token_bytes(32)
    try:
        document = signers.call(member.name, "evidence", {"nonce": nonce}, PATIENCE).blob("document")
    finally:
        signers.close()
    return judge_answer(document, member.trust_root("simulated"), int(time.time()), nonce, member.measurements)


def test_it_boots_again_beside_itself(live: Cluster, machines: Machines, tmp_path: Path) -> None:
    with booted(live, machines, tmp_path / "console") as running:
        assert running.parent.heard.wait(PATIENCE)
        assert running.reachable(5000, PATIENCE)
        assert judged(live, running).statement is not None


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


def test_documents_that_nobody_signed_are_refused(live: Cluster, machines: Machines, tmp_path: Path) -> None:
    """QEMU's own: the right image and registers under no signature. It serves, and nobody believes it."""
    with booted(live, machines, tmp_path / "console", notary=False) as running:
        assert running.reachable(5000, PATIENCE)
        judgement = judged(live, running)
    assert judgement.refusal is not None and judgement.refusal.code == "evidence_malformed"
    assert "the clock stays as the host set it" in (tmp_path / "console").read_text(errors="replace")
