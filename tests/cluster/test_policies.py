"""Officers change a wallet that exists, by the command, against real signers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from strongroom_client import officers, policies
from strongroom_client.cluster import Cluster
from tests.cluster.commands import at
from tests.fixtures_cluster import ED25519, Running

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def _made() -> list[str]:
    return []


@pytest.fixture
def wallet(live: Running, _made: list[str]) -> str:
    """One of this file's own, that its tests change one after the other."""
    if not _made:
        _made.append(live.cluster.create_wallet(ED25519).wallet)
    return _made[0]


def run(cluster: Cluster, *words: Any, status: int = 0) -> Any:
    ran = at(cluster, "policy", *words, "--json")
    assert ran.status == status, ran.err
    return ran.json


def says(cluster: Cluster, wallet: str, text: str = "Hello") -> Any:
    return at(cluster, "message", "sign", text, "--wallet", wallet, "--json")


def changed(cluster: Cluster, folder: Path, **changes: Any) -> Path:
    value = json.loads(cluster.plan.policy.read_text()) | changes
    path = folder / "policy.json"
    path.write_text(json.dumps(value))
    return path


def test_the_sample_policy_has_no_error(live: Running) -> None:
    plan = live.cluster.plan
    found = run(live.cluster, "check", plan.policy, "--pins", plan.officers)
    assert {each["level"] for each in found["findings"]} <= {"warning", "note"}
    assert any("Rule 1, payments" in sentence for sentence in found["sentences"])
    words = at(live.cluster, "policy", "check", plan.policy)
    assert words.status == 0 and "one way out" in words.out.replace("\n", " ")


def test_an_error_is_an_exit_status(live: Running, tmp_path: Path) -> None:
    found = run(live.cluster, "check", changed(live.cluster, tmp_path, requesters=[]), status=1)
    assert "no_requester" in {each["what"] for each in found["findings"]}


def test_a_policy_is_signed_and_every_signer_acknowledges(live: Running, wallet: str, tmp_path: Path) -> None:
    cluster = live.cluster
    new = changed(cluster, tmp_path, lease="3 days")
    answer = run(cluster, "sign", new, "--wallet", wallet)
    assert [row["version"] for row in answer["acknowledged"]] == [2, 2, 2] and not answer["refusals"]
    assert says(cluster, wallet).status == 0
    saved = tmp_path / "now.json"
    shown = run(cluster, "show", wallet, "--save", saved)
    assert {row["version"] for row in shown["in_force"]} == {2} and not shown["refusals"]
    assert policies.load(saved, 0).lease == 3 * 86400
    assert at(cluster, "policy", "show", wallet).status == 0


def test_officers_at_different_places_sign_the_same_bytes(live: Running, wallet: str, tmp_path: Path) -> None:
    cluster = live.cluster
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, key in ((first, "officer-1.pem"), (second, "officer-2.pem")):
        folder.mkdir()
        shutil.copy(cluster.plan.officers / key, folder / key)
    saved = tmp_path / "renewal"
    alone = at(cluster, "policy", "renew", "--wallet", wallet, "--officers", first, "--json")
    assert alone.status == 1 and alone.json["refused"]["code"] == "directive_not_signed"
    at(cluster, "policy", "renew", "--wallet", wallet, "--officers", first, "--save", saved)
    refused = at(cluster, "policy", "send", saved, "--wallet", wallet, "--json")
    assert refused.status == 1 and {row["code"] for row in refused.json["refusals"]} == {"directive_not_signed"}
    at(cluster, "policy", "renew", "--wallet", wallet, "--officers", second, "--save", saved)
    assert len(run(cluster, "send", saved, "--wallet", wallet)["acknowledged"]) == 3


def test_a_signer_that_was_away_is_told_when_it_is_back(live: Running, wallet: str, tmp_path: Path) -> None:
    cluster = live.cluster
    cluster.kill("enclave-1")
    answer = run(cluster, "sign", changed(cluster, tmp_path), "--wallet", wallet)
    assert [row["signer"] for row in answer["refusals"]] == ["enclave-1"]
    cluster.restart("enclave-1")
    assert says(cluster, wallet).status == 0
    shown = run(cluster, "show", wallet)
    assert len({row["policy"] for row in shown["in_force"]}) == 1 and len(shown["in_force"]) == 3


def test_past_requests_are_replayed(live: Running, wallet: str, tmp_path: Path) -> None:
    cluster = live.cluster
    assert says(cluster, wallet, "to be replayed").status == 0
    same = run(cluster, "replay", cluster.plan.policy, "--wallet", wallet)
    assert same["requests"] and not any(each["differs"] for each in same["requests"]) and not same["left_out"]
    silent = changed(cluster, tmp_path, rules=[])
    other = run(cluster, "replay", silent, "--wallet", wallet)
    assert {each["would_be"] for each in other["requests"]} == {"policy_message"}
    assert all(each["differs"] for each in other["requests"])
    words = at(cluster, "policy", "replay", silent, "--wallet", wallet)
    assert words.status == 0 and "would have gone differently" in words.out


def test_other_officers_take_over(live: Running, tmp_path: Path) -> None:
    cluster = live.cluster
    wallet = cluster.create_wallet(ED25519).wallet
    following = tmp_path / "following"
    officers.create(following, count=2, quorum=1, passphrase=None)
    run(cluster, "officers", following, "--wallet", wallet)
    old = at(cluster, "policy", "renew", "--wallet", wallet, "--json")
    assert old.status == 1 and old.json["refused"]["code"] == "directive_not_signed"
    run(cluster, "renew", "--wallet", wallet, "--officers", following)


def test_one_officer_freezes_and_the_next_policy_thaws(live: Running, wallet: str, tmp_path: Path) -> None:
    cluster = live.cluster
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(cluster.plan.officers / "officer-3.pem", alone / "officer-3.pem")
    answer = run(cluster, "freeze", "--wallet", wallet, "--officers", alone)
    assert all(row["frozen"] for row in answer["acknowledged"])
    frozen = says(cluster, wallet)
    assert frozen.status == 1 and frozen.json["refused"]["code"] == "policy_frozen"
    run(cluster, "sign", changed(cluster, tmp_path), "--wallet", wallet)
    assert says(cluster, wallet).status == 0
