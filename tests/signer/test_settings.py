"""A program's file that is wrong ends the program in words, and before it touches its token or its device."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from strongroom.signer.settings import Settings
from strongroom_enclave.__main__ import _listener
from strongroom_hsm.__main__ import _listen
from tests.wire.refused import refused

ATTESTED = {
    "mode": "simulated",
    "name": "a",
    "officers": {"keys": ["11" * 32], "quorum": 1},
    "sealing": {"kind": "pkcs11", "key": "kek"},
}
TOKEN = {
    "module": "/nonexistent.so",
    "label": "l",
    "identity": "i",
    "pin_file": "/nonexistent",
    "certificate_file": "/nonexistent",
    "chain_file": "/nonexistent",
    "request_file": "/nonexistent/request",
}


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"1", b"\xff", b"[" * 100_000])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    assert "file.json" in refused("bad_configuration", Settings.parse, data, "file.json").reason


def test_fields_are_of_their_type() -> None:
    settings = Settings.parse(b'{"a": {"text": "t", "number": 5, "flag": true, "empty": "", "nul": "a\\u0000"}}', "f")
    inner = settings.inner("a")
    assert inner.text("text") == "t" and inner.optional_text("none") is None
    assert inner.port("number", 1) == 5 and inner.port("none", 1) == 1
    assert settings.inner("none", optional=True).optional_text("x") is None
    for key in ("number", "flag", "empty", "nul", "none"):
        assert refused("bad_configuration", inner.text, key).reason.startswith(f"f: a: {key} ")
    for key in ("text", "flag"):
        refused("bad_configuration", inner.port, key, 1)
    refused("bad_configuration", Settings({"p": -1}, "f").port, "p", 1)
    refused("bad_configuration", settings.inner, "none")


def run(program: str, folder: Path, value: Any) -> subprocess.CompletedProcess[str]:
    file = folder / "config.json"
    file.write_text(value if isinstance(value, str) else json.dumps(value))
    command = [sys.executable, "-m", program, "run", "--config", str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


WRONG: list[tuple[str, str, Any]] = [
    ("strongroom_enclave", "no JSON", "{"),
    ("strongroom_enclave", "listen: port", {"attested": ATTESTED, "listen": {"port": "vsock"}}),
    ("strongroom_enclave", "listen: uds", {"attested": ATTESTED, "listen": {"uds": 5}}),
    ("strongroom_enclave", "kms", {"attested": ATTESTED, "listen": {}, "kms": "aws"}),
    ("strongroom_enclave", "nsm", {"attested": ATTESTED, "listen": {}, "nsm": 7}),
    ("strongroom_hsm", "no JSON", "{"),
    ("strongroom_hsm", "pin_file", {"attested": ATTESTED, "token": {**TOKEN, "pin_file": 5}}),
    ("strongroom_hsm", "listen: uds", {"attested": ATTESTED, "token": TOKEN, "listen": {}}),
    ("strongroom_hsm", "listen: port", {"attested": ATTESTED, "token": TOKEN, "listen": {"uds": "s", "port": "x"}}),
]


@pytest.mark.parametrize(("program", "what", "value"), WRONG, ids=[f"{program}, {what}" for program, what, _ in WRONG])
def test_a_program_says_which_field_is_wrong(program: str, what: str, value: Any, tmp_path: Path) -> None:
    done = run(program, tmp_path, value)
    assert done.returncode == 1 and done.stdout == ""
    assert "bad_configuration" in done.stderr and what in done.stderr
    assert "Traceback" not in done.stderr


def test_a_socket_that_cannot_be_made(tmp_path: Path) -> None:
    for path in (tmp_path / "missing" / "socket", tmp_path / ("x" * 200)):
        assert str(path) in refused("bad_configuration", _listener, 5000, str(path)).reason
        assert str(path) in refused("bad_configuration", _listen, path, 5000).reason
