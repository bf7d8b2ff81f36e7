"""The demo as a newcomer runs it: its result holds up under other people's implementations, and its end is clean."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import coincurve
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from eth_account import Account
from eth_keys.datatypes import PublicKey

from strongroom.errors import Refusal
from strongroom_client.cluster.chain import binary
from tests.cluster.commands import STRONGROOM, alive, inside

pytestmark = pytest.mark.timeout(300)  # a busy machine is no failure
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True, scope="module")
def _chain() -> None:
    try:
        binary()
    except Refusal as refusal:
        pytest.skip(refusal.reason)


def start(build: Path, out: Path, keep: str = "") -> subprocess.Popen[bytes]:
    variables = {**os.environ, "STRONGROOM_DEMO_BUILD": str(build), "KEEP": keep}
    with out.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "demo"], cwd=ROOT, env=variables, stdout=file, stderr=file, start_new_session=True
        )


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a whole run with KEEP=1."""
    build = tmp_path_factory.mktemp("demo")
    child = start(build, build / "out", keep="1")
    try:
        assert child.wait(240) == 0, (build / "out").read_text()[-2000:]
        yield build
    finally:
        stop(build)


def stop(build: Path) -> None:
    variables = {**os.environ, "STRONGROOM_DEMO_BUILD": str(build)}
    subprocess.run([sys.executable, "-m", "demo.stop"], cwd=ROOT, env=variables, check=True, capture_output=True)


@pytest.fixture(scope="module")
def result(kept: Path) -> Any:
    return json.loads((kept / "result.json").read_text())


def require(value: Mapping[str, Any], *fields: str) -> None:
    assert list(value) == list(fields)


def test_result_has_the_promised_form(result: Any) -> None:
    require(result, "wallets", "transactions", "messages", "refusals")
    for wallet in result["wallets"]:
        require(wallet, "scheme", "threshold", "public_key", "address", "signers")
        assert len(wallet["signers"]) == 3
        for signer in wallet["signers"]:
            require(signer, "name", "root", "mode", "measurements")
            assert signer["mode"] == "simulated"
    for transaction in result["transactions"]:
        require(transaction, "wallet", "chain_id", "raw", "hash", "signers", "block", "status")
    for message in result["messages"]:
        require(message, "wallet", "scheme", "message", "signature")
    for refusal in result["refusals"]:
        require(refusal, "what", "by", "code")


def test_hexadecimal_is_lower_case(result: Any) -> None:
    for wallet in result["wallets"]:
        assert wallet["address"] == wallet["address"].lower() and wallet["public_key"] == wallet["public_key"].lower()


def test_transactions_are_the_wallets_own(result: Any) -> None:
    (wallet,) = (each for each in result["wallets"] if each["scheme"] == "dkls23-secp256k1")
    key = PublicKey.from_compressed_bytes(bytes.fromhex(wallet["public_key"]))
    assert key.to_address() == wallet["address"]
    for transaction in result["transactions"]:
        assert transaction["wallet"] == wallet["address"]
        assert Account.recover_transaction(transaction["raw"]).lower() == wallet["address"]
        assert len(transaction["signers"]) == 2 and transaction["status"] == "confirmed"
    pairs = {tuple(each["signers"]) for each in result["transactions"]}
    assert pairs == {("enclave-1", "enclave-2"), ("enclave-1", "hsm-1"), ("enclave-2", "hsm-1")}


def test_messages_verify(result: Any) -> None:
    by_address = {wallet["address"]: wallet for wallet in result["wallets"]}
    schemes = []
    for row in result["messages"]:
        key = bytes.fromhex(by_address[row["wallet"]]["public_key"])
        signature, message = bytes.fromhex(row["signature"]), bytes.fromhex(row["message"])
        schemes.append(row["scheme"])
        if row["scheme"] == "frost-ed25519":
            Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
        else:
            assert coincurve.PublicKeyXOnly(key).verify(signature, message)
    assert schemes == ["frost-ed25519", "frost-secp256k1-tr"]


def test_refusals(result: Any) -> None:
    codes = {(row["by"], row["code"]) for row in result["refusals"]}
    assert codes == {
        ("client", "bad_certificate"),
        ("enclave-2", "policy_limit"),
        ("hsm-1", "policy_limit"),
        ("enclave-2", "channel_link"),
        ("enclave-2", "sealed_mismatch"),
    }


def test_kept_custody_signs_on_and_is_stopped(kept: Path) -> None:
    """What was printed to be tried next works; then no process stays, and all of it can be started again."""
    words = next(line for line in (kept / "out").read_text().splitlines() if "strongroom tx send" in line).split()
    ran = inside(*words[1:], "--json", "--config", kept / "cluster" / "config.json")
    assert ran.status == 0, ran.err
    assert ran.json["transaction"]["status"] == "succeeded"
    assert running(kept)
    stop(kept)
    assert not running(kept)
    again = ("up", "--directory", str(kept / "cluster"), "--json")
    with (kept / "up").open("wb") as out:
        child = subprocess.Popen([str(STRONGROOM), *again], stdout=out, stderr=out)
    deadline = time.monotonic() + 60
    while b'"processes"' not in (kept / "up").read_bytes() and time.monotonic() < deadline:
        time.sleep(0.1)
    ran = inside(*words[1:], "--json", "--config", kept / "cluster" / "config.json")
    assert ran.status == 0, ran.err
    child.terminate()
    assert child.wait(30) == 0 and not running(kept)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    """In the middle of its first wallet, and again while it stops."""
    build = tmp_path / "build"
    child = start(build, tmp_path / "out")
    deadline = time.monotonic() + 60
    while b"An ECDSA wallet" not in (tmp_path / "out").read_bytes() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert running(build)
    os.kill(child.pid, number)
    for _ in range(3):
        if child.poll() is None:
            os.kill(child.pid, number)
        time.sleep(0.02)
    assert child.wait(30) == 130, (tmp_path / "out").read_text()[-2000:]
    assert not running(build)
    assert not (build / "cluster").exists()


def running(build: Path) -> list[int]:
    """Processes whose command line names the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(build).encode() in path.read_bytes() and alive(int(path.parent.name)):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found
