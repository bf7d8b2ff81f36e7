"""A share that only the test knows is looked for wherever a host, or whoever is root beside it, can look."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import coincurve
import pytest

from strongroom.wallet.record import Record
from strongroom_client.cluster import HOST
from strongroom_client.cluster.cluster import Cluster
from strongroom_client.cluster.plan import KMS
from strongroom_client.cluster.process import environment, module
from strongroom_client.cluster.signers import soft_token
from strongroom_client.wallets import Verified
from strongroom_simulator.adversary import Seen
from tests.attacks.custody import ECDSA, ED25519, Custody
from tests.attacks.secrets_of import Planted, files, guises, look, memory, open_files, planted, processes
from tests.fixtures_cluster import Running

A, B, C = "enclave-1", "enclave-2", "hsm-1"


@dataclass
class Watched:
    """Two wallets, and all that passed while they were made and loaded again. traffic: as the host sees it."""

    wallets: list[Verified] = field(default_factory=list)
    traffic: list[Seen] = field(default_factory=list)


@pytest.fixture(scope="module")
def _watched() -> Watched:
    return Watched()


@pytest.fixture
def watched(live: Running, _watched: Watched) -> Watched:
    """An ECDSA and an Ed25519 wallet; since then, a signer of each kind was restarted and loaded its share."""
    if not _watched.wallets:
        _watched.wallets += [live.cluster.create_wallet(scheme) for scheme in (ECDSA, ED25519)]
        with live.cluster.api() as api:
            for name in (A, C):
                live.cluster.restart(name)
                for verified in _watched.wallets:
                    api.attestations(verified.wallet, bytes(32))
        for link in live.links.values():
            _watched.traffic += link.seen
    return _watched


@pytest.fixture
def busy(live: Running, watched: Watched) -> Cluster:
    return live.cluster


@pytest.fixture
def shares(busy: Cluster, watched: Watched) -> list[Planted]:
    """Every signer's, of both wallets."""
    database = sqlite3.connect(busy.plan.host / "host.db")
    rows = database.execute("select record from records").fetchall()
    database.close()
    wallets = {verified.body.wallet for verified in watched.wallets}
    found = [planted(busy, record) for (record,) in rows if Record.decode(record).wallet in wallets]
    assert sorted(each.signer for each in found) == [A, A, B, B, C, C]
    return found


def every_process(cluster: Cluster) -> dict[str, list[int]]:
    return {name: processes(pid) for name, pid in cluster.pids().items()}


# --- The search itself ---


def test_the_share_is_the_share(shares: list[Planted], watched: Watched) -> None:
    """What is searched for is right: times the generator, it is the signer's verification share."""
    public = set(watched.wallets[0].body.verification_shares)
    points = {coincurve.PrivateKey(each.share).public_key.format() for each in shares if _is_scalar(each.share)}
    assert public <= points


def _is_scalar(secret: bytes) -> bool:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    return 0 < int.from_bytes(secret, "big") < order


def test_the_search_finds_what_is_there(shares: list[Planted]) -> None:
    secret = shares[0].share
    for guise, needle in guises(secret).items():
        assert guise in {trace.guise for trace in look("here", b"..." + needle + b"...", secret)}


# --- Where a host can look ---


def test_no_share_in_any_file(busy: Cluster, shares: list[Planted]) -> None:
    """Database and its log, sealed records, configuration, what every program said, sockets' folder, temporary files,
    and whatever any process has open. The simulated KMS's and the token's own folders are AWS's and the HSM's."""
    own = (str(busy.plan.kms), *(str(soft_token(each).folder) for each in busy.plan.signers))
    places = [
        *((where, raw) for where, raw in files(busy.plan.directory) if not where.startswith(own)),
        *files(busy.plan.sockets),
    ]
    for pids in every_process(busy).values():
        for pid in pids:
            places += [(where, raw) for where, raw in open_files(pid) if not any(each in where for each in own)]
    assert any(where.endswith("host.db") for where, _ in places)
    assert {f"{name}.log" for name in busy.names} <= {Path(where).name for where, _ in places}
    for each in shares:
        for secret in (each.share, each.data_key):
            assert [trace for where, raw in places for trace in look(where, raw, secret)] == []


def test_no_share_in_what_passed_through_the_host(busy: Cluster, shares: list[Planted], watched: Watched) -> None:
    """Every byte of a DKG, of signings, of a restart."""
    operations = {each.call.operation for each in watched.traffic}
    assert {"dkg.start", "ceremony.step", "test.start", "wallet.load"} <= operations
    content = b"".join(part for each in watched.traffic for part in (each.call.request, each.answer or b""))
    for each in shares:
        for secret in (each.share, each.data_key):
            assert look("the wire", content, secret) == []


def test_no_share_in_environments_and_command_lines(busy: Cluster, shares: list[Planted]) -> None:
    for pids in every_process(busy).values():
        for pid in pids:
            for what in ("environ", "cmdline"):
                content = Path(f"/proc/{pid}/{what}").read_bytes()
                for each in shares:
                    for secret in (each.share, each.data_key):
                        assert look(f"{pid} {what}", content, secret) == []


def test_no_share_in_the_memory_of_anybody_else(busy: Cluster, shares: list[Planted]) -> None:
    """The host's, the KMS's, each other signer's. In its own signer's it is, which shows that the search would see it;
    there, only root may look."""
    for name, pids in every_process(busy).items():
        if name not in (*busy.names, HOST, KMS):
            continue
        seen = set()
        try:
            for pid in pids:
                for where, raw in memory(pid):
                    for each in shares:
                        if look(where, raw, each.share):
                            seen.add(each.signer)
        except PermissionError:
            assert os.geteuid() != 0 and name in busy.names, f"{name} hides what only signers hide"
            continue
        assert seen == ({name} if name in busy.names else set()), f"in the memory of {name}"


def test_no_share_in_swap(shares: list[Planted]) -> None:
    devices = [line.split()[0] for line in Path("/proc/swaps").read_text().splitlines()[1:]]
    if not devices:
        pytest.skip("this machine has no swap")
    for device in devices:
        try:
            with Path(device).open("rb") as swap:
                before = b""
                while part := swap.read(1 << 24):
                    for each in shares:
                        assert look(device, before[-64:] + part, each.share) == []
                    before = part
        except PermissionError:
            pytest.skip(f"{device} is root's")


# --- Core dumps ---


@pytest.mark.parametrize("name", [A, C])
def test_no_core_dump(breakable: Custody, name: str, tmp_path: Path) -> None:
    """A signer that crashes leaves nothing behind, whatever the machine's limits are."""
    pid = breakable.cluster.process(name).pid
    limits = Path(f"/proc/{pid}/limits").read_text()
    [core] = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    assert core.split()[4:6] == ["0", "0"]
    os.kill(pid, signal.SIGSEGV)
    died = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert died is not None and (died.si_code, died.si_status) == (os.CLD_KILLED, signal.SIGSEGV)
    breakable.cluster.restart(name)
    breakable.require_intact(breakable.wallet(ED25519))


HARDENED = """
import ctypes, resource, sys
from strongroom.schemes import harden_process
resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2) if sys.argv[1] == "root" else None
harden_process()
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), *resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_a_hardened_process_is_not_dumpable() -> None:
    """prctl(PR_GET_DUMPABLE), which a process can only ask about itself: what signers call first."""
    who = "root" if os.geteuid() == 0 else "user"
    done = subprocess.run([sys.executable, "-c", HARDENED, who], capture_output=True, check=True, text=True)
    assert done.stdout.split() == ["0", "0", "0"]


@pytest.mark.parametrize("program", ["strongroom_enclave", "strongroom_hsm"])
def test_programs_harden_themselves_before_they_read_anything(program: str, tmp_path: Path) -> None:
    """Even one whose configuration is missing has done so: it stands still at a pipe in its configuration's place."""
    pipe = tmp_path / "config.json"
    os.mkfifo(pipe)
    command = module(program, "run", "--config", pipe)
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment(), text=True) as child:
        with pipe.open("w") as config:
            limits = Path(f"/proc/{child.pid}/limits").read_text()
            [core] = [line for line in limits.splitlines() if line.startswith("Max core file size")]
            assert core.split()[4:6] == ["0", "0"]
            config.write("{}")
        _, said = child.communicate()
    assert child.returncode == 1 and "bad_configuration: " in said


# --- The PIN ---


@pytest.fixture
def pin(busy: Cluster) -> Iterator[bytes]:
    raw = soft_token(busy.plan.signer(C)).pin_file.read_bytes().strip()
    assert len(raw) >= 8
    yield raw


def test_no_pin_outside_its_file(busy: Cluster, pin: bytes) -> None:
    """Neither in an environment, nor on a command line, nor in a log, nor in configuration, nor in what is open."""
    own = str(soft_token(busy.plan.signer(C)).folder)
    for name, pids in every_process(busy).items():
        for pid in pids:
            for what in ("environ", "cmdline"):
                assert pin not in Path(f"/proc/{pid}/{what}").read_bytes(), (name, what)
            assert [where for where, raw in open_files(pid) if pin in raw and own not in where] == []
    assert [where for where, raw in files(busy.plan.directory) if pin in raw and not where.startswith(own)] == []


def test_no_pin_in_memory_between_logins(busy: Cluster, pin: bytes) -> None:
    """Of no process, not even of the one that has logged in."""
    for name, pids in every_process(busy).items():
        try:
            traces = [where for pid in pids for where, raw in memory(pid) if pin in raw]
        except PermissionError:
            assert os.geteuid() != 0 and name in busy.names
            continue
        assert traces == [], name
