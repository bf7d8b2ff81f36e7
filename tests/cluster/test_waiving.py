"""Two of four journals are gone for good: officers at two places sign that the others go on, with the commands."""

from __future__ import annotations

import dataclasses
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from strongroom.policy.terms import Window
from strongroom_client import policies
from strongroom_client.cluster import Cluster
from tests.cluster.commands import at
from tests.fixtures_cluster import ED25519, Clusters

pytestmark = pytest.mark.timeout(300)  # a busy machine is no failure

LEFT, AWAY = ["enclave-2", "hsm-1"], ["enclave-1", "witness-1"]


def journal(cluster: Cluster, *words: str | Path, status: int = 0) -> Any:
    ran = at(cluster, "journal", *words, "--json")
    assert ran.status == status, ran.err + ran.out
    return ran.json


def says(cluster: Cluster, wallet: str, text: str) -> Any:
    ran = at(cluster, "message", "sign", text, "--wallet", wallet, "--json")
    assert ("enclave-1 did not answer" in ran.err) != cluster.process("enclave-1").running
    return ran.json.get("refused", {}).get("code", "signed")


def officer(cluster: Cluster, folder: Path, number: int) -> Path:
    """A place with one officer's key."""
    place = folder / f"place-{number}"
    place.mkdir()
    shutil.copy(cluster.plan.officers / f"officer-{number}.pem", place)
    return place


def test_officers_let_two_journals_go_on(clusters: Clusters, tmp_path: Path) -> None:
    cluster = clusters(enclaves=2, hsms=1, witnesses=1, chain=False)
    policy = policies.load(cluster.plan.policy, int(time.time()))
    wallet = cluster.create_wallet(ED25519, policy=dataclasses.replace(policy, windows=(Window(3600, count=4),))).wallet
    assert says(cluster, wallet, "one") == "signed"
    whole = journal(cluster, "show", wallet)
    assert whole["enough"] and (whole["acknowledgements"], whole["heard"], whole["waiver"]) == (3, 3, None)
    assert [(row["name"], row["role"], row["journal"]["joined"]) for row in whole["journals"]] == [
        (name, "witness" if name == "witness-1" else "signer", True) for name in cluster.everyone
    ]
    needless = journal(cluster, "waive", wallet, status=1)["refused"]
    assert needless["code"] == "waiver_refused" and "enough journals" in needless["reason"]

    for name in AWAY:
        cluster.kill(name)
    assert says(cluster, wallet, "two") in ("journal_quorum", "quorum_unavailable")
    shown = at(cluster, "journal", "show", wallet)
    assert "2 of 4 have joined, 3 must acknowledge: nothing is signed until" in shown.out

    first, second, saved = officer(cluster, tmp_path, 1), officer(cluster, tmp_path, 2), tmp_path / "waiver"
    ran = at(cluster, "journal", "waive", wallet, "--officers", first, "--save", saved)
    assert ran.status == 0 and "enclave-2, hsm-1 must acknowledge" in ran.out and "divided by 2" in ran.out
    alone = journal(cluster, "send", saved, "--wallet", wallet, status=1)["refused"]
    assert alone["code"] == "waiver_refused" and "quorum" in alone["reason"]
    assert at(cluster, "journal", "waive", wallet, "--officers", second, "--save", saved).status == 0
    taken = journal(cluster, "send", saved, "--wallet", wallet)
    assert taken["acknowledged"] == LEFT and not taken["refusals"] and taken["divisor"] == 2

    # One of four was signed: a half of the limit lets one more go, as if both had signed two.
    assert says(cluster, wallet, "two") == "signed"
    assert says(cluster, wallet, "three") == "policy_velocity"
    again = journal(cluster, "send", saved, "--wallet", wallet, status=1)["refused"]
    assert again["code"] == "waiver_refused" and "since it was made" in again["reason"]
    degraded = journal(cluster, "show", wallet)
    assert degraded["waiver"]["names"] == LEFT and not degraded["enough"]
    waived = {row["name"]: row["journal"] and row["journal"]["waived"] for row in degraded["journals"]}
    assert waived == {"enclave-1": None, "witness-1": None, **dict.fromkeys(LEFT, degraded["waiver"]["expiry"])}
    assert "by a waiver enclave-2, hsm-1 go on alone" in at(cluster, "journal", "show", wallet).out

    # The others are back after all: they hear of what was signed without them.
    for name in AWAY:
        cluster.restart(name)
    back = journal(cluster, "show", wallet, "--level")
    assert back["enough"] and len({row["journal"]["digest"] for row in back["journals"]}) == 1
    table = at(cluster, "signer", "list").out
    assert "Journals" in table and "witness-1" in table
