"""What is in the image, what is not, and that everybody's is the same. Wants what `make eif` fetches."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from infra.enclave.image import bytecode, rules
from infra.enclave.image.__main__ import INPUTS, MEMORY
from strongroom_eif.archive import archive
from tests.conftest import ROOT
from tests.image.conftest import Layers

LIMIT = 60_000_000


def test_it_is_small(layers: Layers) -> None:
    size = len(archive(layers.base)) + len(archive(layers.own))
    assert size < LIMIT - 4_000_000, f"{size / 1e6:.1f} MB, and the kernel takes some three more"
    assert MEMORY == 256


def test_the_only_program_is_the_interpreter(layers: Layers) -> None:
    programs = {
        name
        for name, entry in layers.whole.items()
        if stat.S_ISREG(entry.mode) and entry.data[:4] == b"\x7fELF" and ".so" not in PurePosixPath(name).name
    }
    assert programs == {bytecode.INTERPRETER}
    scripts = {name for name, entry in layers.whole.items() if stat.S_ISREG(entry.mode) and entry.data[:2] == b"#!"}
    assert scripts == set()


@pytest.mark.parametrize(
    "name",
    ["sh", "bash", "dash", "busybox", "apt", "dpkg", "pip", "setuptools", "ensurepip", "venv", "gcc",
     "pytest", "unittest", "test", "tests", "pdb.pyc", "pydoc.pyc", "distutils", "__pycache__", "idlelib",
     "strongroom_simulator", "strongroom_host", "strongroom_hsm", "strongroom_client", "strongroom_eif"],
)  # fmt: skip
def test_nothing_of_this_name_is_in_it(layers: Layers, name: str) -> None:
    assert [path for path in layers.whole if name in PurePosixPath(path).parts] == []


def test_no_source_and_no_mark_of_the_builder(layers: Layers, native: bytes) -> None:
    assert [name for name in layers.whole if name.endswith((".py", ".pyi", ".c", ".h"))] == []
    marks = [str(ROOT).encode(), str(Path.home()).encode() + b"/", b"/tmp/"]
    for name, entry in layers.whole.items():
        if name.startswith(f"{rules.PACKAGES}/strongroom") and entry.data != native:
            assert [mark for mark in marks[:2] if mark in entry.data] == [], name


def test_every_library_that_something_is_linked_against_is_there(layers: Layers, tmp_path: Path) -> None:
    bytecode.unpack(layers.whole, tmp_path)
    there = {PurePosixPath(name).name for name in layers.whole}
    for name, entry in layers.whole.items():
        if entry.data[:4] == b"\x7fELF":
            shown = subprocess.run(["readelf", "-d", str(tmp_path / name)], capture_output=True, text=True, check=True)
            assert set(re.findall(r"NEEDED.*\[(.+)\]", shown.stdout)) <= there, name


IMPORTS = """
import importlib, json, pkgutil, sys
sys.path.append(sys.argv[1] + "/usr/lib/python3/dist-packages")
import strongroom, strongroom_enclave
for package in (strongroom, strongroom_enclave):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
import botocore.session, encodings.idna
client = botocore.session.Session().create_client(
    "kms", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="y")
files = {name: getattr(module, "__file__", None) or sys.argv[1] for name, module in sys.modules.items()}
foreign = [name for name, file in files.items() if not file.startswith(sys.argv[1])]
print(json.dumps([client.meta.endpoint_url, foreign, sorted(sys.modules)]))
"""


def test_the_image_has_all_that_its_programs_import(layers: Layers, tmp_path: Path) -> None:
    """Its own interpreter, loader and libraries, and nothing else of this machine."""
    bytecode.unpack(layers.whole, tmp_path)
    root = tmp_path.resolve()
    ran = subprocess.run(
        bytecode.command(root, "-c", IMPORTS, str(root)), capture_output=True, text=True, env={"HOME": "/"}, check=False
    )
    assert ran.returncode == 0, ran.stderr
    address, foreign, modules = json.loads(ran.stdout)
    assert (address, foreign) == ("https://kms.eu-central-1.amazonaws.com", [])
    assert "strongroom_enclave.init" in modules


AGAIN = """
import hashlib, json, sys
from pathlib import Path
from infra.enclave.image import inputs, rootfs
from infra.enclave.image.__main__ import INPUTS
from strongroom_eif.archive import archive
layers = rootfs.ramdisks(inputs.read(), Path(sys.argv[1]), Path.cwd(), Path(sys.argv[2]).read_bytes())
print(json.dumps([hashlib.sha384(archive(layer)).hexdigest() for layer in layers]))
"""


def test_another_folder_day_and_machine_give_the_same_bytes(layers: Layers, native: bytes, tmp_path: Path) -> None:
    """A copy elsewhere, whose files have other times and rights, built under another clock, language and hash seed."""
    elsewhere = tmp_path / "another folder"
    for folder in ("strongroom", "enclave", "eif", "infra"):
        shutil.copytree(ROOT / folder, elsewhere / folder, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    shutil.copy(ROOT / "LICENSE", elsewhere)
    for path in elsewhere.rglob("*.py"):
        path.chmod(0o600)
        os.utime(path, (1, 1))
    (tmp_path / "module").write_bytes(native)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "TZ": "Pacific/Kiritimati",
        "LC_ALL": "C",
        "PYTHONHASHSEED": "4321",
        "PYTHONPATH": f"{elsewhere}:{elsewhere / 'enclave'}:{elsewhere / 'eif'}",
        "SOURCE_DATE_EPOCH": "1234567890",
        "TMPDIR": str(tmp_path),
    }
    ran = subprocess.run(
        [sys.executable, "-c", AGAIN, str(INPUTS), str(tmp_path / "module")],
        cwd=elsewhere,
        env=environment,
        umask=0o077,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    ours = [hashlib.sha384(archive(layer)).hexdigest() for layer in (layers.base, layers.own)]
    assert json.loads(ran.stdout) == ours


def test_the_first_ramdisk_knows_nothing_of_strongroom(layers: Layers) -> None:
    """So that PCR1 stays through a release that changes Strongroom alone."""
    assert [name for name in layers.base if "strongroom" in name] == []
    assert set(layers.base) & set(layers.own) == set()
