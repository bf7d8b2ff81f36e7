"""What runs on a parent instance: its bundle, its units, and the two small programs, against stand-ins."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import stat
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from infra.aws import bundle
from infra.enclave.parent import parent
from infra.link import link
from strongroom_enclave.credentials import Credentials, from_file
from tests.conftest import ROOT
from tests.infra.aws import configuration, first_boot
from tests.infra.link import certificate

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


def test_a_bundle_takes_the_certificates_of_a_link_and_no_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, config, output = tmp_path / "enclave.eif", configuration(tmp_path / "signer.json"), tmp_path / "bundle"
    image.write_bytes(b".eif")
    own, host = certificate(tmp_path, "enclave-a"), certificate(tmp_path, "host")
    given = ["--image", str(image), "--config", str(config), "-o", str(output)]
    assert bundle.main([*given, "--certificate", str(own), "--pin", str(host)]) == 0
    with tarfile.open(output) as archive:
        held = {name: archive.extractfile(f"parent/link/{name}") for name in ("own.crt", "host.crt")}
        assert [file and file.read() for file in held.values()] == [own.read_bytes(), host.read_bytes()]
    output.unlink()
    both = tmp_path / "both.pem"
    both.write_bytes(own.with_suffix(".key").read_bytes() + own.read_bytes())
    for wrong in (["--certificate", str(own)], ["--certificate", str(both), "--pin", str(host)]):
        assert bundle.main([*given, *wrong]) == 1
        assert "bad_file" in capsys.readouterr().err and not output.exists()


# --- Installing ---

HOST = "vpce-0a1b-2c3d.vpce-svc-0f1e.eu-central-1.vpce.amazonaws.com"


def install(folder: Path, *arguments: str, certificates: bool = True) -> tuple[int, Path]:
    """The exit code, and the root folder after the bundle's installer ran, with stand-ins for what touches the
    machine."""
    source, tools, root = folder / "parent", folder / "tools", folder / "root"
    public = {"own.crt": b"own", "host.crt": b"host"} if certificates else {}
    made = bundle.bundle(b".eif", configuration(folder / "signer.json").read_bytes(), public)
    with tarfile.open(fileobj=io.BytesIO(made)) as archive:
        archive.extractall(folder, filter="data")
    tools.mkdir()
    for name in ("useradd", "getent", "systemctl"):
        (tools / name).write_text(f'#!/bin/sh\necho {name} "$@" >>{folder}/ran\n')
        (tools / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}", "STRONGROOM_ROOT": str(root)}
    command = [str(source / "install"), *arguments]
    return subprocess.run(command, env=environment, check=False).returncode, root


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """As on a parent whose host is elsewhere."""
    status, root = install(tmp_path, "--region", "eu-central-1", "--host", HOST)
    assert status == 0
    return root


def _enabled(folder: Path) -> set[str]:
    return set((folder / "ran").read_text().split("enable --now")[1].split())


def test_everything_is_put_where_its_unit_looks(installed: Path, tmp_path: Path) -> None:
    texts = [path.read_bytes() for path in installed.rglob("*") if path.is_file()]
    assert not [text for text in texts if b"@REGION@" in text or b"@HOST@" in text]
    proxy = yaml.safe_load((installed / "etc/strongroom/vsock-proxy.yaml").read_text())
    assert proxy == {"allowlist": [{"address": "kms.eu-central-1.amazonaws.com", "port": 443}]}
    unit = (installed / "etc/systemd/system/strongroom-vsock-proxy.service").read_text()
    assert "8000 kms.eu-central-1.amazonaws.com 443" in unit
    for name in ("credentials", "enclave", "link", "parent"):
        assert (installed / "usr/libexec/strongroom" / name).stat().st_mode & 0o111
    enabled = _enabled(tmp_path)
    units = {path.name for path in (PARENT / "units").iterdir()}
    assert units - enabled == {"strongroom-host.service"}, "the host is configured by hand"
    assert enabled - units == {"nitro-enclaves-allocator.service"}


def test_the_parents_server_takes_what_its_unit_gives_it(installed: Path) -> None:
    unit = (installed / "etc/systemd/system/strongroom-parent.service").read_text()
    [command] = re.findall(r"ExecStart=(.*)", unit)
    program, *arguments = command.split()
    given = parent._parser().parse_args(arguments)
    assert (installed / program.removeprefix("/")).read_bytes() == bundle.PROGRAMS["parent"].read_bytes()
    assert (given.configuration, given.credentials) == (
        Path("/etc/strongroom/signer.json"),
        Path("/run/strongroom/credentials.json"),
    )
    assert f'CID, PROCESSORS, MEMORY = "{given.cid}"' in (PARENT / "libexec/enclave").read_text()
    assert (
        given.kms is None
        and "vsock-proxy.yaml 8000 kms."
        in (installed / "etc/systemd/system/strongroom-vsock-proxy.service").read_text()
    )


@pytest.mark.parametrize("end", ["dial", "listen"])
def test_each_end_of_a_link_takes_what_its_unit_gives_it(installed: Path, end: str) -> None:
    folder = REVIEWER if end == "listen" else installed / "etc/systemd/system"
    unit = (folder / f"strongroom-link-{end}.service").read_text()
    [command] = re.findall(r"ExecStart=(.*)", unit)
    [(secret, where)] = re.findall(r"LoadCredential=(.*):(.*)", unit)
    program, *arguments = command.replace("${CREDENTIALS_DIRECTORY}", "/credentials").split()
    given = link._parser().parse_args(arguments)
    assert program == "/usr/libexec/strongroom/link" and given.end == end
    assert given.key == Path("/credentials") / secret
    if end == "dial":
        assert (given.host, given.signer) == (f"{HOST}:5443", "vsock:16:5000")
        for path in (given.pin, given.certificate):
            assert (installed / str(path).removeprefix("/")).exists()
        assert f">{where}\n" in first_boot()
    else:
        assert f"RuntimeDirectory={given.sockets.name}\nRuntimeDirectoryMode=0700" in unit


def test_without_a_host_elsewhere_there_is_no_link(tmp_path: Path) -> None:
    status, root = install(tmp_path, "--region", "eu-central-1", "--host", "", certificates=False)
    assert status == 0 and not (root / "etc/strongroom/link").exists()
    assert "strongroom-link-dial.service" not in _enabled(tmp_path)


def test_a_link_without_certificates_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    status, root = install(tmp_path, "--region", "eu-central-1", "--host", HOST, certificates=False)
    assert status == 2 and not root.exists() and not (tmp_path / "ran").exists()


def test_an_enclave_fits_into_what_the_allocator_gives() -> None:
    given = yaml.safe_load((PARENT / "allocator.yaml").read_text())
    program = (PARENT / "libexec/enclave").read_text()
    found = re.search(r'CID, PROCESSORS, MEMORY = "(\d+)", "(\d+)", "(\d+)"', program)
    assert found and given == {"memory_mib": int(found[3]), "cpu_count": int(found[2])}
    assert "debug" not in program.replace("Never in debug mode", "")


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("", ""),
        ("eu-central-1; rm -rf /", ""),
        ("EU", ""),
        ("@REGION@", ""),
        ("eu-central-1", "a/b"),
        ("eu-central-1", "a b"),
    ],
)
def test_a_region_or_a_host_that_is_none(tmp_path: Path, region: str, host: str) -> None:
    assert install(tmp_path, "--region", region, "--host", host)[0] == 2
    assert not (tmp_path / "ran").exists()


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
