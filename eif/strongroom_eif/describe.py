"""An image in words and as JSON: what is in it, what it measures, who signed it."""

from __future__ import annotations

import datetime
import hashlib
import json
from typing import Any, Final

from cryptography import x509

from strongroom_eif import signature
from strongroom_eif.image import Image, bad
from strongroom_eif.measurements import measure

MAX_METADATA: Final = 1 << 16


def metadata(name: str, version: str, *, kernel: str, operating_system: str, built: int) -> bytes:
    """AWS's form of it, so that their tools show ours. built: Unix seconds, which the sources have and no clock."""
    document = {
        "ImageName": name,
        "ImageVersion": version,
        "BuildMetadata": {
            "BuildTime": _time(built),
            "BuildTool": "strongroom-eif",
            "BuildToolVersion": version,
            "OperatingSystem": operating_system,
            "KernelVersion": kernel,
        },
        "DockerInfo": {},
        "CustomMetadata": {},
    }
    return json.dumps(document, separators=(",", ":")).encode()


def describe(image: Image) -> dict[str, Any]:
    """Raises Refusal `bad_image` for a signature of another image, or metadata that is no JSON object."""
    measured = measure(image)
    ramdisks = [_part(ramdisk) for ramdisk in image.ramdisks]
    return {
        "version": 4,
        "architecture": "aarch64" if image.arm64 else "x86_64",
        "measurements": {name: value.hex() for name, value in measured.items()},
        "signed_by": None if image.signature is None else _signer(image.signature, measured["pcr0"]),
        "size": len(image.encode()),
        "default_memory": image.memory,
        "default_cpus": image.cpus,
        "cmdline": image.cmdline.decode(),
        "kernel": _part(image.kernel),
        "ramdisks": ramdisks,
        "metadata": _metadata(image.metadata),
    }


def _part(data: bytes) -> dict[str, Any]:
    return {"size": len(data), "sha384": hashlib.sha384(data).hexdigest()}


def _signer(section: bytes, pcr0: bytes) -> dict[str, Any]:
    certificate: x509.Certificate = signature.verify(section, pcr0)
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "not_after": certificate.not_valid_after_utc.isoformat(),
        "sha256": hashlib.sha256(signature.der(certificate)).hexdigest(),
    }


def _metadata(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw) if len(raw) <= MAX_METADATA else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise bad("the metadata is no JSON object of at most 64 KiB")
    return found


def _time(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat()
