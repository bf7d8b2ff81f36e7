"""Lists of packages: what changed between two, and files that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from strongroom.errors import Refusal
from strongroom_client.reviewing import packages, release
from strongroom_client.reviewing.packages import Change
from tests.client.reviewing import BEFORE, NOW, component, described, listed, write


def load(folder: Path, value: Any) -> packages.Packages:
    return packages.load(write(folder / "list.json", value))


def test_down_to_the_package(tmp_path: Path) -> None:
    before, now = load(tmp_path, BEFORE), load(tmp_path, NOW)
    assert packages.changes(before, now) == (
        Change("deb/debian/libc6", "2.36-9+deb12u12", "2.36-9+deb12u13"),
        Change("deb/debian/libssl3", "3.0.17-1", "3.0.17-1", same_version=True),
        Change("deb/debian/tzdata", "", "2026c"),
        Change("deb/debian/zlib1g", "1.2.13", ""),
    )
    assert packages.changes(now, now) == () and packages.count(now) == 4


def test_two_ecosystems_have_packages_of_one_name(tmp_path: Path) -> None:
    one = load(tmp_path, listed(component("attrs", "1", kind="pypi"), component("attrs", "2", kind="deb/debian")))
    assert {name: each[0].version for name, each in one.items()} == {"pypi/attrs": "1", "deb/debian/attrs": "2"}


def test_several_versions_of_one_package(tmp_path: Path) -> None:
    before = load(tmp_path, listed(component("a", "2"), component("a", "1")))
    now = load(tmp_path, listed(component("a", "3"), component("a", "1")))
    assert packages.changes(before, now) == (Change("deb/debian/a", "1, 2", "1, 3"),)


def test_packages_within_packages_and_without_a_url(tmp_path: Path) -> None:
    nested = {"name": "outer", "group": "org", "components": [{"name": "inner", "version": "1"}]}
    assert set(load(tmp_path, listed(nested))) == {"org/outer", "inner"}


def test_a_hash_that_only_one_list_has_says_nothing(tmp_path: Path) -> None:
    before = load(tmp_path, listed(component("a", "1")))
    now = load(tmp_path, listed(component("a", "1", "aa")))
    assert packages.changes(before, now) == ()


def deep() -> dict[str, Any]:
    value: dict[str, Any] = {"name": "a"}
    for _ in range(packages.MAX_DEPTH + 1):
        value = {"name": "a", "components": [value]}
    return listed(value)


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        {"bomFormat": "SPDX"},
        listed() | {"components": {}},
        listed() | {"components": [7]},
        listed() | {"components": [{"version": "1"}]},
        listed() | {"components": [{"name": 7}]},
        deep(),
    ],
)
def test_what_is_no_list(tmp_path: Path, value: Any) -> None:
    with pytest.raises(Refusal) as caught:
        load(tmp_path, value)
    assert caught.value.code == "bad_file"


def test_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "MAX_PACKAGES", 3)
    with pytest.raises(Refusal, match="more than 3 packages"):
        load(tmp_path, NOW)
    monkeypatch.setattr(packages, "MAX_LIST", 100)
    with pytest.raises(Refusal, match="more than 0 MiB"):
        load(tmp_path, NOW)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a": 1, "a": 2}', "\xff"])
def test_what_is_no_json(tmp_path: Path, text: str) -> None:
    file = tmp_path / "list.json"
    file.write_text(text, encoding="latin-1")
    for read in (packages.load, release.load):
        with pytest.raises(Refusal) as caught:
            read(file)
        assert caught.value.code == "bad_file"


def test_what_a_terminal_would_obey_is_not_shown(tmp_path: Path) -> None:
    evil = listed({"name": "a\x1b[2J\u202e" + "b" * 500, "version": "1\n2"})
    [(name, [package])] = load(tmp_path, evil).items()
    assert name.isprintable() and package.version.isprintable() and len(name) <= 160


# --- Releases ---


@pytest.mark.parametrize(
    "measurements",
    [
        None,
        {},
        {"pcr0": "00"},
        {"pcr0": "a0" * 48, "pcr1": "a1" * 48},
        {"pcr0": "00" * 48, "pcr1": "a1" * 48, "pcr2": "a2" * 48},
        {"pcr0": "a0" * 47, "pcr1": "a1" * 48, "pcr2": "a2" * 48},
        {"pcr0": 7, "pcr1": "a1" * 48, "pcr2": "a2" * 48},
        {"pcr0": "zz" * 48, "pcr1": "a1" * 48, "pcr2": "a2" * 48},
        {**dict.fromkeys(("pcr0", "pcr1", "pcr2"), "a0" * 48), "pcr16": "16" * 48},
    ],
)
def test_a_release_without_an_images_measurements(tmp_path: Path, measurements: Any) -> None:
    with pytest.raises(Refusal) as caught:
        release.load(write(tmp_path / "release.json", described(measurements=measurements)))
    assert caught.value.code == "bad_file"


def test_a_release_that_says_little(tmp_path: Path) -> None:
    """Measurements are all that is needed."""
    bare = {"measurements": described()["measurements"], "ramdisks": 7, "kernel": [], "metadata": "x"}
    read = release.load(write(tmp_path / "mine.json", bare))
    assert read.name == "mine" and read.facts == {}


def test_a_release_as_the_builder_writes_it(tmp_path: Path) -> None:
    read = release.load(write(tmp_path / "x.json", described()))
    assert read.name == "strongroom-enclave 0.2.0" and json.dumps(dict(read.facts))
    assert read.facts["kernel version"] == "6.12.48" and read.facts["ramdisk 2"] == "0e" * 48
