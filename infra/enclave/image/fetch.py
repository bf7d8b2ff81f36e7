"""Brings the locked inputs into a folder, each checked against its hash. What is there already is not fetched again.

Debian's packages come by apt's own transport, wheels by pip, so that mirrors and proxies are those of the machine.
An archive drops a version when the next one comes; STRONGROOM_DEBIAN_MIRROR then names one that keeps every day,
for instance `http://snapshot.debian.org/archive/debian/20261126T033839Z`: the day that the lock calls `archived`.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from infra.enclave.image.inputs import Inputs, Package, Wheel
from strongroom.errors import Refusal

MIRROR: Final = "http://deb.debian.org/debian"
_HELPER: Final = "/usr/lib/apt/apt-helper"

PLATFORMS: Final = tuple(
    f"{name}_x86_64"
    for name in ("manylinux_2_34", "manylinux_2_31", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
)
"""What wheels may ask of the image: its C library is Debian 12's, 2.36."""


def missing(inputs: Inputs, folder: Path) -> list[str]:
    """Names of the files that are not there, or are not what the lock says."""
    return [item.file for item in inputs.files if not _is(folder / item.file, item.sha256)]


def fetch(inputs: Inputs, folder: Path) -> None:
    """Raises Refusal `bad_file` where something cannot be had."""
    folder.mkdir(parents=True, exist_ok=True)
    for package in inputs.packages:
        if not _is(folder / package.file, package.sha256):
            _debian(package, folder / package.file)
    wheels = [wheel for wheel in inputs.wheels if not _is(folder / wheel.file, wheel.sha256)]
    if wheels:
        _wheels(wheels, folder)
    if left := missing(inputs, folder):
        raise Refusal("bad_file", f"what came is not what the lock names: {', '.join(left)}")


def _is(path: Path, sha256: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def address(package: Package, mirror: str) -> str:
    """Where a package is. The security archive is beside the other one, and has its own path in an archive of days."""
    if package.path.startswith("pool/updates/"):
        mirror = re.sub(r"(/[0-9]{8}T[0-9]{6}Z)?$", r"-security\1", mirror.rstrip("/"), count=1)
    return f"{mirror.rstrip('/')}/{package.path}"


def _debian(package: Package, path: Path) -> None:
    source = address(package, os.environ.get("STRONGROOM_DEBIAN_MIRROR") or MIRROR)
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    _run([_HELPER, "download-file", source, str(part), f"SHA256:{package.sha256}"], package.file)
    part.replace(path)


def _wheels(wheels: Sequence[Wheel], folder: Path) -> None:
    """pip takes of each version only the file whose hash it is given."""
    list_ = folder / "wheels.txt"
    list_.write_text("".join(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in wheels))
    download(list_, folder)


def download(requirements: Path, folder: Path) -> None:
    """requirements: every line with hashes."""
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    tags = ["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "abi3", "--abi", "none"]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    only = ["--only-binary", ":all:", "--require-hashes", *tags, *platforms]
    _run([*pip, *only, "--requirement", str(requirements), "--dest", str(folder)], requirements.name)


def _run(command: Sequence[str], what: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise Refusal("bad_file", f"{command[0]} is not here: Debian and Ubuntu have it with apt") from None
    except subprocess.CalledProcessError as error:
        words = error.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise Refusal("bad_file", f"{what} cannot be had: {words[0]}") from None
