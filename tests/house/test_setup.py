"""infra/setup on machines that lack something. apt-get is a stub on a PATH of its own: nothing is installed here."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT

TOOLS = ("awk", "bash", "env", "grep", "head", "sed", "sort", "tail", "uname")


class Machine:
    """A PATH of stubs. `log` holds what apt-get was asked for."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.lib = folder / "lib"
        self.log = folder / "apt.log"
        self.bin.mkdir()
        self.log.touch()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(str(shutil.which(tool)))
        (self.bin / "python3").symlink_to(sys.executable)
        for tool in ("git", "make", "cc", "node", "npm", "cargo", "cpio", "softhsm2-util", "chromium", "spin"):
            self.has(tool, "")
        self.has("rustc", "echo rustc 1.95.0")
        self.has("id", "echo 1000")
        self.packages(rustc="1.63.0", **{"rustc-web": "1.96.0+dfsg1"})
        self.has(
            "apt-get",
            f"""echo "$*" >> '{self.log}'
            case "$*" in *--print-uris*) echo "'somewhere' x.deb 41500000" ;; esac""",
        )

    def has(self, tool: str, script: str) -> None:
        path = self.bin / tool
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)

    def packages(self, **versions: str) -> None:
        """What apt knows, by name."""
        policy = "".join(f'{name}) echo "  Candidate: {version}" ;; ' for name, version in versions.items())
        names = "\n".join(versions)
        answers = f"""policy) case "$2" in {policy} esac ;; pkgnames) printf '{names}\n' ;;"""
        self.has("apt-cache", f'case "$1" in {answers} esac')

    def rust(self, version: str) -> Path:
        """Rust beside the plain one, as Ubuntu's versioned packages install it."""
        folder = self.lib / f"rust-{version}" / "bin"
        folder.mkdir(parents=True)
        for tool in ("rustc", "cargo"):
            (folder / tool).write_text(f"#!/bin/bash\necho {tool} {version}.1\n")
            (folder / tool).chmod(0o755)
        return folder

    def lacks(self, *tools: str) -> None:
        for tool in tools:
            (self.bin / tool).unlink()

    def setup(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(ROOT / "infra" / "setup")],
            env={"PATH": str(self.bin), "HOME": "/nonexistent", "STRONGROOM_RUST_LIB": str(self.lib), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_nothing_missing_is_silent_and_quick(machine: Machine) -> None:
    begin = time.monotonic()
    done = machine.setup()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.monotonic() - begin < 2
    assert machine.log.read_text() == ""


def test_without_root_it_prints_the_line_and_installs_nothing(machine: Machine) -> None:
    machine.lacks("softhsm2-util", "cc")
    done = machine.setup()
    assert done.returncode == 1
    assert "SoftHSM" in done.stderr and "a C compiler" in done.stderr
    assert "apt-get update && apt-get install --no-install-recommends gcc libc6-dev softhsm2" in done.stderr
    assert "42 MB" in done.stderr
    assert "-y" not in machine.log.read_text().split()


def test_any_chromium_will_do(machine: Machine) -> None:
    machine.lacks("chromium")
    machine.has("google-chrome", "")
    assert machine.setup().returncode == 0


def test_as_root_it_says_what_and_how_much_then_installs(machine: Machine) -> None:
    machine.has("id", "echo 0")
    machine.lacks("rustc", "cargo")
    # What the packages bring, so that the second look finds it.
    brings = f"""
        case "$*" in *-y*) for tool in rustc cargo; do
            printf '#!/bin/bash\\necho rustc 1.96.0\\n' > '{machine.bin}'/$tool
            /bin/chmod +x '{machine.bin}'/$tool
        done ;; esac"""
    machine.has("apt-get", (machine.bin / "apt-get").read_text() + brings)
    done = machine.setup()
    assert done.returncode == 0, done.stderr
    assert "Installing with apt, about 42 MB to download: rustc-web cargo-web" in done.stderr
    asked = machine.log.read_text().splitlines()
    assert asked[0] == "update -qq"
    assert asked[-1].endswith("-y rustc-web cargo-web")


def test_an_installation_that_does_not_help_ends_in_words(machine: Machine) -> None:
    machine.has("id", "echo 0")
    machine.lacks("npm")
    done = machine.setup()
    assert done.returncode == 1
    assert "It still does after installing" in done.stderr


def test_an_old_rust_under_rustup_is_updated_by_rustup(machine: Machine) -> None:
    machine.has("id", "echo 0")
    machine.has("rustc", "echo rustc 1.70.0")
    machine.has("rustup", "")
    done = machine.setup()
    assert done.returncode == 1
    assert "found 1.70" in done.stderr and "rustup update stable" in done.stderr
    assert machine.log.read_text() == ""


def test_where_no_package_has_a_recent_rust_it_says_how(machine: Machine) -> None:
    machine.lacks("rustc")
    machine.packages(rustc="1.75.0")
    done = machine.setup()
    assert done.returncode == 1
    assert "install it with rustup" in done.stderr
    # Ubuntu, should its versioned packages ever be too old.
    machine.packages(rustc="1.75.0", rustup="1.26.0", **{"rustc-1.85": "1.85.1"})
    done = machine.setup()
    assert done.returncode == 1
    assert "apt-get install rustup && rustup default stable" in done.stderr


UBUNTU = {
    "rustc": "1.75.0+dfsg0ubuntu1-0ubuntu7",
    "rustup": "1.26.0-3",
    "rustc-1.80": "1.80.1+dfsg0ubuntu1",
    "rustc-1.89": "1.89.0+dfsg~24.04",
    "rustc-1.9": "1.9.0",
}


def test_ubuntu_has_a_recent_rust_beside_the_plain_one(machine: Machine) -> None:
    machine.has("rustc", "echo rustc 1.75.0")
    machine.packages(**UBUNTU)
    done = machine.setup()
    assert done.returncode == 1
    assert "Rust 1.88 or newer with cargo (found 1.75)" in done.stderr
    assert "apt-get install --no-install-recommends rustc-1.89 cargo-1.89" in done.stderr


def test_the_rust_beside_the_plain_one_is_found_once_it_is_there(machine: Machine) -> None:
    machine.has("rustc", "echo rustc 1.75.0")
    machine.packages(**UBUNTU)
    machine.rust("1.80")
    assert machine.setup().returncode == 1
    for version in ("1.89", "1.91"):
        machine.rust(version)
    done = machine.setup()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def rust_folder(machine: Machine) -> str:
    environment = {"PATH": str(machine.bin), "STRONGROOM_RUST_LIB": str(machine.lib)}
    done = subprocess.run([str(ROOT / "infra/rust")], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_only_where_the_plain_rust_is_too_old_is_another_put_before_it(machine: Machine) -> None:
    newest = machine.rust("1.91")
    machine.rust("1.89")
    assert rust_folder(machine) == ""
    machine.has("rustc", "echo rustc 1.75.0")
    assert rust_folder(machine) == str(newest)
    (newest / "cargo").unlink()
    assert rust_folder(machine) == str(machine.lib / "rust-1.89" / "bin")
    machine.lacks("rustc")
    assert rust_folder(machine) == str(machine.lib / "rust-1.89" / "bin")


def test_an_old_python_is_refused_with_the_way_out(machine: Machine) -> None:
    machine.has("old-python", "echo 3.10")
    done = machine.setup(PYTHON="old-python")
    assert done.returncode == 1
    assert "old-python is 3.10" in done.stderr and "make PYTHON=" in done.stderr


@pytest.mark.parametrize(("system", "processor"), [("Darwin", "arm64"), ("Linux", "riscv64")])
def test_another_platform_is_refused_in_words(machine: Machine, system: str, processor: str) -> None:
    machine.has("uname", f'case "$1" in -s) echo {system} ;; -m) echo {processor} ;; esac')
    done = machine.setup()
    assert done.returncode == 1
    assert f"this is {system} {processor}" in done.stderr


def test_without_apt_the_list_is_all_it_can_give(machine: Machine) -> None:
    machine.lacks("apt-get", "make")
    done = machine.setup()
    assert done.returncode == 1
    assert "  - make" in done.stderr and "no apt-get" in done.stderr
