"""What runs on a parent instance: its bundle, its units, and the two small programs, against stand-ins."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

import pytest
import yaml

from infra.aws import bundle
from strongroom_enclave import init, parent
from strongroom_enclave.credentials import Credentials, from_file
from tests.conftest import ROOT
from tests.infra.aws import configuration

PARENT = bundle.PARENT
REVIEWER = ROOT / "infra" / "systemd"
ROLE = {
    "Code": "Success",
    "AccessKeyId": "ASIAEXAMPLE",
    "SecretAccessKey": "the secret",
    "Token": "the token",
    "Expiration": "2026-11-26T12:00:00Z",
}


# --- The bundle ---


def test_a_bundle_is_the_same_bytes_each_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, config = tmp_path / "enclave.eif", configuration(tmp_path / "signer.json")
    image.write_bytes(b".eif")
    made = []
    for name in ("one", "two"):
        assert bundle.main(["--image", str(image), "--config", str(config), "-o", str(tmp_path / name)]) == 0
        made.append((tmp_path / name).read_bytes())
        assert capsys.readouterr().out.strip() == hashlib.sha256(made[-1]).hexdigest()
    assert made[0] == made[1]
    with tarfile.open(fileobj=io.BytesIO(made[0])) as archive:
        entries = {entry.name: entry for entry in archive.getmembers()}
        assert all((each.uid, each.gid, each.mtime, each.isfile()) == (0, 0, 0, True) for each in entries.values())
    assert entries["parent/install"].mode == 0o755 and entries["parent/signer.json"].mode == 0o644
    assert {f"parent/{path.relative_to(PARENT)}" for path in PARENT.rglob("*") if path.is_file()} <= entries.keys()


@pytest.mark.parametrize("changed", [{"mode": "lax"}, {"name": ""}, {"sealing": {}}])
def test_a_configuration_that_no_signer_takes_is_not_bundled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, str]
) -> None:
    image, config = tmp_path / "enclave.eif", configuration(tmp_path / "signer.json", **changed)
    image.write_bytes(b".eif")
    output = tmp_path / "bundle"
    assert bundle.main(["--image", str(image), "--config", str(config), "-o", str(output)]) == 1
    assert "bad_configuration" in capsys.readouterr().err and not output.exists()


# --- Installing ---


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A root folder after the bundle's installer ran, with stand-ins for what touches the machine."""
    source, tools, root = tmp_path / "parent", tmp_path / "tools", tmp_path / "root"
    shutil.copytree(PARENT, source)
    (source / "strongroom-enclave.eif").write_bytes(b".eif")
    configuration(source / "signer.json")
    tools.mkdir()
    for name in ("useradd", "getent", "systemctl"):
        (tools / name).write_text(f'#!/bin/sh\necho {name} "$@" >>{tmp_path}/ran\n')
        (tools / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}", "STRONGROOM_ROOT": str(root)}
    command = [str(source / "install"), "--region", "eu-central-1"]
    subprocess.run(command, env=environment, check=True)
    return root


def test_everything_is_put_where_its_unit_looks(installed: Path, tmp_path: Path) -> None:
    assert not [path for path in installed.rglob("*") if path.is_file() and b"@REGION@" in path.read_bytes()]
    proxy = yaml.safe_load((installed / "etc/strongroom/vsock-proxy.yaml").read_text())
    assert proxy == {"allowlist": [{"address": "kms.eu-central-1.amazonaws.com", "port": 443}]}
    unit = (installed / "etc/systemd/system/strongroom-vsock-proxy.service").read_text()
    assert "8000 kms.eu-central-1.amazonaws.com 443" in unit
    for name in ("credentials", "enclave", "hand"):
        assert (installed / "usr/libexec/strongroom" / name).stat().st_mode & 0o111
    enabled = set((tmp_path / "ran").read_text().split("enable --now")[1].split())
    units = {path.name for path in (PARENT / "units").iterdir()}
    assert units - enabled == {"strongroom-host.service"}, "the host is configured by hand"
    assert enabled - units == {"nitro-enclaves-allocator.service"}


def test_an_enclave_fits_into_what_the_allocator_gives() -> None:
    given = yaml.safe_load((PARENT / "allocator.yaml").read_text())
    program = (PARENT / "libexec/enclave").read_text()
    found = re.search(r'CID, PROCESSORS, MEMORY = "(\d+)", "(\d+)", "(\d+)"', program)
    assert found and given == {"memory_mib": int(found[3]), "cpu_count": int(found[2])}
    assert "debug" not in program.replace("Never in debug mode", "")


@pytest.mark.parametrize("region", ["", "eu-central-1; rm -rf /", "EU", "@REGION@"])
def test_a_region_that_is_none(region: str) -> None:
    done = subprocess.run([PARENT / "install", "--region", region], capture_output=True, check=False)
    assert done.returncode == 2


def test_units_are_what_systemd_takes(installed: Path) -> None:
    """`systemd-analyze verify`, in a root where every program that a unit starts is there."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd here")
    system = installed / "etc/systemd/system"
    for path in REVIEWER.iterdir():
        shutil.copy(path, system)
    (installed / "etc/systemd/system/nitro-enclaves-allocator.service").write_text("[Service]\nExecStart=/bin/true\n")
    for program in ("bin/true", "usr/bin/vsock-proxy", "usr/bin/nitro-cli", "opt/strongroom/bin/strongroom-host"):
        _program(installed / program)
    _program(installed / "opt/strongroom/bin/strongroom")
    for name in ("network-online", "multi-user", "timers", "sysinit", "basic", "shutdown", "network", "time-sync"):
        (system / f"{name}.target").write_text(f"[Unit]\nDescription={name}\n")
    units = sorted(path for path in system.iterdir() if path.name.startswith("strongroom-"))
    done = subprocess.run(
        ["systemd-analyze", "verify", f"--root={installed}", "--man=no", *(unit.name for unit in units)],
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if "strongroom" in line]
    assert not said, said
    broken = system / "strongroom-host.service"
    broken.write_text(broken.read_text().replace("Restart=always", "Restart=sometimes"))
    done = subprocess.run(
        ["systemd-analyze", "verify", f"--root={installed}", "--man=no", broken.name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "sometimes" in done.stderr, "the check sees what is wrong"


def _program(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)


# --- Credentials ---


@contextmanager
def metadata(role: bytes | None = None) -> Iterator[str]:
    """An instance's metadata, which wants a token first. role: what it answers for the role."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self._answer(b"token" if self.headers.get("X-aws-ec2-metadata-token-ttl-seconds") else None)

        def do_GET(self) -> None:
            authorized = self.headers.get("X-aws-ec2-metadata-token") == "token"
            folder = self.path == "/latest/meta-data/iam/security-credentials/"
            answer = b"strongroom-enclave-a" if folder else (role or json.dumps(ROLE).encode())
            self._answer(answer if authorized else None)

        def _answer(self, body: bytes | None) -> None:
            self.send_response(401 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def fetch(url: str, target: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"STRONGROOM_METADATA": url, "http_proxy": "http://127.0.0.1:9"}
    command = ["python3", str(PARENT / "libexec/credentials"), str(target)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, umask=0o077)


def test_credentials_are_what_the_signer_reads(tmp_path: Path) -> None:
    target = tmp_path / "credentials.json"
    with metadata() as url:
        assert fetch(url, target).returncode == 0
    assert from_file(target)() == Credentials("ASIAEXAMPLE", "the secret", "the token")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600 and list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("role", [b"{}", b"[]", b"<html>", b'{"Code": "Failed"}'])
def test_old_credentials_stay_where_there_are_no_new_ones(tmp_path: Path, role: bytes) -> None:
    target = tmp_path / "credentials.json"
    target.write_text("old")
    with metadata(role) as url:
        done = fetch(url, target)
    assert done.returncode == 1 and target.read_text() == "old" and "Traceback" not in done.stderr
    assert fetch("http://127.0.0.1:9", target).returncode == 1
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


# --- What the enclave asks for ---


@dataclass
class Handing:
    """folder: of the two files, instead of /etc and /run. said: its standard error."""

    folder: Path
    said: IO[str]

    def connect(self, port: int) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(parent.TIMEOUT)
        connection.connect(f"{self.folder / 'vsock'}_{port}")
        return connection


@pytest.fixture
def handing(tmp_path: Path) -> Iterator[Handing]:
    """The program, on Unix sockets."""
    text = (PARENT / "libexec/hand").read_text()
    for old, new in (
        ("/etc/strongroom/signer.json", "signer.json"),
        ("/run/strongroom/credentials.json", "given.json"),
    ):
        assert old in text
        text = text.replace(old, str(tmp_path / new))
    program = tmp_path / "hand"
    program.write_text(text)
    command = ["python3", str(program), str(tmp_path / "vsock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        yield Handing(tmp_path, process.stderr)
        process.kill()


def test_the_enclave_is_handed_its_configuration_and_credentials(handing: Handing) -> None:
    """By the enclave's own code, as far as what it takes for its configuration."""
    configuration(handing.folder / "signer.json")
    given = init.Given.parse(parent.ask(parent.CONFIGURATION_PORT, init.MAX_CONFIGURATION, handing.connect))
    assert given.attested["name"] == "enclave-a" and given.authority is None
    for key in ("FIRST", "SECOND"):
        (handing.folder / "given.json").write_text(json.dumps({"AccessKeyId": key}))
        assert json.loads(parent.ask(parent.CREDENTIALS_PORT, 16 << 10, handing.connect)) == {"AccessKeyId": key}


def test_what_is_not_there_or_too_long_is_not_handed_over(handing: Handing) -> None:
    with pytest.raises(OSError, match="ends its answer early"):
        parent.ask(parent.CREDENTIALS_PORT, 16 << 10, handing.connect)
    assert "No such file" in handing.said.readline()
    config = handing.folder / "signer.json"
    config.write_bytes(bytes((64 << 10) + 1))
    with pytest.raises(OSError, match="ends its answer early"):
        parent.ask(parent.CONFIGURATION_PORT, init.MAX_CONFIGURATION, handing.connect)
    assert "more than 65536 bytes" in handing.said.readline()
    config.write_bytes(b"{}")
    assert parent.ask(parent.CONFIGURATION_PORT, init.MAX_CONFIGURATION, handing.connect) == b"{}"


def test_last_words_are_in_the_journal_and_move_no_terminal(handing: Handing) -> None:
    parent.tell(parent.LAST_WORDS_PORT, b"why\n\x1b[2Jclear", handing.connect)
    assert [handing.said.readline() for _ in range(2)] == ["enclave: why\n", "enclave: ?[2Jclear\n"]
    with handing.connect(parent.LAST_WORDS_PORT) as cut:
        cut.sendall((1 << 31).to_bytes(4, "big") + b"half")
    assert "ends early" in handing.said.readline()
    parent.tell(parent.LAST_WORDS_PORT, b"the end", handing.connect)
    assert handing.said.readline() == "enclave: the end\n"


# --- The enclave ---

NITRO = """#!/bin/sh
echo "$@" >>{folder}/calls
case $1 in
run-enclave) [ -e {folder}/broken ] && exit 39; touch {folder}/up;;
describe-enclaves)
    if [ -e {folder}/up ]; then
        echo '[{{"EnclaveName": "strongroom", "State": "RUNNING"}}, {{"EnclaveName": "other", "State": "RUNNING"}}]'
        [ -e {folder}/seen ] && rm {folder}/up; touch {folder}/seen
    else echo '[{{"EnclaveName": "other", "State": "RUNNING"}}]'; fi;;
esac
"""


def run_enclave(folder: Path) -> tuple[int, list[str]]:
    nitro = folder / "nitro-cli"
    nitro.write_text(NITRO.format(folder=folder))
    nitro.chmod(0o755)
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "STRONGROOM_PAUSE": "0.01"}
    command = ["python3", str(PARENT / "libexec/enclave")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr
    return done.returncode, (folder / "calls").read_text().splitlines()


def test_the_unit_lives_as_long_as_its_enclave(tmp_path: Path) -> None:
    status, calls = run_enclave(tmp_path)
    started = [call for call in calls if call.startswith("run-enclave")]
    assert status == 1 and len(started) == 1 and calls.count("describe-enclaves") == 4
    assert "--enclave-cid 16" in started[0] and "--memory 512" in started[0] and "--debug" not in started[0]


def test_a_second_enclave_of_one_signer_is_never_started(tmp_path: Path) -> None:
    (tmp_path / "up").touch()
    status, calls = run_enclave(tmp_path)
    assert status == 1 and not any(call.startswith("run-enclave") for call in calls)


def test_what_nitro_says_when_it_cannot(tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    assert run_enclave(tmp_path)[0] == 39
