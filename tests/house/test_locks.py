"""The lock files: every pin has a hash, nobody's host is named, and the trusted base leads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.house.test_distributions import FOLDERS, project

LOCKS = sorted(path for path in (ROOT / "requirements").glob("*.txt") if path.name != "workspace.txt")


def pins(lock: Path) -> dict[str, tuple[str, int]]:
    """name -> (version, number of hashes). Anything else in the file is a failure: pip would take it unhashed."""
    found: dict[str, tuple[str, int]] = {}
    text = re.sub(r"(?m)^\s*#.*\n?", "", lock.read_text()).replace("\\\n", " ")
    for line in filter(None, map(str.strip, text.splitlines())):
        match = re.fullmatch(r"([a-z0-9.-]+)==(\S+)(?: ;[^\\]*?)?((?: +--hash=sha256:[0-9a-f]{64})*)", line)
        assert match, f"{lock.name}: not a pin: {line[:80]}"
        found[match[1]] = (match[2], match[3].count("--hash"))
    return found


ALONE = ROOT / "infra" / "aws" / "requirements.txt"
"""Of checks that have an environment of their own: other versions than ours, all the more with hashes."""


@pytest.mark.parametrize("lock", [*LOCKS, ALONE], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_pin_has_a_hash(lock: Path) -> None:
    """Without --require-hashes, which refuses our editable installs, one unhashed line would pass silently."""
    locked = pins(lock)
    assert locked
    assert [name for name, (_, hashes) in locked.items() if not hashes] == []


@pytest.mark.parametrize("lock", [*LOCKS, ALONE], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_no_lock_names_a_host(lock: Path) -> None:
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|@ ", lock.read_text())


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_one_version_of_each_package_everywhere(lock: Path) -> None:
    everything = pins(ROOT / "requirements" / "dev.txt")
    assert {name: version for name, (version, _) in pins(lock).items()} == {
        name: everything[name][0] for name in pins(lock)
    }


@pytest.mark.parametrize(
    ("name", "lock"),
    [
        ("strongroom", "enclave"),
        ("strongroom-enclave", "enclave"),
        ("strongroom-hsm", "hsm"),
        ("strongroom-host", "host"),
        ("strongroom-client", "client"),
    ],
)
def test_what_a_distribution_asks_for_is_locked(name: str, lock: str) -> None:
    locked = pins(ROOT / "requirements" / f"{lock}.txt")
    asked = {re.split(r"[~=<>! ]", line)[0].lower() for line in project(name)["dependencies"]} - FOLDERS.keys()
    assert asked <= locked.keys()


def test_setup_installs_all_of_them_from_this_checkout() -> None:
    lines = (ROOT / "requirements" / "workspace.txt").read_text().split("\n")
    folders = {"." if folder == ROOT else f"./{folder.name}" for folder in FOLDERS.values()}
    assert sorted(filter(None, lines)) == sorted(f"-e {folder}" for folder in folders)


def test_our_own_names_are_never_locked_from_a_registry() -> None:
    for lock in LOCKS:
        assert not [name for name in pins(lock) if name.startswith("strongroom")]
