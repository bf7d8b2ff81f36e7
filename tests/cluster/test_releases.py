"""A next release, by the command: real signers of two images, simulated NSM and KMS, a host that restarts."""

from __future__ import annotations

import time
from typing import Any

import pytest

from strongroom_client import wallets
from strongroom_client.cluster import HOST, Cluster
from tests.cluster.commands import Ran, at
from tests.fixtures_cluster import ED25519, Clusters

pytestmark = pytest.mark.timeout(600)


def run(cluster: Cluster, *words: Any, status: int = 0) -> Any:
    ran = at(cluster, "release", *words, "--json")
    assert ran.status == status, ran.err
    return ran.json


def says(cluster: Cluster, wallet: str, text: str) -> Ran:
    return at(cluster, "message", "sign", text, "--wallet", wallet, "--json")


def states(progress: Any) -> dict[str, str]:
    return {row["signer"]: row["state"] for row in progress["signers"]}


def test_a_wallet_goes_over_to_the_next_release(clusters: Clusters, capsys: pytest.CaptureFixture[str]) -> None:
    """With witnesses, and a policy that every signer was told of before. One enclave is down while it is activated."""
    cluster = clusters(enclaves=2, hsms=1, witnesses=1, chain=False)
    wallet = cluster.create_wallet(ED25519).wallet
    assert says(cluster, wallet, "before").status == 0
    began = time.monotonic()
    roster = cluster.arrive()

    signed = run(cluster, "sign", roster, "--wallet", wallet)
    assert {row["signer"] for row in signed["acknowledged"]} == set(cluster.everyone)
    assert says(cluster, wallet, "signed by the old ones").status == 0

    cluster.kill("enclave-2-release-2")
    progress = run(cluster, "activate", wallet, status=1)
    assert not progress["active"] and states(progress)["enclave-2"] == "not handed over"
    assert says(cluster, wallet, "still by the old ones").status == 0
    cluster.restart("enclave-2-release-2")

    cluster.kill("witness-1-release-2")
    progress = run(cluster, "activate", wallet, status=1)
    assert progress["active"] and states(progress) == {
        "enclave-1": "taken over",
        "enclave-2": "taken over",
        "witness-1": "not handed over",
    }
    cluster.restart("witness-1-release-2")
    cluster.restart(HOST)
    assert set(states(run(cluster, "activate", wallet)).values()) == {"taken over"}
    assert says(cluster, wallet, "by the new ones").status == 0

    cluster.succeed()
    assert says(cluster, wallet, "the old ones are gone").status == 0
    for name in ("enclave-1", "enclave-2", "witness-1"):
        cluster.restart(name)
    assert says(cluster, wallet, "and the new ones were restarted").status == 0
    status = run(cluster, "status", wallet)
    assert status["active"] == 2 and status["refusals"] == {}
    assert {name: row["held"] for name, row in status["signers"].items()} == {
        "enclave-1": 2,
        "enclave-2": 2,
        "hsm-1": 1,
    }
    with cluster.api() as api:
        wallets.verify(api, wallet, officers=cluster.context.officers(), mode="simulated")
    with capsys.disabled():
        print(f"\na release of 4 signers, from the first new enclave on: {time.monotonic() - began:.1f} s")
