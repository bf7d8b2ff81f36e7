"""`strongroom evidence verify`: exit status 0 only for what is accepted, and the mode in every output."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from strongroom_client import evidence
from strongroom_simulator import pki
from tests.client.custody import FakeSigner
from tests.cluster.commands import Ran, inside

ACCEPTED = {
    "base1": "2024-02-26T07:02:01Z",
    "ev1": "2022-10-13T08:58:02Z",
    "marlin2": "2025-04-29T10:32:39Z",
    "veracruz1": "2022-11-09T22:52:00Z",
}
REFUSED = {
    "eternis_invalid": ("2024-07-23T21:29:40Z", "evidence_signature"),
    "marlin_custom": ("2025-04-30T14:07:23Z", "evidence_root"),
}


def verify(file: Path, *more: str) -> Ran:
    return inside("evidence", "verify", file, *more)


@pytest.mark.parametrize("name", ACCEPTED)
def test_genuine_documents(vectors: Path, name: str) -> None:
    ran = verify(vectors / "nitro" / name, "--at", ACCEPTED[name], "--json")
    assert ran.status == 0
    assert ran.json["accepted"] and ran.json["mode"] == "production" and ran.json["refused"] is None
    assert verify(vectors / "nitro" / name, "--at", str(ran.json["timestamp"])).status == 0


@pytest.mark.parametrize("name", ACCEPTED)
def test_genuine_documents_are_old_now(vectors: Path, name: str) -> None:
    ran = verify(vectors / "nitro" / name, "--json")
    assert ran.status == 1 and ran.json["refused"]["code"] == "evidence_expired"


@pytest.mark.parametrize("name", REFUSED)
def test_documents_to_refuse(vectors: Path, name: str) -> None:
    at, code = REFUSED[name]
    ran = verify(vectors / "nitro" / name, "--at", at, "--json")
    assert ran.status == 1 and ran.json["refused"]["code"] == code


def test_base64_with_line_feeds(vectors: Path, tmp_path: Path) -> None:
    file = tmp_path / "document.b64"
    file.write_bytes(base64.encodebytes((vectors / "nitro" / "base1").read_bytes()))
    assert verify(file, "--at", ACCEPTED["base1"]).status == 0


@pytest.fixture
def root() -> pki.Identity:
    return pki.root("simulated.nitro-enclaves")


@pytest.fixture
def pem(root: pki.Identity, tmp_path: Path) -> Path:
    path = tmp_path / "root.pem"
    path.write_bytes(root.certificate.public_bytes(Encoding.PEM))
    return path


def _document(root: pki.Identity, tmp_path: Path, **changes: Any) -> Path:
    path = tmp_path / "document"
    path.write_bytes(FakeSigner(1, root).attest(os.urandom(32), os.urandom(32), **changes))
    return path


def test_simulated_document_needs_both_words(root: pki.Identity, pem: Path, tmp_path: Path) -> None:
    file = _document(root, tmp_path)
    assert verify(file, "--json").json["refused"]["code"] == "evidence_root"
    for half in (("--root", str(pem)), ("--mode", "simulated")):
        ran = verify(file, *half, "--json")
        assert ran.status == 1 and ran.json["refused"]["code"] == "mode_mismatch" and ran.json["mode"]
    accepted = verify(file, "--mode", "simulated", "--root", str(pem))
    assert accepted.status == 0 and "mode simulated" in accepted.out
    assert verify(file, "--mode", "simulated", "--root", str(pem), "--json").json["mode"] == "simulated"


def test_root_in_der(root: pki.Identity, tmp_path: Path) -> None:
    der = tmp_path / "root.der"
    der.write_bytes(root.der)
    assert verify(_document(root, tmp_path), "--mode", "simulated", "--root", str(der)).status == 0


def test_another_simulated_root(pem: Path, tmp_path: Path) -> None:
    file = _document(pki.root("simulated.nitro-enclaves"), tmp_path)
    ran = verify(file, "--mode", "simulated", "--root", str(pem), "--json")
    assert ran.status == 1 and ran.json["refused"]["code"] == "evidence_root" and ran.json["mode"] == "simulated"


def test_debug_enclave_is_never_accepted(root: pki.Identity, pem: Path, tmp_path: Path) -> None:
    file = _document(root, tmp_path, registers=dict.fromkeys((0, 1, 2, 16), bytes(48)))
    ran = verify(file, "--mode", "simulated", "--root", str(pem))
    assert ran.status == 1 and "evidence_debug" in ran.err and "mode     simulated" in ran.out


@pytest.mark.parametrize("content", [b"", b"\x84", b"hello world", b"\xff" * 100, b"A" * 70_000])
def test_what_is_no_document(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "document"
    file.write_bytes(content)
    ran = verify(file, "--json")
    assert ran.status == 1 and ran.json["refused"]["code"] == "evidence_malformed"


def test_no_such_file(tmp_path: Path) -> None:
    ran = verify(tmp_path / "nothing", "--json")
    assert ran.status == 1 and ran.json["refused"]["code"] == "bad_file"


@pytest.mark.parametrize("wrong", [("--at", "yesterday"), ("--mode", "lax"), ("--colour", "red")])
def test_wrong_use(tmp_path: Path, wrong: tuple[str, str]) -> None:
    assert verify(tmp_path, *wrong).status == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("1708930921", 1708930921),
        ("2024-02-26T07:02:01Z", 1708930921),
        ("2024-02-26T08:02:01+01:00", 1708930921),
        ("2024-02-26T07:02:01", 1708930921),
    ],
)
def test_times(text: str, seconds: int) -> None:
    assert evidence.parse_time(text) == seconds
