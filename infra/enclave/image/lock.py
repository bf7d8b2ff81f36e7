"""Renews `inputs.json`: the newest packages of one Debian release, wheels of requirements/enclave.txt, the compilers.

`python -m infra.enclave.image.lock`, by `make lock`. It reads the archive's signed lists with an apt of its own, so the
machine's sources do not matter; the machine needs `debian-archive-keyring`.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from infra.enclave.image import fetch, native
from infra.enclave.image.inputs import LOCK, Package, wheel_name
from infra.enclave.image.rules import DEBIAN

RELEASE: Final = "bookworm"
KEYRING: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"
REQUIREMENTS: Final = Path("requirements/enclave.txt")
_SUITES: Final = ((RELEASE, ""), (f"{RELEASE}-updates", ""), (f"{RELEASE}-security", "-security"))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        packages = _packages(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        fetch.download(REQUIREMENTS, Path(folder))
        found = sorted(Path(folder).iterdir(), key=lambda path: path.name.lower())
        wheels = [{"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in found]
    for wheel in wheels:
        wheel_name(wheel["file"])
    fields = {
        "release": RELEASE,
        "archived": datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ"),
        "packages": [dataclasses.asdict(package) for package in packages],
        "wheels": wheels,
        "toolchain": native.toolchain(),
    }
    LOCK.write_text(json.dumps(fields, indent=1) + "\n")


def _packages(folder: Path) -> list[Package]:
    apt = _private_apt(folder)
    subprocess.run(["apt-get", *apt, "-qq", "update"], check=True)
    return [_newest(apt, name) for name in sorted(DEBIAN)]


def _private_apt(folder: Path) -> list[str]:
    sources = folder / "sources.list"
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    folder.chmod(0o755)
    sources.write_text(
        "".join(f"deb [signed-by={KEYRING}] {fetch.MIRROR}{area} {suite} main\n" for suite, area in _SUITES)
    )
    settings = {
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "APT::Architecture": "amd64",
        "APT::Architectures": "amd64",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def _newest(apt: list[str], name: str) -> Package:
    shown = subprocess.run(["apt-cache", *apt, "--no-all-versions", "show", name], check=True, capture_output=True)
    fields = dict(re.findall(r"^(Version|Filename|SHA256): (.+)$", shown.stdout.decode(), re.MULTILINE))
    return Package(name, fields["Version"], fields["Filename"], fields["SHA256"])


if __name__ == "__main__":
    main()
