"""The lock: everything that goes into the image from elsewhere has a version and a hash, and a reason to be there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from infra.enclave.image import bzimage, fetch, inputs, native, rules
from strongroom.errors import Refusal
from tests.conftest import ROOT

LOCKED = inputs.read()
PINS = (ROOT / "requirements/enclave.txt").read_text()


def test_wheels_are_those_of_the_trusted_base() -> None:
    assert {wheel.sha256 for wheel in LOCKED.wheels} <= set(re.findall(r"sha256:([0-9a-f]{64})", PINS))
    pinned = dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", PINS, re.MULTILINE))
    assert {wheel.name.lower(): wheel.version for wheel in LOCKED.wheels} == pinned, "run `make lock`"


def test_every_package_has_a_reason_and_every_reason_a_package() -> None:
    assert {package.name for package in LOCKED.packages} == set(rules.DEBIAN), "run `make lock`"
    assert set(rules.WHEELS) <= {wheel.name.lower() for wheel in LOCKED.wheels}


def changed(**fields: Any) -> bytes:
    return json.dumps(json.loads(inputs.LOCK.read_bytes()) | fields).encode()


PACKAGE = {"name": "libc6", "version": "1", "path": "pool/main/g/glibc/libc6_1_amd64.deb", "sha256": "0" * 64}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        changed(packages=[PACKAGE | {"sha256": "0" * 63}]),
        changed(packages=[PACKAGE | {"path": "pool/main/.."}]),
        changed(packages=[PACKAGE | {"name": "../libc6"}]),
        changed(packages=[PACKAGE | {"suite": "sid"}]),
        changed(wheels=[{"file": "six.tar.gz", "sha256": "0" * 64}]),
        changed(wheels=[{"file": "six-1-py3-none-any.whl"}]),
    ],
    ids=["empty", "list", "hash", "parent-folder", "name", "unknown-field", "no-wheel", "no-hash"],
)
def test_another_lock_is_refused(data: bytes) -> None:
    with pytest.raises(Refusal) as refusal:
        inputs.Inputs.parse(data)
    assert refusal.value.code == "bad_file"


@pytest.mark.parametrize(
    ("path", "mirror", "address"),
    [
        ("pool/main/z/z.deb", "http://a/debian", "http://a/debian/pool/main/z/z.deb"),
        ("pool/updates/main/z/z.deb", "http://a/debian/", "http://a/debian-security/pool/updates/main/z/z.deb"),
        (
            "pool/updates/main/z/z.deb",
            "http://s/archive/debian/20261126T033839Z",
            "http://s/archive/debian-security/20261126T033839Z/pool/updates/main/z/z.deb",
        ),
        (
            "pool/main/z/z.deb",
            "http://s/archive/debian/20261126T033839Z",
            "http://s/archive/debian/20261126T033839Z/pool/main/z/z.deb",
        ),
    ],
    ids=["main", "security", "security-of-a-day", "main-of-a-day"],
)
def test_where_a_package_is(path: str, mirror: str, address: str) -> None:
    assert fetch.address(inputs.Package("z", "1", path, "0" * 64), mirror) == address


def test_a_file_of_other_content_is_missing(tmp_path: Path) -> None:
    (tmp_path / LOCKED.packages[0].file).write_bytes(b"something else")
    assert LOCKED.packages[0].file in fetch.missing(LOCKED, tmp_path)


# --- The native module ---


def test_no_path_of_the_builder_and_no_flag_of_theirs_reaches_the_compiler(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registry = tmp_path / "cargo/registry/src/mirror-0123"
    registry.mkdir(parents=True)
    monkeypatch.setenv("CARGO_HOME", str(tmp_path / "cargo"))
    monkeypatch.setenv("RUSTFLAGS", "-C target-cpu=native")
    monkeypatch.setenv("CFLAGS", "-march=native")
    monkeypatch.setenv("CARGO_PROFILE_RELEASE_LTO", "off")
    found = native.environment(tmp_path / "a checkout", tmp_path / "target")
    flags = found["CARGO_ENCODED_RUSTFLAGS"].split("\x1f")
    for path, name in (("a checkout", "/strongroom"), ("target", "/target"), ("cargo", "/cargo")):
        assert f"--remap-path-prefix={tmp_path / path}={name}" in flags
        assert f"-ffile-prefix-map={tmp_path / path}={name}" in shlex.split(found["CFLAGS"])
    assert f"--remap-path-prefix={registry}=/cargo/registry" in flags
    assert "native" not in found["CFLAGS"].replace(str(tmp_path), "")
    assert not {"RUSTFLAGS", "CARGO_PROFILE_RELEASE_LTO"} & found.keys()


# --- The kernel's own word ---


def kernel(words: bytes = b"6.12.117 (strongroom@strongroom) #1\0") -> bytes:
    head = bytearray(0x1000)
    head[0x202:0x206] = b"HdrS"
    head[0x20E:0x210] = (0x400).to_bytes(2, "little")
    head[0x600 : 0x600 + len(words)] = words
    return bytes(head)


def test_the_kernel_says_its_version() -> None:
    assert bzimage.version(kernel()) == "6.12.117"


@pytest.mark.parametrize(
    "data", [b"", b"ELF", kernel(b"\0"), kernel(b"\xff\0")], ids=["empty", "elf", "mute", "binary"]
)
def test_what_is_no_kernel_is_refused(data: bytes) -> None:
    with pytest.raises(Refusal) as refusal:
        bzimage.version(data)
    assert refusal.value.code == "bad_image"
