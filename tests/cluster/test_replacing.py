"""A transaction that is stuck, sped up and cancelled with the commands, by real signers, a witness and a real chain."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from strongroom.chains.evm import Transaction
from strongroom.intent.intent import Intent
from strongroom.policy.terms import Window
from strongroom_client import policies
from strongroom_client.cluster import Cluster
from strongroom_client.cluster.chain import ACCOUNTS, binary
from tests.cluster.commands import Ran, at
from tests.fixtures_cluster import ECDSA, ETHER, Running

pytestmark = pytest.mark.timeout(300)  # a busy machine is no failure

COUNT = 3


@pytest.fixture(scope="module")
def witnessed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    from strongroom.errors import Refusal

    try:
        binary()
    except Refusal as refusal:
        pytest.skip(refusal.reason)
    with Cluster(tmp_path_factory.mktemp("replacing"), witnesses=1) as cluster:
        yield cluster


@pytest.fixture
def wallet(witnessed: Cluster) -> Iterator[str]:
    """A new one, of which three payments may go in an hour; no block is mined but by the test."""
    policy = policies.load(witnessed.plan.policy, int(time.time()))
    made = witnessed.create_wallet(ECDSA, policy=dataclasses.replace(policy, windows=(Window(3600, count=COUNT),)))
    witnessed.chain.fund(made.address, ETHER)
    witnessed.chain.call("evm_setAutomine", False)
    yield made.wallet
    witnessed.chain.mine(4)
    witnessed.chain.call("evm_setAutomine", True)


def run(cluster: Cluster, *words: str | Path, status: int = 0) -> Any:
    ran = at(cluster, "tx", *words, "--json")
    assert ran.status == status, ran.err + ran.out
    return ran.json


def sent(cluster: Cluster, wallet: str, status: int = 0) -> Any:
    return run(
        cluster, "send", "--wallet", wallet, "--to", ACCOUNTS[1], "--value", "0.01ether", "--no-wait", status=status
    )


def transaction(answer: Any) -> Transaction:
    return Transaction.decode(Intent.decode(bytes.fromhex(answer["intent"])).payload)


def test_sped_up_one_is_mined_and_it_is_counted_once(witnessed: Cluster, wallet: str) -> None:
    before = witnessed.chain.balance(ACCOUNTS[1])
    stuck = sent(witnessed, wallet)
    assert stuck["state"] == "broadcast"
    faster = run(witnessed, "replace", stuck["request"], "--no-wait")
    assert faster["state"] == "broadcast" and faster["replaces"] == stuck["request"], faster["error"]
    old, new = transaction(stuck), transaction(faster)
    assert (new.nonce, new.to, new.value) == (old.nonce, old.to, old.value)
    assert new.max_fee * 10 >= old.max_fee * 11 and new.max_priority_fee * 10 >= old.max_priority_fee * 11

    witnessed.chain.mine()
    mined, lost = run(witnessed, "wait", faster["request"]), run(witnessed, "wait", stuck["request"], status=1)
    assert (mined["state"], lost["state"]) == ("confirmed", "replaced")
    assert lost["replaced_by"] == [faster["request"]]
    assert witnessed.chain.balance(ACCOUNTS[1]) - before == ETHER // 100
    shown = at(witnessed, "tx", "show", stuck["request"])
    assert "replaced by" in shown.out and faster["request"] in shown.out
    late = run(witnessed, "replace", stuck["request"], status=1)["refused"]
    assert late["code"] == "request_conflict" and "replaced" in late["reason"]

    # Two of three were left, though three transactions were signed.
    for _ in range(COUNT - 1):
        assert sent(witnessed, wallet)["state"] == "broadcast"
    assert sent(witnessed, wallet, status=1)["refused"]["code"] == "policy_velocity"


def test_cancelled_nothing_moves_and_it_stays_counted(witnessed: Cluster, wallet: str) -> None:
    before = witnessed.chain.balance(ACCOUNTS[1])
    stuck = sent(witnessed, wallet)
    cancel = run(witnessed, "cancel", stuck["request"], "--fee", "0.005ether", "--no-wait")
    made = transaction(cancel)
    assert (made.value, made.data, made.nonce) == (0, b"", transaction(stuck).nonce)
    assert transaction(stuck).fee_ceiling < made.fee_ceiling <= 5 * ETHER // 1000
    witnessed.chain.mine()
    assert run(witnessed, "wait", cancel["request"])["transaction"]["status"] == "succeeded"
    assert run(witnessed, "show", stuck["request"])["state"] == "replaced"
    assert witnessed.chain.balance(ACCOUNTS[1]) == before
    for _ in range(COUNT - 1):
        sent(witnessed, wallet)
    assert sent(witnessed, wallet, status=1)["refused"]["code"] == "policy_velocity"


def test_the_old_one_is_mined_after_all(witnessed: Cluster, wallet: str) -> None:
    """A cancel that came too late: nothing is paid twice, and it says so."""
    stuck = sent(witnessed, wallet)
    cancel = run(witnessed, "cancel", stuck["request"], "--no-wait")
    witnessed.chain.call("anvil_dropTransaction", "0x" + cancel["transaction"]["hash"])
    run(witnessed, "retry", stuck["request"])
    witnessed.chain.mine()
    assert run(witnessed, "wait", stuck["request"])["state"] == "confirmed"
    assert run(witnessed, "wait", cancel["request"], status=1)["state"] == "replaced"


def test_a_replacement_that_pays_no_more_or_does_something_else(witnessed: Cluster, wallet: str) -> None:
    stuck = sent(witnessed, wallet)
    lower = run(witnessed, "replace", stuck["request"], "--fee", "1gwei", status=1)["refused"]
    assert lower["code"] == "journal_conflict" and "no higher than" in lower["reason"]
    over = run(witnessed, "replace", stuck["request"], "--fee", "1ether", status=1)["refused"]
    assert over["code"] == "policy_fee"
    old = transaction(stuck)
    other = dataclasses.replace(old, value=1, max_fee=2 * old.max_fee)

    def signed(made: Transaction, *more: str) -> Ran:
        where = ("--wallet", wallet, "--chain", "evm:31337", "--json")
        return at(witnessed, "tx", "sign", made.encode().hex(), *where, *more)

    differs = signed(other, "--replaces", stuck["request"])
    assert (
        differs.json["refused"]["code"] == "journal_conflict"
        and "neither the same" in differs.json["refused"]["reason"]
    )
    silent = signed(other)
    assert silent.json["refused"]["code"] == "journal_conflict" and "must say so" in silent.json["refused"]["reason"]
    same = signed(
        dataclasses.replace(other, value=old.value, max_priority_fee=2 * old.max_priority_fee),
        "--replaces",
        stuck["request"],
    )
    assert same.status == 0, same.err


def test_without_witnesses_it_says_what_it_takes(live_ethereum: Running) -> None:
    cluster, wallet = live_ethereum.cluster, live_ethereum.wallet(ECDSA)
    done = sent(cluster, wallet.wallet)
    for command in ("replace", "cancel"):
        refused = run(cluster, command, done["request"], status=1)["refused"]
        assert refused["code"] == "no_witnesses" and "order names witnesses" in refused["remedy"]
