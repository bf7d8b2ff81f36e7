"""The registers that an enclave of this checkout would have at boot.

In AWS, PCR0 to 2 measure the image. Here they measure the very files that the interpreter would load: found through
importlib, never imported.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

PCR_SIZE: Final = 48
ROLE: Final = "arn:aws:iam::000000000000:role/strongroom-simulated"

_APPLICATION: Final = ("strongroom", "strongroom_enclave")
_PLATFORM: Final = ("strongroom_native",)


def extend(register: bytes, data: bytes) -> bytes:
    return hashlib.sha384(register + data).digest()


def measurements(*, role: str, instance: str, release: bytes | None, variant: str = "") -> dict[int, bytes]:
    """PCR0-4 and 8 by index. release: DER of the certificate that signed the image, or None for an unsigned one.
    variant: what tells an image from another that is made of the same files, so that a next release can be had of them.

    PCR3, 4 and 8 follow AWS's rule (Nitro Enclaves user guide, "Where to find an enclave's measurements").
    """
    platform = _measure(_PLATFORM, sys.version.encode())
    application = _measure(_APPLICATION, variant.encode())
    zero = bytes(PCR_SIZE)
    return {
        0: extend(extend(zero, platform), application),
        1: extend(zero, platform),
        2: extend(zero, application),
        3: extend(zero, role.encode()),
        4: extend(zero, instance.encode()),
        8: zero if release is None else extend(zero, hashlib.sha384(release).digest()),
    }


def _measure(packages: tuple[str, ...], seed: bytes) -> bytes:
    digest = extend(bytes(PCR_SIZE), seed)
    for package in packages:
        for name, content in _files(package):
            digest = extend(digest, hashlib.sha384(name.encode()).digest() + hashlib.sha384(content).digest())
    return digest


def _files(package: str) -> Iterator[tuple[str, bytes]]:
    spec = find_spec(package)
    if spec is None:
        raise FileNotFoundError(f"{package} is not installed, so it cannot be measured")
    if not spec.submodule_search_locations:
        path = Path(str(spec.origin))
        yield f"{package}/{path.name}", path.read_bytes()
        return
    folder = Path(spec.submodule_search_locations[0])
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield f"{package}/{path.relative_to(folder).as_posix()}", path.read_bytes()
