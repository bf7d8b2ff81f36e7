"""The program as an operator runs it: provisioning, a PIN by file and by descriptor, a token pulled and put back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from strongroom.errors import Refusal
from strongroom.evidence import pkcs11
from strongroom.evidence.statement import TrustRoot
from strongroom.wire import cbor, frame
from strongroom.wire.fields import Fields
from tests.hsm.authority import Authority
from tests.hsm.places import PIN, Place, module

PORT = 5000


def write_config(place: Place) -> Path:
    attested = {
        "mode": "simulated",
        "name": place.name,
        "officers": {"keys": ["00" * 32], "quorum": 1},
        "sealing": {"kind": "pkcs11", "key": place.labels.kek},
    }
    token = {
        "module": str(module()),
        "label": place.label,
        "identity": place.labels.identity,
        "pin_file": str(place.pin_file),
        "request_file": str(place.folder / "request.pem"),
        "certificate_file": str(place.folder / "certificate.pem"),
        "chain_file": str(place.folder / "chain.pem"),
    }
    path = place.folder / "config.json"
    listen = {"uds": str(place.folder / "signer.sock"), "port": PORT}
    path.write_text(json.dumps({"attested": attested, "token": token, "listen": listen}))
    return path


def command(what: str, config: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "strongroom_hsm", what, "--config", str(config), *more]


def finish(what: str, place: Place) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(what, write_config(place)), capture_output=True, text=True, timeout=60)


@contextmanager
def running(place: Place, *more: str, **how: Any) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command("run", write_config(place), *more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how
    )
    with process:
        try:
            assert process.stdout is not None and process.stderr is not None
            line = process.stdout.readline()
            assert line, process.stderr.read()
            assert json.loads(line)["ready"] is True
            yield process
        finally:
            process.kill()


def ask(place: Place, operation: str, **body: cbor.Value) -> Fields:
    """One request, as the host makes it: hybrid vsock over a Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(30)
        connection.connect(str(place.folder / "signer.sock"))
        with connection.makefile("rwb") as stream:
            stream.write(f"CONNECT {PORT}\n".encode())
            stream.flush()
            assert stream.readline().startswith(b"OK ")
            stream.write(frame.encode_frame(frame.encode_request(operation, body)))
            stream.flush()
            length = frame.frame_length(stream.read(frame.HEADER))
            return frame.decode_answer(stream.read(length))


def phase(place: Place) -> tuple[str, str | None]:
    fields = ask(place, "status")
    return fields.text("phase"), fields.optional_text("reason")


def attested(place: Place, authority: Authority) -> str:
    document = ask(place, "evidence", nonce=b"n" * 32).blob("document")
    root = TrustRoot("pkcs11", "simulated", authority.fingerprint)
    statement = pkcs11.verify(document, root=root, at=int(time.time()))
    assert statement.nonce == b"n" * 32
    return statement.subject


def test_from_an_empty_token_to_a_signer(empty_place: Place, authority: Authority) -> None:
    done = finish("provision", empty_place)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["made"] == ["identity", "kek"]
    authority.certify((empty_place.folder / "request.pem").read_bytes(), empty_place.folder)
    with running(empty_place) as process:
        assert attested(empty_place, authority) == "hsm-a"
        assert phase(empty_place) == ("ready", None)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_pin_by_descriptor(place: Place, authority: Authority) -> None:
    reading, writing = os.pipe()
    os.write(writing, PIN.encode())
    os.close(writing)
    with running(place, "--pin-fd", str(reading), pass_fds=[reading]) as process:
        os.close(reading)
        own = Path(f"/proc/{process.pid}")
        assert attested(place, authority) == "hsm-a"
        assert PIN.encode() not in (own / "cmdline").read_bytes()


def test_a_wrong_pin_ends_the_program(own_place: Place) -> None:
    own_place.write_pin("wrong pin")
    done = finish("run", own_place)
    assert done.returncode == 3
    assert "pin_incorrect" in done.stderr and "The PIN is not tried again" in done.stderr
    assert "wrong pin" not in done.stderr + done.stdout


def test_a_pin_file_that_others_may_read(own_place: Place) -> None:
    own_place.pin_file.chmod(0o644)
    done = finish("run", own_place)
    assert done.returncode == 1 and "chmod 0600" in done.stderr


def test_a_token_pulled_and_put_back(own_place: Place, authority: Authority, tmp_path: Path) -> None:
    with running(own_place):
        shutil.move(own_place.store, tmp_path / "pulled")
        with pytest.raises(Refusal) as caught:
            attested(own_place, authority)
        assert caught.value.code == "token_unavailable"
        found, reason = phase(own_place)
        assert found == "degraded" and own_place.label in (reason or "")
        shutil.move(tmp_path / "pulled", own_place.store)
        end = time.monotonic() + 20
        while phase(own_place)[0] != "ready":
            assert time.monotonic() < end, "it did not recover by itself"
            time.sleep(0.1)
        assert attested(own_place, authority) == "hsm-a"
