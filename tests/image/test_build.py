"""The image as a whole, its bill of materials, and the module that is compiled for it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from infra.enclave.image import inputs, native, sbom
from infra.enclave.image.__main__ import CMDLINE, build
from strongroom_eif.archive import archive, file
from strongroom_eif.image import Image
from strongroom_eif.measurements import extended, measure
from tests.conftest import ROOT
from tests.image.test_inputs import kernel

LOCKED = inputs.read()


def test_the_image_measures_what_it_should() -> None:
    first, second = {"init": file(b"first")}, {"usr/second": file(b"second")}
    image = build(kernel(), (first, second))
    assert Image.decode(image.encode()) == image
    boot = (kernel(), CMDLINE.encode())
    assert measure(image) == {
        "pcr0": extended(*boot, archive(first), archive(second)),
        "pcr1": extended(*boot, archive(first)),
        "pcr2": extended(archive(second)),
    }
    assert json.loads(image.metadata)["BuildMetadata"]["KernelVersion"] == "6.12.117"


def test_the_kernel_starts_the_interpreter_with_these_arguments_first() -> None:
    """What the kernel does not know becomes an argument of init, in order: nothing unknown may come before."""
    assert CMDLINE.split()[:3] == ["rdinit=/usr/bin/python3.11", "-I", "/init"]
    assert all("=" in word for word in CMDLINE.split()[3:])


# --- The bill of materials ---


def test_the_bill_is_valid_cyclonedx() -> None:
    document = json.dumps(sbom.bill(LOCKED, kernel(), ROOT))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(document) is None


def test_the_bill_has_every_input_with_its_hash() -> None:
    components = {item["purl"]: item for item in sbom.bill(LOCKED, kernel(), ROOT)["components"]}
    for package in LOCKED.packages:
        (found,) = (item for purl, item in components.items() if purl.startswith(f"pkg:deb/debian/{package.name}@"))
        assert (found["version"], found["hashes"][0]["content"]) == (package.version, package.sha256)
    assert components["pkg:pypi/botocore@1.44.5"]["hashes"][0]["content"] in {wheel.sha256 for wheel in LOCKED.wheels}
    assert components["pkg:generic/linux@6.12.117"]["hashes"][0]["content"] == hashlib.sha256(kernel()).hexdigest()
    assert any(purl.startswith("pkg:cargo/dkls23-core@") for purl in components)
    assert not any("pycparser" in purl for purl in components)


def test_the_bill_is_the_same_each_time_and_another_for_another_kernel() -> None:
    one, two = sbom.bill(LOCKED, kernel(), ROOT), sbom.bill(LOCKED, kernel(), ROOT)
    assert one == two
    assert one["serialNumber"] != sbom.bill(LOCKED, kernel(b"6.12.118\0"), ROOT)["serialNumber"]


# --- The native module, twice: minutes ---


@pytest.mark.skipif("STRONGROOM_REPRODUCE" not in os.environ, reason="compiles twice: `make reproduce`")
@pytest.mark.timeout(3600)
def test_two_folders_give_the_same_module(tmp_path: Path) -> None:
    modules = []
    for name in ("one", "a longer name"):
        shutil.copytree(ROOT / "native", tmp_path / name / "native", ignore=shutil.ignore_patterns("target"))
        modules.append(native.build(tmp_path / name, tmp_path / name / "compiled"))
    assert hashlib.sha256(modules[0]).hexdigest() == hashlib.sha256(modules[1]).hexdigest()
    assert [mark for mark in (str(tmp_path), str(Path.home()) + "/", "mirror") if mark.encode() in modules[0]] == []
