"""The enclave's first process, as far as it goes without a kernel of its own; `make test-enclave` boots the rest."""

from __future__ import annotations

import fcntl
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from strongroom.errors import Refusal
from strongroom_enclave import init, kernel
from strongroom_enclave.__main__ import read_settings
from strongroom_enclave.endpoint import Endpoint
from strongroom_enclave.tail import KEPT, Tail

ATTESTED: dict[str, Any] = {
    "mode": "production",
    "name": "enclave-a",
    "officers": {"keys": ["11" * 32], "quorum": 1},
    "sealing": {"kind": "kms", "key": "arn:aws:kms:eu-central-1:111122223333:key/abc"},
}


# --- What the parent hands in ---


def test_the_signers_file_holds_what_is_attested_and_nothing_else_of_the_parents(tmp_path: Path) -> None:
    document = {
        "attested": ATTESTED,
        "nsm": "unix:/run/evil",
        "listen": {"uds": "/run/evil", "port": 1},
        "kms": {"credentials_file": "/proc/self/environ", "authority_file": "/run/evil"},
    }
    given = init.Given.parse(json.dumps(document).encode())
    path = given.write(tmp_path)
    assert json.loads(path.read_text()) == {
        "attested": ATTESTED,
        "listen": {"port": 5000},
        "kms": {"credentials_port": 8002},
    }
    assert given.endpoint == Endpoint("kms.eu-central-1.amazonaws.com", 443)
    assert read_settings(path).inner("kms").port("credentials_port", 0) == 8002


def test_a_simulated_kms_brings_its_authority(tmp_path: Path) -> None:
    sealing = ATTESTED["sealing"] | {"endpoint": "https://localhost:4566", "authority": "22" * 32}
    attested = ATTESTED | {"mode": "simulated", "sealing": sealing}
    given = init.Given.parse(json.dumps({"attested": attested, "authority": "PEM"}).encode())
    path = given.write(tmp_path)
    assert json.loads(path.read_text())["kms"]["authority_file"] == str(tmp_path / "authority.pem")
    assert (tmp_path / "authority.pem").read_text() == "PEM"
    assert given.endpoint == Endpoint("localhost", 4566)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b"1",
        b"[" * 60_000,
        json.dumps({"attested": 1}).encode(),
        json.dumps({"attested": ATTESTED | {"name": "../evil"}}).encode(),
        json.dumps({"attested": ATTESTED, "authority": ["x"]}).encode(),
    ],
    ids=["empty", "list", "no-fields", "number", "deep", "no-object", "name", "authority"],
)
def test_another_document_ends_the_boot_in_words(document: bytes) -> None:
    with pytest.raises(Refusal) as refusal:
        init.Given.parse(document)
    assert refusal.value.code == "bad_configuration"


def test_it_waits_for_a_configuration_and_says_so_once() -> None:
    said: list[str] = []
    tries = 0

    def connect(port: int) -> socket.socket:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise ConnectionResetError("nobody there")
        ours, theirs = socket.socketpair()
        theirs.sendall(b"\0\0\0\2{}")
        theirs.close()
        return ours

    slept: list[float] = []
    assert init.wait_for_configuration(said.append, connect, slept.append) == b"{}"
    assert said == ["init: no configuration from the parent yet: nobody there"]
    assert slept == [init.PAUSE] * 3


@pytest.mark.parametrize(("misses", "heard"), [(0, True), (19, True), (20, False)])
def test_the_heartbeat_is_tried_for_ten_seconds(misses: int, heard: bool) -> None:
    tries = 0

    def send() -> None:
        nonlocal tries
        tries += 1
        if tries <= misses:
            raise ConnectionResetError

    assert init.beat(send, lambda _: None) is heard


# --- Two programs ---


@pytest.mark.parametrize(
    ("status", "how"),
    [(0, "with status 0"), (256, "with status 1"), (9, "by signal 9")],
    ids=["ended", "refused", "killed"],
)
def test_orphans_are_reaped_and_a_program_of_its_own_ends_the_enclave(status: int, how: str) -> None:
    ends = iter([(77, 0), (78, 9), (12, status)])
    said = init.reap({11: "the forwarder", 12: "the signer"}, Tail(None), lambda pid, options: next(ends))
    assert said == f"init: the signer ended {how}, and so does the enclave"


def test_the_last_words_are_the_last_ones_that_came() -> None:
    console = io.StringIO()
    tail = Tail(console)
    read, write = os.pipe()
    with os.fdopen(read, "rb") as stream, os.fdopen(write, "wb") as program:
        tail.follow(stream)
        program.write(b"x" * 3 * KEPT + b"\nkey_policy: another principal\n")
        program.close()
        tail.settle()
    tail.say("init: the signer ended")
    assert tail.words().endswith(b"\nkey_policy: another principal\ninit: the signer ended\n")
    assert len(tail.words()) == KEPT
    assert "key_policy: another principal" in console.getvalue()


# --- The kernel, in namespaces of its own ---

NAMESPACES = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork"]


def _unshare() -> bool:
    return shutil.which("unshare") is not None and subprocess.run([*NAMESPACES, "true"], check=False).returncode == 0


apart = pytest.mark.skipif(not _unshare(), reason="this machine gives no namespaces to take a kernel's place")


def run_apart(program: str) -> subprocess.CompletedProcess[str]:
    code = f"from strongroom_enclave import kernel, init\nimport os, socket, sys\n{program}"
    return subprocess.run([*NAMESPACES, sys.executable, "-c", code], capture_output=True, text=True, check=False)


@apart
def test_loopback_carries_once_it_is_up() -> None:
    ran = run_apart("""
def dial():
    with socket.create_server(("127.0.0.1", 443)) as listener:
        socket.create_connection(listener.getsockname(), timeout=5).close()
try:
    dial()
except OSError as error:
    print("down")
kernel.loopback_up()
dial()
print("up")
""")
    assert ran.stdout.split() == ["down", "up"], ran.stderr


@apart
def test_mounts_are_small_and_hold_no_programs() -> None:
    ran = run_apart("""
kernel.mount("tmpfs", "/tmp", init._HIDDEN, "mode=1777,size=1m")
open("/tmp/program", "w").write("#!/bin/sh\\n")
os.chmod("/tmp/program", 0o755)
try:
    os.execv("/tmp/program", ["program"])
except PermissionError:
    print("no programs")
try:
    open("/tmp/large", "wb").write(bytes(2 << 20))
except OSError as error:
    print(error.strerror)
kernel.mount("none", "/tmp", kernel.REMOUNT | kernel.READ_ONLY)
try:
    open("/tmp/another", "w")
except OSError as error:
    print(error.strerror)
""")
    assert ran.stdout.splitlines() == ["no programs", "No space left on device", "Read-only file system"], ran.stderr


@apart
def test_a_restart_ends_every_process() -> None:
    """In a namespace the call ends its first process by SIGHUP (reboot(2))."""
    ran = run_apart("kernel.restart()\nimport time; time.sleep(60)")
    assert ran.returncode in (-1, 129), ran.stderr


def test_no_program_gains_rights_and_none_leaves_a_core() -> None:
    code = (
        "from strongroom_enclave import kernel; kernel.forbid_privileges()\n"
        "import resource; print(resource.getrlimit(resource.RLIMIT_CORE))\n"
        "print([line for line in open('/proc/self/status') if line.startswith('NoNewPrivs')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["(0, 0)", "['NoNewPrivs:\\t1\\n']"]


def test_the_seed_is_credited_in_the_kernels_form(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[tuple[int, object]] = []
    monkeypatch.setattr(fcntl, "ioctl", lambda fd, number, argument=0: calls.append((number, argument)))
    (tmp_path / "random").touch()
    kernel.add_randomness(b"seed" * 8, tmp_path / "random")
    # struct rand_pool_info: bits, bytes, buffer; then RNDRESEEDCRNG.
    assert calls == [(0x40085203, (256).to_bytes(4, "little") + (32).to_bytes(4, "little") + b"seed" * 8), (0x5207, 0)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may add to the kernel's pool")
def test_the_kernel_takes_the_seed() -> None:
    try:
        kernel.add_randomness(os.urandom(256))
    except PermissionError:
        pytest.skip("this container's root may not add to the kernel's pool")


def test_the_forwarder_listens_where_the_name_leads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The very process: a descriptor that it inherits, no other, and an environment of its own."""
    started: list[dict[str, Any]] = []
    hosts = tmp_path / "hosts"
    monkeypatch.setattr(init, "HOSTS", hosts)
    monkeypatch.setattr(subprocess, "Popen", lambda arguments, **options: started.append({"it": arguments, **options}))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    init.start_forwarder(Endpoint("kms.test", port))
    assert hosts.read_text() == "127.0.0.1 localhost kms.test\n"
    assert started[0]["it"][1:4] == ["-I", "-m", "strongroom_enclave.forwarder"]
    assert started[0]["pass_fds"] == (int(started[0]["it"][4]),)
    assert started[0]["user"] == started[0]["group"] == init.FORWARDER_USER
    assert started[0]["extra_groups"] == [] and "PATH" not in started[0]["env"]


def test_a_stream_of_words_has_no_end_that_grows() -> None:
    tail = Tail(None)

    def talk() -> None:
        for _ in range(500):
            tail.say("y" * 100)

    threads = [threading.Thread(target=talk) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tail.words()) == KEPT
