"""Signers that are lost, silent or restarted; a link that tampers; an end that leaves nothing behind."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from strongroom.chains.evm import Transaction
from strongroom.errors import Refusal
from strongroom.policy.terms import Window
from strongroom.wallet.certificate import Body
from strongroom_client import messages, policies, transactions, wallets
from strongroom_client.api import Json
from strongroom_client.cluster import HOST, Cluster
from strongroom_client.cluster.chain import ACCOUNTS, CHAIN_ID
from strongroom_client.transactions import Transfer
from strongroom_simulator import adversary
from tests.cluster.commands import STRONGROOM, alive, at
from tests.fixtures_cluster import BIP340, ECDSA, ED25519, MUSIG2, Clusters, Running

pytestmark = pytest.mark.timeout(300)  # a busy machine is no failure

UP = [str(STRONGROOM), "up", "--enclaves", "1", "--hsms", "1", "--no-chain", "--directory"]
TO = bytes.fromhex(ACCOUNTS[0][2:])


def send(live: Running, *signers: str) -> Json:
    with live.cluster.api() as api:
        _, answer = transactions.send(
            api, live.wallet(ECDSA).body, Transfer(TO, 1000), live.cluster.requester(), signers
        )
        return transactions.wait(api, answer["request"])


def sign(live: Running, scheme: str, text: str = "a text") -> Json:
    with live.cluster.api() as api:
        return messages.sign(api, live.wallet(scheme).body, text, live.cluster.requester())[2]


@pytest.mark.parametrize("scheme", [ED25519, BIP340, MUSIG2])
def test_message_of_each_scheme(live: Running, scheme: str) -> None:
    assert len(sign(live, scheme)["signers"]) == (3 if scheme == MUSIG2 else 2)


@pytest.mark.parametrize("lost", ["enclave-1", "enclave-2", "hsm-1"])
def test_killed_signer_is_replaced_and_signs_again(live_ethereum: Running, lost: str) -> None:
    live, others = live_ethereum, [name for name in live_ethereum.cluster.names if name != lost]
    live.wallet(ECDSA)
    live.cluster.kill(lost)
    assert send(live, lost, others[0])["signers"] == others
    live.cluster.restart(lost)
    assert lost in send(live, lost, others[0])["signers"]


def test_silent_signer_is_replaced_in_the_same_request(live: Running) -> None:
    """Also where the others were restarted, and have to be given their wallet back on the way."""
    live.wallet(ED25519)
    live.cluster.restart("enclave-2")
    live.cluster.pause("enclave-1")
    assert sign(live, ED25519)["signers"] == ["enclave-2", "hsm-1"]


def test_wallet_survives_a_restart_of_everything(live: Running) -> None:
    wallet = live.wallet(ED25519)
    for name in (HOST, *live.cluster.names):
        live.cluster.restart(name)
    assert sign(live, ED25519)["state"] == "signed"
    with live.cluster.api() as api:
        again = wallets.verify(api, wallet.wallet, officers=wallet.order.officers, mode="simulated")
    assert again.address == wallet.address


def test_verification_needs_every_signer(live: Running) -> None:
    wallet = live.wallet(ED25519)
    live.cluster.kill("hsm-1")
    with live.cluster.api() as api, pytest.raises(Refusal) as raised:
        wallets.verify(api, wallet.wallet, officers=wallet.order.officers, mode="simulated")
    assert raised.value.code == "bad_certificate" and "hsm-1" in raised.value.reason


def test_one_tampered_link_costs_one_pair(live: Running) -> None:
    live.wallet(ED25519)
    live.links["enclave-1"].rules.append(adversary.flip())
    assert sign(live, ED25519)["signers"] == ["enclave-2", "hsm-1"]


def test_every_link_tampered_signs_nothing(live_ethereum: Running) -> None:
    """Before the last round, that is: after it the host can only say that it does not know."""
    live = live_ethereum
    live.wallet(ECDSA)
    for link in live.links.values():
        link.rules.append(adversary.only("sign.start", adversary.flip()))
    with pytest.raises(Refusal) as raised:
        send(live)
    assert (raised.value.code, raised.value.verdict) == ("channel_link", "link")


@pytest.mark.parametrize("rule", [adversary.drop, adversary.mute, adversary.swap, adversary.duplicate])
def test_other_mischief_of_one_link(live: Running, rule: adversary.Rule) -> None:
    """Whatever one link does, the request ends with a signature by some pair."""
    live.wallet(ED25519)
    live.links["hsm-1"].rules.append(adversary.only("ceremony.step", rule))
    assert sign(live, ED25519)["state"] == "signed"


def test_host_sees_ciphertext(live: Running) -> None:
    live.wallet(ECDSA)
    for link in live.links.values():
        link.seen.clear()
    live.cluster.create_wallet(ECDSA)
    sealed = b"".join(link.ciphertext() for link in live.links.values())
    assert len(sealed) > 100_000 and adversary.entropy(sealed) > 7.9


def test_a_limit_over_time_with_a_witness_and_one_signer_down(clusters: Clusters) -> None:
    """Three of four journals acknowledge; another set of signers counts what this one spent."""
    cluster = clusters(enclaves=2, hsms=1, witnesses=1, chain=False)
    policy = dataclasses.replace(policies.load(cluster.plan.policy, int(time.time())), windows=(Window(3600, count=3),))
    wallet = cluster.create_wallet(ED25519, policy=policy)

    def ask(text: str, *chosen: str) -> list[str]:
        with cluster.api() as api:
            return list(messages.sign(api, wallet.body, text, cluster.requester(), chosen)[2]["signers"])

    assert ask("one", "enclave-1", "enclave-2") == ["enclave-1", "enclave-2"]
    cluster.kill("enclave-1")
    assert ask("two") == ask("three") == ["enclave-2", "hsm-1"]
    with pytest.raises(Refusal) as raised:
        ask("four")
    assert raised.value.code == "policy_velocity"


def test_a_restarted_journal_joins_for_every_wallet_before_another_signer_is_lost(clusters: Clusters) -> None:
    """One wallet's request finds the restart; the other's journal must not wait for a payment of its own, when those
    that it has to hear may be gone."""
    cluster = clusters(enclaves=2, hsms=1, witnesses=1, chain=False)
    one, other = (cluster.create_wallet(ED25519).body for _ in range(2))

    def sign_with(wallet: Body, text: str, *chosen: str) -> list[str]:
        with cluster.api() as api:
            return list(messages.sign(api, wallet, text, cluster.requester(), chosen)[2]["signers"])

    for wallet in (one, other):
        sign_with(wallet, "before")
    cluster.restart("hsm-1")
    assert sign_with(one, "it is noticed", "enclave-1", "hsm-1") == ["enclave-1", "hsm-1"]
    deadline = time.monotonic() + 60
    while not _joined(cluster, other.wallet, "hsm-1"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    cluster.kill("enclave-1")
    assert sign_with(other, "without the first") == ["enclave-2", "hsm-1"]


def _joined(cluster: Cluster, wallet: bytes, name: str) -> bool:
    with cluster.api() as api:
        (found,) = (each for each in api.journals(wallet.hex())["journals"] if each["name"] == name)
    return found["journal"] is not None and bool(found["journal"]["joined"])


def test_larger_cluster(clusters: Clusters) -> None:
    """Its signers have their labels before there is an order that the host could know them from."""
    cluster = clusters(enclaves=3, hsms=2, chain=False)
    with cluster.api() as api:
        assert not any(signer.get("labels") for signer in api.signers())
    listed = at(cluster, "signer", "list", "--json").json["signers"]
    assert {signer["name"]: signer["labels"] for signer in listed} == {
        member.name: member.labels.value() for member in cluster.roster
    }
    assert "?" not in at(cluster, "signer", "list").out
    wallet = cluster.create_wallet(ED25519, threshold=3)
    with cluster.api() as api:
        _, _, answer = messages.sign(api, wallet.body, "3 of 5", cluster.requester())
    assert len(answer["signers"]) == 3
    _sign_with_ecdsa(cluster)


def _sign_with_ecdsa(cluster: Cluster) -> None:
    """3 of 5, by two sets that have one signer in common; no node is asked for anything."""
    wallet = cluster.create_wallet(ECDSA, threshold=3)
    for nonce, chosen in enumerate((["enclave-1", "enclave-2", "hsm-1"], ["enclave-2", "enclave-3", "hsm-2"])):
        payload = Transaction(CHAIN_ID, nonce, 10**9, 2 * 10**9, 21_000, TO, 1).encode()
        intent = transactions.sign_intent(
            wallet.body, "evm-transaction", payload, cluster.requester(), chain=f"evm:{CHAIN_ID}"
        )
        with cluster.api() as api:
            answer = transactions.submit(api, wallet.body, intent, chosen)
        assert answer["signers"] == chosen
        assert Account.recover_transaction(transactions.raw_transaction(answer)) == wallet.address


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_ends_with_everything_it_started(tmp_path: Path, number: signal.Signals) -> None:
    command = [*UP, str(tmp_path / "up")]
    log = tmp_path / "out"
    with log.open("wb") as out:
        child = subprocess.Popen([*command, "--json"], stdout=out, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        started = _json(log, child)
    except AssertionError:
        child.terminate()
        child.wait(30)
        raise
    pids = list(started["processes"].values())
    assert len(pids) == 7 and all(alive(pid) for pid in pids)
    assert list(started["witnesses"]) == ["witness-1"]
    os.kill(child.pid, number)
    assert child.wait(30) == 0
    assert not any(alive(pid) for pid in pids)
    assert not Path(started["signers"]["hsm-1"]).exists()


def test_up_interrupted_while_it_starts(tmp_path: Path) -> None:
    command = [*UP, str(tmp_path / "up")]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "up" / "logs" / "kms.out").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGINT)
    assert child.wait(30) == 0
    assert str(tmp_path) not in _command_lines()


def _json(log: Path, child: subprocess.Popen[bytes]) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and child.poll() is None:
        try:
            value: dict[str, Any] = json.loads(log.read_text())
        except ValueError:
            time.sleep(0.05)
        else:
            return value
    raise AssertionError(f"strongroom up said nothing: {child.poll()}")


def _command_lines() -> str:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(lines)
