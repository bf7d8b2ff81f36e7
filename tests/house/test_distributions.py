"""Eight distributions, each with its own list, its own licence and its own package alone."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

FOLDERS = {
    "strongroom": ROOT,
    "strongroom-native": ROOT / "native",
    "strongroom-enclave": ROOT / "enclave",
    "strongroom-hsm": ROOT / "hsm",
    "strongroom-host": ROOT / "host",
    "strongroom-client": ROOT / "client",
    "strongroom-simulator": ROOT / "simulator",
    "strongroom-eif": ROOT / "eif",
}
PURE = [name for name in FOLDERS if name != "strongroom-native"]


@cache
def project(name: str) -> dict[str, Any]:
    document: dict[str, Any] = tomllib.loads((FOLDERS[name] / "pyproject.toml").read_text())["project"]
    return document


def requirements(name: str) -> list[str]:
    return [re.split(r"[ ~=<>!\[;]", line)[0].lower() for line in project(name).get("dependencies", [])]


@pytest.mark.parametrize("name", FOLDERS)
def test_folder_and_name_agree(name: str) -> None:
    assert project(name)["name"] == name


@pytest.mark.parametrize("name", FOLDERS)
def test_every_distribution_needs_the_same_python(name: str) -> None:
    assert project(name)["requires-python"] == ">=3.11"


def test_programs_depend_on_the_library_and_never_on_each_other() -> None:
    ours = {name: set(requirements(name)) & FOLDERS.keys() for name in FOLDERS}
    assert ours.pop("strongroom-native") == set()
    assert ours.pop("strongroom") == {"strongroom-native"}
    assert all(needed == {"strongroom"} for needed in ours.values()), ours


@pytest.mark.parametrize("name", ["strongroom", "strongroom-enclave", "strongroom-hsm"])
def test_what_is_measured_pins_our_own_code_exactly(name: str) -> None:
    """A range would let the same signer version mean different bytes."""
    version = project("strongroom")["version"]
    pins = [line for line in project(name)["dependencies"] if line.startswith("strongroom")]
    assert pins and all(line.endswith(f"=={version}") for line in pins)


@pytest.mark.parametrize("name", FOLDERS)
def test_each_distribution_carries_the_licence(name: str) -> None:
    """Copies, because neither build backend follows a link out of its folder."""
    assert (FOLDERS[name] / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("name", PURE)
def test_a_wheel_holds_its_own_package_alone(name: str, tmp_path: Path) -> None:
    build = "import sys; from flit_core.buildapi import build_wheel; print(build_wheel(sys.argv[1]))"
    built = subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=FOLDERS[name], check=True, capture_output=True, text=True
    )
    package = name.replace("-", "_")
    with zipfile.ZipFile(tmp_path / built.stdout.strip()) as wheel:
        names = wheel.namelist()
    assert {entry.split("/")[0] for entry in names if ".dist-info/" not in entry} == {package}
    assert f"{package}/py.typed" in names
    assert any(entry.endswith("licenses/LICENSE") for entry in names)


def test_the_enclave_needs_little_from_elsewhere() -> None:
    """Each name is argued for: requirements/enclave.txt is the trusted base, and every line of it can sign."""
    outside = {
        needed for name in ("strongroom", "strongroom-enclave") for needed in requirements(name)
    } - FOLDERS.keys()
    assert outside == {"asn1crypto", "botocore", "cryptography"}


def test_the_native_module_has_the_version_that_the_library_pins() -> None:
    crate = tomllib.loads((FOLDERS["strongroom-native"] / "Cargo.toml").read_text())["package"]
    assert crate["version"] == project("strongroom")["version"]
