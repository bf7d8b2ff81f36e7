"""What reviews are made from: a release and its packages, the one before, and who rebuilt them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom_client import keyfiles
from strongroom_client.reviewing.rebuilds import Rebuild

KEY: Final = Ed25519PrivateKey.from_private_bytes(b"\x42" * 32)
BUILT: Final = 1_790_000_000
REGISTERS: Final = {0: b"\xa0" * 48, 1: b"\xa1" * 48, 2: b"\xa2" * 48, 4: b"\xa4" * 48, 16: b"\xb6" * 48}
"""As in evidence of the release's image."""


def described(version: str = "0.2.0", **changes: Any) -> dict[str, Any]:
    """As `strongroom-eif describe --json` writes it."""
    return {
        "version": 4,
        "architecture": "x86_64",
        "measurements": {f"pcr{index}": REGISTERS[index].hex() for index in (0, 1, 2)},
        "signed_by": None,
        "size": 50_000_000,
        "default_memory": 256 << 20,
        "default_cpus": 1,
        "cmdline": "reboot=k",
        "kernel": {"size": 2_300_000, "sha384": "0c" * 48},
        "ramdisks": [{"size": 1000, "sha384": "0d" * 48}, {"size": 2000, "sha384": "0e" * 48}],
        "metadata": {
            "ImageName": "strongroom-enclave",
            "ImageVersion": version,
            "BuildMetadata": {"BuildTime": "1970-01-01T00:00:00+00:00", "KernelVersion": "6.12.48"},
        },
        **changes,
    }


def older() -> dict[str, Any]:
    """The release before: another kernel, and so another image."""
    measurements = {f"pcr{index}": (b"\x0f" * 48).hex() for index in (0, 1, 2)}
    return described("0.1.0", measurements=measurements, kernel={"size": 2_200_000, "sha384": "01" * 48})


def component(name: str, version: str, content: str = "", kind: str = "deb/debian", **more: Any) -> dict[str, Any]:
    hashes = [{"alg": "SHA-256", "content": content}] if content else []
    purl = f"pkg:{kind}/{name}@{version}?arch=amd64"
    return {"type": "library", "name": name, "version": version, "purl": purl, "hashes": hashes, **more}


def listed(*components: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": list(components), **more}


NOW: Final = listed(
    component("libc6", "2.36-9+deb12u13", "aa"),
    component("cryptography", "50.0.1", "bb", "pypi"),
    component("libssl3", "3.0.17-1", "cc"),
    component("tzdata", "2026c", "dd"),
)
BEFORE: Final = listed(
    component("libc6", "2.36-9+deb12u12", "a0"),
    component("cryptography", "50.0.1", "bb", "pypi"),
    component("libssl3", "3.0.17-1", "c0"),
    component("zlib1g", "1.2.13", "ee"),
)


def statement(**changes: Any) -> Rebuild:
    fields: dict[str, Any] = {
        "builder": keyfiles.public(KEY),
        "release": "strongroom-enclave 0.2.0",
        "sources": "commit c0ffee",
        "tools": "Debian 12",
        "built": BUILT,
        "measurements": {f"pcr{index}": REGISTERS[index] for index in (0, 1, 2)},
    }
    return Rebuild(**(fields | changes))


def write(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value))
    return path
