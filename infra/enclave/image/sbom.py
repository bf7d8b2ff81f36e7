"""What the image is made of, as CycloneDX 1.6: Debian's packages, wheels, crates, the kernel, and Strongroom.

Source: https://cyclonedx.org/docs/1.6/json/. The same inputs give the same bytes: no clock, no random serial number.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
import uuid
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from infra.enclave.image import bzimage, rules
from infra.enclave.image.inputs import Inputs

_OWN: Final = ("strongroom", "strongroom-native", "strongroom-enclave")
_ROOT: Final = "strongroom-enclave-image"


def bill(inputs: Inputs, kernel: bytes, checkout: Path) -> dict[str, Any]:
    version = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]["version"]
    components = [
        *_debian(inputs),
        *_wheels(inputs),
        *_crates(checkout / "native/Cargo.lock"),
        *(_component(name, version, f"pkg:generic/{name}@{version}", description="this checkout's") for name in _OWN),
        _kernel(kernel),
    ]
    components.sort(key=lambda component: component["bom-ref"])
    root = _component(_ROOT, version, f"pkg:generic/{_ROOT}@{version}", kind="operating-system")
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": root},
        "components": components,
        "dependencies": [{"ref": root["bom-ref"], "dependsOn": [item["bom-ref"] for item in components]}],
    }
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    return document | {"serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}"}


def _debian(inputs: Inputs) -> list[dict[str, Any]]:
    return [
        _component(
            package.name,
            package.version,
            f"pkg:deb/debian/{package.name}@{quote(package.version, safe='')}?arch=amd64&distro={inputs.release}",
            sha256=package.sha256,
            description=rules.DEBIAN[package.name].why,
        )
        for package in inputs.packages
    ]


def _wheels(inputs: Inputs) -> list[dict[str, Any]]:
    return [
        _component(
            wheel.name,
            wheel.version,
            f"pkg:pypi/{wheel.name.lower()}@{quote(wheel.version, safe='')}",
            sha256=wheel.sha256,
            description=rules.WHEELS[wheel.name.lower()].why,
        )
        for wheel in inputs.wheels
        if wheel.name.lower() in rules.WHEELS
    ]


def _crates(lock: Path) -> list[dict[str, Any]]:
    """Every crate that is locked. Some only build or test: cargo alone knows which, and the lock is what is audited."""
    return [
        _component(
            crate["name"],
            crate["version"],
            f"pkg:cargo/{crate['name']}@{quote(crate['version'], safe='')}",
            sha256=crate["checksum"],
        )
        for crate in tomllib.loads(lock.read_text())["package"]
        if "checksum" in crate
    ]


def _kernel(kernel: bytes) -> dict[str, Any]:
    version = bzimage.version(kernel)
    return _component(
        "linux",
        version,
        f"pkg:generic/linux@{quote(version, safe='')}",
        kind="operating-system",
        sha256=hashlib.sha256(kernel).hexdigest(),
        description="Debian's linux-source under infra/enclave/kernel's configuration; the hash is the bzImage's",
    )


def _component(
    name: str, version: str, purl: str, *, kind: str = "library", sha256: str = "", description: str = ""
) -> dict[str, Any]:
    component: dict[str, Any] = {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl}
    if sha256:
        component["hashes"] = [{"alg": "SHA-256", "content": sha256}]
    if description:
        component["description"] = description
    return component
