"""The demo as a newcomer runs it: its result holds up under other people's implementations, and its end is clean."""

from __future__ import annotations

import json
import os
import re
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

from demo import __main__ as demo
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


HEXADECIMAL = {
    "public_key", "address", "wallet", "raw", "hash", "message", "signature", "pcr0", "pcr16", "configuration",
}  # fmt: skip
"""Fields whose every value is bytes."""


def strings(value: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """Every string with the name of its field."""
    if isinstance(value, str):
        yield field, value
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from strings(inner, key)
    for inner in value if isinstance(value, list) else ():
        yield from strings(inner, field)


def test_hexadecimal_is_lower_case(result: Any) -> None:
    found = list(strings(result))
    assert {field for field, _ in found} >= HEXADECIMAL
    for field, text in found:
        if field in HEXADECIMAL or field.startswith("pcr") or text.lower().startswith("0x"):
            assert re.fullmatch("(0x)?([0-9a-f]{2})+", text), (field, text)


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


@pytest.mark.usefixtures("result")
def test_a_second_run_in_the_same_folder_over_what_the_first_keeps_up(kept: Path) -> None:
    """It stops what it finds, makes everything anew, and is as good."""
    before, wallets = running(kept), (kept / "result.json").read_text()
    assert before
    child = start(kept, kept / "out", keep="1")
    assert child.wait(240) == 0, (kept / "out").read_text()[-2000:]
    assert not set(before) & set(running(kept))
    assert len(running(kept)) == len(before)
    second = (kept / "result.json").read_text()
    assert second != wallets and list(json.loads(second)) == list(json.loads(wallets))


def test_kept_custody_signs_on_and_is_stopped(kept: Path) -> None:
    """What was printed to be tried next works; then no process stays, and all of it can be started again."""
    words = next(line for line in (kept / "out").read_text().splitlines() if "strongroom tx send" in line).split()
    ran = inside(*words[1:], "--json", "--config", kept / "cluster" / "config.json")
    assert ran.status == 0, ran.err
    assert ran.json["transaction"]["status"] == "succeeded"
    listed = inside("signer", "list", "--json", "--config", kept / "cluster" / "config.json")
    assert {row["name"]: row.get("phase") for row in listed.json["signers"]} == dict.fromkeys(
        ("enclave-1", "enclave-2", "hsm-1", "witness-1"), "ready"
    )
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


def test_something_is_on_the_screen_within_two_seconds() -> None:
    """`make demo` says what it will install before it installs anything."""
    recipe = (ROOT / "Makefile").read_text().partition("\ndemo: ")[2].splitlines()[1]
    assert recipe.strip() == "@demo/announce"
    begin = time.monotonic()
    with subprocess.Popen([str(ROOT / "demo" / "announce")], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        first = child.stdout.readline()
        assert time.monotonic() - begin < 2
        rest = child.stdout.read()
    assert b"Strongroom" in first and b"Simulated" in rest and child.returncode == 0


@pytest.mark.parametrize(("system", "machine"), [("darwin", "arm64"), ("linux", "riscv64")])
def test_another_platform_is_refused_in_words(
    system: str, machine: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert demo.main() == 1
    assert f"this is {system} {machine}" in capsys.readouterr().err


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
