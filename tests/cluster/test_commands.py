"""The commands, from end to end, against real processes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from eth_account import Account
from eth_account.messages import encode_defunct

from strongroom import schemes
from strongroom.chains import evm
from strongroom_client.cluster import Cluster
from strongroom_client.cluster.chain import ACCOUNTS
from strongroom_client.wallets import Verified
from tests.cluster.commands import Ran, at, strongroom
from tests.fixtures_cluster import ECDSA, ED25519, ETHER, Running

pytestmark = pytest.mark.timeout(300)  # a busy machine is no failure


def create(cluster: Cluster, scheme: str, *more: str) -> Any:
    plan = cluster.plan
    ran = at(
        cluster, "wallet", "create", "--roster", plan.roster, "--policy", plan.policy, "--threshold", "2",
        "--scheme", scheme, "--json", *more,
    )  # fmt: skip
    assert ran.status == 0, ran.err
    return ran.json


def test_signers_are_listed_with_labels_and_suites(live: Running) -> None:
    live.wallet(ED25519)
    ran = at(live.cluster, "signer", "list", "--json")
    assert ran.status == 0, ran.err
    rows = {row["name"]: row for row in ran.json["signers"]}
    assert list(rows) == ["enclave-1", "enclave-2", "hsm-1"]
    assert [row["phase"] for row in rows.values()] == ["ready"] * 3
    assert rows["enclave-1"]["labels"]["sealed_by"] == "kms" and rows["hsm-1"]["labels"]["sealed_by"] == "pkcs11"
    auditors = {suite["suite"]: suite["auditor"] for suite in rows["hsm-1"]["suites"]}
    assert auditors[ECDSA] == "none" and auditors[ED25519] != "none"
    assert "simulated" in ran.err


def test_signers_as_a_table(live: Running) -> None:
    """As a process of its own, as people run it."""
    ran = strongroom("signer", "list", config=live.cluster.plan.context)
    assert ran.status == 0 and "hsm-1" in ran.out and "auditor" in ran.out


def test_wallet_is_created_shown_and_verified(live: Running) -> None:
    made = create(live.cluster, ED25519, "--accept-unaudited")
    shown = at(live.cluster, "wallet", "show", made["wallet"], "--json").json
    assert shown["address"] == made["address"] and shown["nonce"] != made["nonce"]
    assert [signer["mode"] for signer in shown["signers"]] == ["simulated"] * 3
    assert len(shown["administrators"]) == 2
    assert shown["suite"]["randomness"] == made["suite"]["randomness"] == schemes.suite(ED25519).randomness
    people = at(live.cluster, "wallet", "verify", made["wallet"])
    assert people.status == 0 and made["address"] in people.out


def test_unaudited_scheme_needs_a_word(live: Running) -> None:
    plan = live.cluster.plan
    ran = at(
        live.cluster, "wallet", "create", "--roster", plan.roster, "--policy", plan.policy, "--threshold", "2",
        "--scheme", ECDSA, "--json",
    )  # fmt: skip
    assert ran.status == 1 and ran.json["refused"]["code"] == "suite_not_accepted"


def test_transfer_is_signed_and_mined(live_ethereum: Running) -> None:
    cluster, wallet = live_ethereum.cluster, live_ethereum.wallet(ECDSA)
    before = cluster.chain.balance(ACCOUNTS[1])
    ran = at(
        cluster, "tx", "send", "--wallet", wallet.wallet, "--to", ACCOUNTS[1], "--value", "0.25ether", "--json"
    )  # fmt: skip
    assert ran.status == 0, ran.err
    assert ran.json["state"] in ("included", "confirmed")
    assert cluster.chain.balance(ACCOUNTS[1]) - before == ETHER // 4
    sender = Account.recover_transaction("0x" + ran.json["transaction"]["raw"])
    assert sender == wallet.address
    shown = at(cluster, "tx", "show", ran.json["request"])
    assert shown.status == 0 and ran.json["transaction"]["hash"] in shown.out
    assert at(cluster, "tx", "wait", ran.json["request"], "--json").json["transaction"]["status"] == "succeeded"


def test_transfer_by_chosen_signers(live_ethereum: Running) -> None:
    ran = at(
        live_ethereum.cluster, "tx", "send", "--wallet", live_ethereum.wallet(ECDSA).wallet, "--to", ACCOUNTS[1],
        "--value", "1", "--signers", "enclave-2,hsm-1", "--json",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    assert ran.json["signers"] == ["enclave-2", "hsm-1"]


def test_transfer_over_the_limit_is_refused_here(live_ethereum: Running) -> None:
    """By the client already, which judges with the policy of the verified certificate; and in words."""
    ran = at(
        live_ethereum.cluster, "tx", "send", "--wallet", live_ethereum.wallet(ECDSA).wallet, "--to", ACCOUNTS[1],
        "--value", "2ether",
    )  # fmt: skip
    assert ran.status == 1
    assert "policy_limit" in ran.err and "officers raise the limit" in ran.err


def test_message_is_signed(live: Running) -> None:
    wallet = live.wallet(ED25519)
    ran = at(live.cluster, "message", "sign", "Hello", "--wallet", wallet.wallet, "--json")
    assert ran.status == 0, ran.err
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(ran.json["public_key"]))
    key.verify(bytes.fromhex(ran.json["signature"]), bytes.fromhex(ran.json["message"]))
    assert bytes.fromhex(ran.json["message"]).endswith(b"\nHello")


def test_texts_are_signed_as_each_chains_wallets_sign_them(live: Running) -> None:
    ecdsa, ed25519 = live.wallet(ECDSA), live.wallet(ED25519)

    def signed(wallet: Verified, chain: str, *more: str) -> str:
        ran = at(live.cluster, "message", "sign", "Hello", "--wallet", wallet.wallet, "--chain", chain, *more, "--json")
        assert ran.status == 0, ran.err
        signature: str = ran.json["signature"]
        return signature

    def recovered(signature: str) -> str:
        address: str = Account.recover_message(encode_defunct(text="Hello"), signature="0x" + signature)
        return address

    assert recovered(signed(ecdsa, "evm:31337")) == ecdsa.address
    derived = evm.checksum(evm.address(ecdsa.body.keys.key((0, 5))))
    assert recovered(signed(ecdsa, "evm:31337", "--path", "m/0/5")) == derived
    simple = signed(ecdsa, "bitcoin:regtest")
    assert simple.startswith("smp")
    newest = at(live.cluster, "message", "sign", "Hi", "--wallet", ecdsa.wallet, "--chain", "bitcoin:regtest", "--json")
    shown = at(live.cluster, "tx", "show", newest.json["request"])
    assert newest.json["signature"] in shown.out.replace("\n", "").replace(" ", "") and simple not in shown.out
    assert len(bytes.fromhex(signed(ed25519, "solana:localnet"))) == 64
    ran = at(live.cluster, "message", "sign", "Hello", "--wallet", ecdsa.wallet, "--chain", "evm:1")
    assert ran.status == 1 and "policy_chain" in ran.err


def test_a_transaction_that_somebody_else_made_is_explained_and_signed(live_ethereum: Running, tmp_path: Path) -> None:
    live, wallet = live_ethereum, live_ethereum.wallet(ECDSA)
    derived = evm.checksum(evm.address(wallet.body.keys.key((0, 5))))
    live.cluster.chain.fund(derived, ETHER)
    made = evm.Transaction(31337, 0, 1, 10**10, 21_000, bytes.fromhex(ACCOUNTS[1][2:]), 5)
    file = tmp_path / "unsigned"
    file.write_text(made.encode().hex())
    common = ("tx", "sign", "--wallet", wallet.wallet, "--chain", "evm:31337")
    ran = at(live.cluster, *common, file, "--path", "m/0/5", "--json")
    assert ran.status == 0, ran.err
    assert "moves" in ran.err and ACCOUNTS[1].lower() in ran.err
    sender = Account.recover_transaction("0x" + ran.json["result"])
    assert sender == derived
    assert at(live.cluster, "tx", "wait", ran.json["request"], "--json").json["transaction"]["status"] == "succeeded"
    stranger = dataclasses.replace(made, to=bytes(19) + b"\1")
    ran = at(live.cluster, *common, stranger.encode().hex())
    assert ran.status == 1 and "policy_recipient" in ran.err
    assert at(live.cluster, *common[:-1], "evm", made.encode().hex()).status == 2


def test_evidence_is_shown_saved_and_verified(live: Running, tmp_path: Path) -> None:
    document, root = tmp_path / "document", live.cluster.plan.pki / "nitro-root.pem"
    shown = at(live.cluster, "evidence", "show", "enclave-1", "--root", root, "--save", document, "--json")
    assert shown.status == 0 and shown.json["judgement"]["accepted"]
    verify = ("evidence", "verify", document)
    accepted = strongroom(*verify, "--mode", "simulated", "--root", root, "--json")
    assert accepted.status == 0 and accepted.json["mode"] == "simulated"
    roster = json.loads(live.cluster.plan.roster.read_text())
    assert accepted.json["measurements"]["pcr16"] == roster["signers"][0]["measurements"]["pcr16"]
    production = strongroom(*verify, "--json")
    assert production.status == 1 and production.json["refused"]["code"] == "evidence_root"


def test_a_running_signer_is_reviewed(live: Running, tmp_path: Path) -> None:
    """Asked with a nonce of the command's own, held against a release and what the roster wants of this very signer."""
    measured = json.loads(live.cluster.plan.roster.read_text())["signers"][0]["measurements"]
    release = tmp_path / "release.json"
    names = ("pcr0", "pcr1", "pcr2", "pcr8")
    release.write_text(json.dumps({"measurements": {name: measured[name] for name in names}}))

    def review(*more: str) -> Ran:
        return at(live.cluster, "evidence", "review", "--release", release, "--json", *more)

    ran = review("--signer", "enclave-1")
    assert ran.status == 0 and ran.json["accepted"]
    words = {each["subject"]: (each["level"], each["words"]) for each in ran.json["findings"]}
    assert words["age"][0] == "good" and "nonce" in words["age"][1]
    assert words["roster"][0] == "good" and "pcr16 and pcr17" in words["roster"][1]
    release.write_text(json.dumps({"measurements": {name: measured[name] for name in names} | {"pcr2": "ee" * 48}}))
    assert review("--signer", "enclave-1").status == 1
    hsm = review("--signer", "hsm-1")
    assert hsm.status == 1 and "no enclave" in hsm.json["refused"]["reason"]


def test_evidence_of_the_hsm_signer(live: Running) -> None:
    """By the roster of the context, and by a root named here."""
    root = live.cluster.plan.pki / "operator-ca.pem"
    for more in ((), ("--root", str(root))):
        shown = at(live.cluster, "evidence", "show", "hsm-1", "--json", *more)
        assert shown.status == 0 and shown.json["judgement"]["root"] == "pkcs11"


def test_host_that_is_not_there(live: Running, tmp_path: Path) -> None:
    context = json.loads(live.cluster.plan.context.read_text())
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**context, "host": "http://127.0.0.1:1"}))
    ran = strongroom("signer", "list", "--json", config=file)
    assert ran.status == 1 and ran.json["refused"]["code"] == "host_unreachable"


def test_wrong_api_key(live: Running, tmp_path: Path) -> None:
    context = json.loads(live.cluster.plan.context.read_text())
    key, file = tmp_path / "key", tmp_path / "config.json"
    key.write_text("nonsense")
    file.write_text(json.dumps({**context, "api_key_file": str(key)}))
    ran = strongroom("signer", "list", "--json", config=file)
    assert ran.status == 1 and ran.json["refused"]["code"] == "unauthorized"
