"""The parent's program, over hybrid vsock, and what an enclave that is somebody else's may try on it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.enclave.parent import parent as program
from strongroom_enclave import credentials, init, parent
from tests.infra.parents_python import require_parents_python

ATTESTED: dict[str, Any] = {
    "mode": "production",
    "name": "enclave-a",
    "officers": {"keys": ["11" * 32], "quorum": 1},
    "sealing": {"kind": "kms", "key": "arn:aws:kms:eu-central-1:111122223333:key/abc"},
}
GIVEN = {"AccessKeyId": "AKIA", "SecretAccessKey": "secret", "SessionToken": "token"}


class Instance:
    """A parent that runs, and the enclave's side of its ports."""

    def __init__(self, folder: Path, kms: tuple[str, int]) -> None:
        self.folder, self.log = folder, folder / "log"
        (folder / "signer.json").write_text(json.dumps({"attested": ATTESTED, "listen": {"port": 1}, "nsm": "evil"}))
        (folder / "credentials.json").write_text(json.dumps(GIVEN))
        files = ["--configuration", folder / "signer.json", "--credentials", folder / "credentials.json"]
        command = [sys.executable, program.__file__, *files, "--kms", f"{kms[0]}:{kms[1]}", "--uds", folder / "v"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=log)
        assert self.process.stdout is not None
        assert json.loads(self.process.stdout.readline())["ports"] == [8000, 8001, 8002, 8003]

    def connect(self, port: int) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(20)
        connection.connect(f"{self.folder}/v_{port}")
        return connection

    def stop(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def kms() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        yield listener


@pytest.fixture
def instance(tmp_path: Path, kms: socket.socket) -> Iterator[Instance]:
    instance = Instance(tmp_path, kms.getsockname())
    yield instance
    instance.stop()


def test_the_enclave_gets_its_configuration_and_nothing_beside(instance: Instance) -> None:
    document = init.wait_for_configuration(lambda line: None, instance.connect)
    assert json.loads(document) == {"attested": ATTESTED}
    assert init.Given.parse(document).endpoint.host == "kms.eu-central-1.amazonaws.com"


def test_credentials_are_read_at_each_request(instance: Instance) -> None:
    assert credentials.from_parent(8002, instance.connect)() == credentials.Credentials("AKIA", "secret", "token")
    (instance.folder / "credentials.json").write_text(json.dumps(GIVEN | {"AccessKeyId": "ASIA"}))
    assert credentials.from_parent(8002, instance.connect)().access_key == "ASIA"


def test_a_file_that_is_away_or_too_large_ends_the_request_alone(instance: Instance) -> None:
    file = instance.folder / "credentials.json"
    for spoil in (file.unlink, lambda: file.write_bytes(b" " * (16 << 10) + b"{}")):
        spoil()
        with pytest.raises(OSError, match="ends its answer early"):
            parent.ask(8002, 1 << 20, instance.connect)
    file.write_text(json.dumps(GIVEN))
    assert credentials.from_parent(8002, instance.connect)().access_key == "AKIA"


def test_last_words_are_one_line_of_the_log_whatever_they_are(instance: Instance) -> None:
    parent.tell(8003, b"key_policy: another\n\x1b[2Jroot logged in\nCRITICAL forged\xff", instance.connect)
    parent.tell(8003, b"x" * 100_000, instance.connect)
    with instance.connect(8003) as half:
        half.sendall(b"\xff\xff\xff\xffabc")
    parent.ask(8001, 65536, instance.connect)
    for _ in range(200):
        lines = instance.log.read_text().splitlines()
        if len(lines) >= 3:
            break
        threading.Event().wait(0.05)
    assert "WARNING the enclave ends: key_policy: another |  [2Jroot logged in | CRITICAL forged\ufffd" in lines
    assert "WARNING the enclave ends: " + "x" * 8192 in lines
    assert all(line.startswith("WARNING ") and line.isprintable() for line in lines)


# --- KMS: one address ---


def test_bytes_reach_kms_as_they_are(instance: Instance, kms: socket.socket) -> None:
    data = os.urandom(100_000)
    with instance.connect(8000) as caller:
        server, _ = kms.accept()
        with server:
            threading.Thread(target=lambda: caller.sendall(data)).start()
            got = bytearray()
            while len(got) < len(data):
                got += server.recv(1 << 16)
            assert got == data
            server.sendall(b"answer")
            assert caller.recv(16) == b"answer"


@pytest.mark.parametrize(
    "words",
    [b"CONNECT evil.example:443 HTTP/1.1\r\n\r\n", b"GET http://169.254.169.254/ HTTP/1.1\r\n\r\n", b"\x05\x01\x00"],
    ids=["connect", "proxy", "socks"],
)
def test_no_word_of_the_enclaves_leads_elsewhere(instance: Instance, kms: socket.socket, words: bytes) -> None:
    """The metadata service of the instance holds the role's credentials; a proxy that listened would give them away."""
    with instance.connect(8000) as caller:
        caller.sendall(words)
        server, _ = kms.accept()
        with server:
            assert server.recv(256) == words


def test_connections_without_end_are_closed_at_the_sixteenth(instance: Instance, kms: socket.socket) -> None:
    held = [instance.connect(8000) for _ in range(program.CONNECTIONS)]
    servers = [kms.accept()[0] for _ in held]
    with instance.connect(8000) as one_more:
        assert one_more.recv(1) == b""
    for side in (*held, *servers):
        side.close()
    # Documents have connections of their own meanwhile, and KMS has them again.
    assert parent.ask(8001, 65536, instance.connect)


def test_another_cid_is_not_answered() -> None:
    class Listener:
        """Two calls, from the enclave beside and from ours; then it is closed."""

        def __init__(self) -> None:
            self.calls = [(3, 1), (16, 1)]
            self.ours: list[socket.socket] = []

        def accept(self) -> tuple[socket.socket, tuple[int, int]]:
            if not self.calls:
                raise OSError
            ours, theirs = socket.socketpair()
            ours.settimeout(20)
            self.ours.append(ours)
            return theirs, self.calls.pop(0)

    listener = Listener()
    program.serve(listener, lambda caller: program.hand(caller, b"{}"), 16)  # type: ignore[arg-type]
    assert [side.recv(16) for side in listener.ours] == [b"", b"\0\0\0\2{}"]
    for side in listener.ours:
        side.close()


def test_it_runs_on_the_parents_own_python() -> None:
    require_parents_python(Path(program.__file__))
