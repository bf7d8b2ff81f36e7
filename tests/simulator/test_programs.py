"""The command line: what a laptop's `up` starts, as processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from strongroom.evidence import nitro
from strongroom.evidence.statement import TrustRoot
from strongroom_enclave.nsm import Nsm, SocketTransport

PROGRAM = [sys.executable, "-m", "strongroom_simulator"]


def run(*arguments: str | Path) -> str:
    return subprocess.run([*PROGRAM, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki")
    run("pki", "--dir", directory)
    return directory


class Program:
    def __init__(self, *arguments: str | Path) -> None:
        self.process = subprocess.Popen([*PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.announced: dict[str, Any] = json.loads(self.process.stdout.readline())

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.wait(10)


def test_authorities_are_made_once_and_their_keys_are_private(authorities: Path) -> None:
    first, second = (json.loads(run("pki", "--dir", authorities)) for _ in range(2))
    assert first == second
    assert len(set(first.values())) == 4
    keys = list(authorities.glob("*.key"))
    assert len(keys) == 5 and all(key.stat().st_mode & 0o777 == 0o600 for key in keys)


def test_an_nsm_boots_with_the_registers_that_measurements_announces(authorities: Path, tmp_path: Path) -> None:
    announced = json.loads(run("measurements", "--pki", authorities, "--instance", "i-alice"))
    assert set(announced) == {"pcr0", "pcr1", "pcr2", "pcr3", "pcr4", "pcr8"}
    offset = tmp_path / "offset"
    program = Program(
        "nsm", "--pki", authorities, "--socket", tmp_path / "nsm", "--instance", "i-alice", "--clock-offset", offset
    )
    assert program.announced == {"ready": True, "address": str(tmp_path / "nsm")}
    transport = SocketTransport(tmp_path / "nsm")
    try:
        trust = TrustRoot(
            "nitro", "simulated", bytes.fromhex(json.loads(run("pki", "--dir", authorities))["nitro_root"])
        )
        statement = nitro.verify(Nsm(transport).attest(), root=trust, at=int(time.time()))
        assert {name: statement.measurements[name].hex() for name in announced} == announced
        offset.write_text("18000\n")
        later = nitro.verify(Nsm(transport).attest(), root=trust, at=int(time.time()) + 18_000)
        assert 17_990 < later.timestamp - statement.timestamp < 18_060
    finally:
        transport.close()
        assert program.end() == 0
    assert not (tmp_path / "nsm").exists()


def test_instances_differ_in_pcr4_alone(authorities: Path) -> None:
    alice, bob = (
        json.loads(run("measurements", "--pki", authorities, "--instance", name)) for name in ("i-alice", "i-bob")
    )
    assert {name for name in alice if alice[name] != bob[name]} == {"pcr4"}


def test_a_debug_enclave_has_no_measurement(authorities: Path, tmp_path: Path) -> None:
    program = Program("nsm", "--pki", authorities, "--socket", tmp_path / "nsm", "--instance", "i", "--debug")
    transport = SocketTransport(tmp_path / "nsm")
    try:
        assert all(Nsm(transport).describe_pcr(index).value == bytes(48) for index in range(3))
        assert Nsm(transport).describe_pcr(4).value != bytes(48)
    finally:
        transport.close()
        assert program.end() == 0


def test_a_kms_serves_and_ends(authorities: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    for policy in ("aa", "bb"):
        run("kms-key", "--keys", keys, "--arn", "arn:one", "--pcr", f"0={policy * 48}")
    run("kms-key", "--keys", keys, "--arn", "arn:two", "--pcr", f"0={'cc' * 48}", "--pcr", f"16={'dd' * 48}")
    owned = json.loads(keys.read_text())["keys"]
    assert [each["arn"] for each in owned] == ["arn:one", "arn:two"]
    assert "bb" * 48 in json.dumps(owned[0]) and "dd" * 48 in json.dumps(owned[1])
    program = Program("kms", "--pki", authorities, "--state", tmp_path / "state", "--keys", keys)
    assert program.announced["address"].startswith("https://127.0.0.1:")
    assert program.end() == 0


def test_the_operator_certifies_a_tokens_key(authorities: Path, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hsm-one")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    (tmp_path / "csr").write_bytes(request.public_bytes(Encoding.PEM))
    run("issue-identity", "--pki", authorities, "--csr", tmp_path / "csr", "--out", tmp_path / "pem")
    certificate = x509.load_pem_x509_certificate((tmp_path / "pem").read_bytes())
    operator = x509.load_pem_x509_certificate((authorities / "operator-ca.pem").read_bytes())
    certificate.verify_directly_issued_by(operator)
    assert certificate.subject == subject and certificate.public_key() == key.public_key()


def test_the_operator_wants_a_request_signed_by_the_key_itself(authorities: Path, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    raw = bytearray(request.public_bytes(Encoding.DER))
    raw[-1] ^= 1
    forged = x509.load_der_x509_csr(bytes(raw))
    (tmp_path / "csr").write_bytes(forged.public_bytes(Encoding.PEM))
    with pytest.raises(subprocess.CalledProcessError):
        run("issue-identity", "--pki", authorities, "--csr", tmp_path / "csr", "--out", tmp_path / "pem")
