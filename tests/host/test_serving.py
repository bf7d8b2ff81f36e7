"""The program itself: how it starts, what it says, and what is left of a request when it is killed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from strongroom.errors import Refusal
from strongroom_host import configuration
from strongroom_host.__main__ import main
from tests.host.world import Handle, World

KEY = "a key of this test"


class Program:
    """`strongroom-host serve` in a process of its own."""

    def __init__(self, folder: Path, world: World) -> None:
        self.database = folder / "host.db"
        self._config = folder / "config.json"
        keys = folder / "keys"
        keys.write_text(f"{KEY}\n")
        self._config.write_text(
            json.dumps(
                {
                    "listen": "127.0.0.1:0",
                    "database": f"sqlite:///{self.database}",
                    "api_keys_file": str(keys),
                    "mode": "simulated",
                    "signers": {signer.name: signer.address for signer in world.signers},
                }
            )
        )

    def start(self) -> httpx.Client:
        command = [sys.executable, "-P", "-m", "strongroom_host", "serve", "--config", str(self._config)]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        assert self.child.stdout is not None
        self.ready = json.loads(self.child.stdout.readline())
        return httpx.Client(base_url=self.ready["listen"][0], headers={"Authorization": f"Bearer {KEY}"}, timeout=60)

    def kill(self) -> None:
        """Everything of it, at once."""
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        if self.child.stdout is not None:
            self.child.stdout.close()

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children").read_text()
        return [int(child) for child in children.split()]

    def state(self, request: str) -> str | None:
        with sqlite3.connect(self.database) as database:
            row = database.execute("select state from requests where request = ?", (request,)).fetchone()
        return None if row is None else row[0]


@pytest.fixture
def program(tmp_path: Path, world: World) -> Iterator[Program]:
    program = Program(tmp_path, world)
    yield program
    program.kill()


class Gate:
    """Holds a signer's answer back at the n-th request of an operation, until it is opened."""

    def __init__(self, operation: str, count: int) -> None:
        self._operation, self._left = operation, count
        self.reached, self.open = threading.Event(), threading.Event()

    def twist(self, operation: str, request: bytes, handle: Handle) -> bytes:
        if operation == self._operation:
            self._left -= 1
            if self._left == 0:
                self.reached.set()
                self.open.wait(20)
        return handle(request)


def test_serves_and_stops_when_told(program: Program) -> None:
    with program.start() as client:
        assert program.ready["ready"] is True and program.ready["pid"] == program.child.pid
        assert client.get("/v1/health").json()["mode"] == "simulated"
        assert client.get("/v1/signers").status_code == 200
    program.child.send_signal(signal.SIGTERM)
    assert program.child.wait(20) == 0


def test_the_arbiter_never_loads_the_native_module(program: Program) -> None:
    """A forked child of a process that signed would repeat its nonces."""
    with program.start() as client:
        client.get("/v1/health")
        (worker,) = program.workers()
        loaded = {
            pid: "strongroom_native" in Path(f"/proc/{pid}/maps").read_text() for pid in (program.child.pid, worker)
        }
    assert loaded == {program.child.pid: False, worker: True}


@pytest.mark.parametrize(
    ("whole", "operation", "count", "left"),
    [
        pytest.param(True, "sign.start", 1, "failed", id="host-first"),
        pytest.param(True, "ceremony.step", 1, "unknown", id="host-second"),
        pytest.param(True, "ceremony.step", 2, "unknown", id="host-last"),
        pytest.param(False, "ceremony.step", 2, "unknown", id="worker-last"),
    ],
)
def test_killed_in_the_middle_of_a_signature(
    program: Program, world: World, whole: bool, operation: str, count: int, left: str
) -> None:
    """DKLs23: until its second trip is under way nothing can be signed; from there on, only these bytes."""
    with program.start() as client:
        made = client.post("/v1/wallets", json={"order": world.order("dkls23-secp256k1").encode().hex()})
        assert made.status_code == 201, made.text
        wallet = made.json()
        intent, signature = world.transfer(bytes.fromhex(wallet["wallet"]), request=bytes(16))
        body = {"intent": intent.hex(), "signature": signature.hex()}
        gate = Gate(operation, count)
        world[1].twist = gate.twist
        failed: list[Any] = []
        thread = threading.Thread(target=lambda: failed.append(_post(client, body)))
        thread.start()
        assert gate.reached.wait(20)
        until(lambda: program.state("00" * 16) == ("signing" if left == "failed" else "unknown"))
        if whole:
            program.kill()
        else:
            (worker,) = program.workers()
            os.kill(worker, signal.SIGKILL)
        thread.join(20)
        assert failed == [None]
    gate.open.set()
    world[1].twist = None
    if whole:
        client = program.start()
    else:
        until(lambda: program.state("00" * 16) == left)
        client = httpx.Client(base_url=program.ready["listen"][0], headers=client.headers, timeout=60)
    with client:
        kept = client.get("/v1/requests/" + "00" * 16).json()
        assert kept["state"] == left and kept["signatures"] == []
        other, other_signature = world.transfer(bytes.fromhex(wallet["wallet"]), value=2, request=bytes(16))
        refused = client.post("/v1/requests", json={"intent": other.hex(), "signature": other_signature.hex()})
        assert refused.status_code == 409 and refused.json()["code"] == "request_conflict"
        again = client.post("/v1/requests", json=body)
        assert again.status_code == 200 and again.json()["state"] == "signed"
        assert [event["state"] for event in again.json()["history"]][-1] == "signed"


def _post(client: httpx.Client, body: dict[str, str]) -> int | None:
    try:
        return client.post("/v1/requests", json=body).status_code
    except httpx.TransportError:
        return None


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    "change",
    [
        {"signers": {}},
        {"signers": {"UPPER": "uds:/a#1"}},
        {"api_key_hashes": []},
        {"api_key_hashes": ["00"]},
        {"bypass_policy": True},
        {"threads": "16"},
        {"chains": {"one": {"url": "http://localhost"}}},
        {"api_keys_file": "/nowhere"},
    ],
    ids=lambda change: next(iter(change)) + str(next(iter(change.values())))[:12],
)
def test_a_configuration_that_is_wrong(
    tmp_path: Path, change: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    right = {"database": "sqlite:///x.db", "signers": {"a": "uds:/a#1"}, "api_key_hashes": ["00" * 32]}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(right))
    assert configuration.read(path).key_hashes == (bytes(32),)
    path.write_text(json.dumps({**right, **change}))
    with pytest.raises(Refusal) as caught:
        configuration.read(path)
    assert caught.value.code == "bad_configuration"
    assert main(["serve", "--config", str(path)]) == 2
    assert "bad_configuration" in capsys.readouterr().err


def test_migrate_and_openapi(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.json"
    database = {"database": f"sqlite:///{tmp_path / 'new.db'}"}
    path.write_text(json.dumps({**database, "signers": {"a": "uds:/a#1"}, "api_key_hashes": ["00" * 32]}))
    assert main(["migrate", "--config", str(path)]) == 0
    with sqlite3.connect(tmp_path / "new.db") as made:
        assert made.execute("select count(*) from requests").fetchone() == (0,)
    capsys.readouterr()
    assert main(["openapi"]) == 0
    assert json.loads(capsys.readouterr().out)["openapi"] == "3.1.0"
