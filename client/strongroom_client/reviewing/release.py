"""A named release: what its image measures, as `strongroom-eif build --json` and `describe --json` write it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from strongroom.errors import Refusal
from strongroom.evidence.nitro import PCR_SIZE
from strongroom_client.reviewing.files import read_object, shown

MAX_RELEASE: Final = 4 << 20
IMAGE: Final = ("pcr0", "pcr1", "pcr2")
"""The registers of every image; one that is signed has pcr8 too."""
SIGNED: Final = "pcr8"


@dataclass(frozen=True)
class Release:
    """measurements: pcr0 to pcr2, and pcr8 of a signed image; 48 bytes each. facts: what else the file says of the
    image, by name, in words: nobody measures how the file puts it. sources: the commit, where the file names one.
    as_locked: whether it says that the toolchain was the lock's; another one gives other bytes."""

    name: str
    measurements: Mapping[str, bytes]
    facts: Mapping[str, str]
    sources: str = ""
    as_locked: bool = True

    @property
    def rebuilt(self) -> Mapping[str, bytes]:
        """What whoever builds the same sources must get; the signature is the publisher's alone."""
        return {name: self.measurements[name] for name in IMAGE}


def load(path: Path) -> Release:
    """Raises Refusal `bad_file`."""
    document = read_object(path, MAX_RELEASE)
    metadata = _object(document.get("metadata"))
    name, version = metadata.get("ImageName", path.stem), metadata.get("ImageVersion", "")
    made = _object(document.get("made_with"))
    return Release(
        shown(f"{name} {version}".strip()),
        measurements(document.get("measurements"), str(path)),
        _facts(document),
        sources=shown(str(made.get("source", ""))),
        as_locked=made.get("as_locked", True) is True,
    )


def measurements(value: Any, where: str) -> dict[str, bytes]:
    """Raises Refusal `bad_file` unless pcr0 to pcr2 are there, and at most pcr8 beside them, each one once boot."""
    named = _object(value)
    if not set(IMAGE) <= set(named) <= {*IMAGE, SIGNED}:
        raise Refusal("bad_file", f"{where} has measurements other than {', '.join(IMAGE)} and, if signed, {SIGNED}")
    read = {name: _register(each, f"{where}: {name}") for name, each in sorted(named.items())}
    if not any(read["pcr0"]):
        raise Refusal("bad_file", f"{where}: pcr0 is zero, as of every enclave in debug mode: no release has that")
    return read


def _register(value: Any, where: str) -> bytes:
    try:
        raw = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        raw = b""
    if len(raw) != PCR_SIZE:
        raise Refusal("bad_file", f"{where} is not {PCR_SIZE} bytes in hexadecimal")
    return raw


def _facts(document: Mapping[str, Any]) -> dict[str, str]:
    build = _object(_object(document.get("metadata")).get("BuildMetadata"))
    signer, ramdisks = _object(document.get("signed_by")), document.get("ramdisks")
    found = {
        "architecture": document.get("architecture"),
        "size": document.get("size"),
        "command line": document.get("cmdline"),
        "kernel": _object(document.get("kernel")).get("sha384"),
        "kernel version": build.get("KernelVersion"),
        "built for the time": build.get("BuildTime"),
        "build tool": build.get("BuildToolVersion"),
        "signed by": signer.get("subject"),
        "signing certificate": signer.get("sha256"),
    }
    made = _object(document.get("made_with"))
    found["sources"] = made.get("source")
    found |= {f"built with {name}": version for name, version in _object(made.get("toolchain")).items()}
    for number, ramdisk in enumerate(ramdisks if isinstance(ramdisks, list) else [], 1):
        found[f"ramdisk {number}"] = _object(ramdisk).get("sha384")
    return {name: shown(str(value)) for name, value in found.items() if value is not None}


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
