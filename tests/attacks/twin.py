"""A second process from one sealed state: another boot of the same enclave, which is measured alike, so that KMS opens
the same keys to both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from strongroom_client.cluster.authorities import SIMULATOR
from strongroom_client.cluster.cluster import Cluster
from strongroom_client.cluster.process import Process, module


@contextmanager
def twin(cluster: Cluster, name: str) -> Iterator[Process]:
    """Beside the first one, which is left alone. Listens where `twin_socket` says."""
    plan, signer = cluster.plan, cluster.plan.signer(name)
    config = json.loads(signer.config.read_text())
    config["listen"]["uds"] = str(twin_socket(cluster, name))
    device = plan.sockets / f"{name}-twin.nsm"
    config["nsm"] = f"unix:{device}"
    command = module(
        SIMULATOR, "nsm", "--pki", plan.pki, "--socket", device, "--instance", signer.instance,
        "--clock-offset", plan.clock_offset,
    )  # fmt: skip
    nsm = Process(f"{name}-twin-nsm", command, plan.logs)
    file = signer.folder / "twin.json"
    file.write_text(json.dumps(config))
    program = module("strongroom_enclave", "run", "--config", file)
    process = Process(f"{name}-twin", program, plan.logs)
    try:
        nsm.start()
        yield process.start()
    finally:
        process.stop()
        nsm.stop()


def twin_socket(cluster: Cluster, name: str) -> Path:
    return cluster.plan.sockets / f"{name}-twin.sock"
