"""A transfer that two people must approve, with the commands, from end to end against real processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from strongroom_client.cluster import Cluster
from strongroom_client.cluster.chain import ACCOUNTS
from tests.cluster.commands import Ran, at, inside
from tests.fixtures_cluster import ECDSA, ETHER, Running

pytestmark = pytest.mark.timeout(300)  # a busy machine is no failure

PEOPLE = ("alice", "bob")


def approvers(folder: Path) -> list[Any]:
    """Enrolled with key files of both algorithms."""
    made = []
    for name, algorithm in zip(PEOPLE, ("ed25519", "p256"), strict=True):
        ran = inside(
            "approver", "enrol", name, "--group", "treasury", "--key", folder / name, "--algorithm", algorithm,
            "--unencrypted", "--json",
        )  # fmt: skip
        assert ran.status == 0, ran.err
        made.append(ran.json)
    return made


def wallet(cluster: Cluster, folder: Path) -> str:
    """Whose policy wants two of treasury for whatever is sent."""
    policy = json.loads(cluster.plan.policy.read_text())
    policy["approvers"] = approvers(folder)
    for rule in policy["rules"]:
        if rule["kind"] == "transfer":
            rule["tiers"] = [{"above": None, "demands": ["2 of treasury"]}]
    path = folder / "policy.json"
    path.write_text(json.dumps(policy))
    ran = at(
        cluster, "wallet", "create", "--roster", cluster.plan.roster, "--policy", path, "--threshold", "2",
        "--scheme", ECDSA, "--accept-unaudited", "--json",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    name: str = ran.json["wallet"]
    address = ran.json["address"]
    cluster.chain.fund(address, ETHER)
    return name


def decide(cluster: Cluster, request: str, folder: Path, name: str, decision: str) -> Ran:
    key = folder / name
    return at(cluster, "approve", request, "--as", name, "--key", key, "--decision", decision, "--json")


def test_a_transfer_waits_for_two_people_and_one_can_stop_it(live_ethereum: Running, tmp_path: Path) -> None:
    cluster = live_ethereum.cluster
    made = wallet(cluster, tmp_path)
    send = ("tx", "send", "--wallet", made, "--to", ACCOUNTS[1], "--value", "0.25ether", "--no-wait", "--json")
    before = cluster.chain.balance(ACCOUNTS[1])
    first, second = at(cluster, *send), at(cluster, *send)
    assert (first.json["state"], second.json["state"]) == ("pending", "pending")

    request = first.json["request"]
    waiting = decide(cluster, request, tmp_path, "alice", "approve")
    assert waiting.json["state"] == "pending"
    assert waiting.json["missing"] == ["2 of treasury must approve, and 1 of treasury did"]
    signed = decide(cluster, request, tmp_path, "bob", "approve")
    assert signed.json["state"] in ("broadcast", "included"), signed.err
    assert at(cluster, "tx", "wait", request, "--json").status == 0
    assert cluster.chain.balance(ACCOUNTS[1]) - before == ETHER // 4

    stopped = decide(cluster, second.json["request"], tmp_path, "alice", "reject")
    assert stopped.json["state"] == "refused"
    late = decide(cluster, second.json["request"], tmp_path, "bob", "approve")
    assert late.status == 1 and late.json["refused"]["code"] == "request_conflict"
