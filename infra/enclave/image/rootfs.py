"""The image's two ramdisks, as entries by path: what others made (PCR1), and Strongroom itself (PCR2).

The kernel unpacks both into one root. A release that changes Strongroom alone leaves PCR1 as it was; PCR0 is both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from infra.enclave.image import bytecode, rules, unpack
from infra.enclave.image.inputs import Inputs
from infra.enclave.image.native import MODULE
from strongroom.errors import Refusal
from strongroom_eif.archive import DIRECTORY, Entry, character, file, link

LICENCES: Final = "usr/share/licenses"
OWN: Final = {"strongroom": "strongroom", "strongroom_enclave": "enclave/strongroom_enclave"}
"""Package and its folder in the checkout."""

_INIT: Final = b"""from strongroom_enclave.init import main

main()
"""
_LICENCE: Final = re.compile(
    r"[^/]+\\.dist-info/(?:licenses/)?((?:LICEN[CS]E|COPYING|NOTICE|AUTHORS)[^/]*)", re.IGNORECASE
)


def ramdisks(inputs: Inputs, folder: Path, checkout: Path, native: bytes) -> tuple[dict[str, Entry], dict[str, Entry]]:
    """folder: has the inputs. native: the module's bytes. Raises Refusal `bad_file`."""
    base, own = bytecode.compiled(foundation(inputs, folder), program(checkout, native))
    return base, own


def foundation(inputs: Inputs, folder: Path) -> dict[str, Entry]:
    """Debian's packages, wheels, and the few files that are nobody's."""
    entries = dict(SKELETON)
    for package in inputs.packages:
        _add(entries, _package(package.name, dict(unpack.debian(folder / package.file))))
    for wheel in inputs.wheels:
        _add(entries, _wheel(wheel.name.lower(), dict(unpack.wheel(folder / wheel.file))))
    return entries


SKELETON: Final[Mapping[str, Entry]] = {
    "init": file(_INIT),
    # The kernel opens it before init runs; the rest of /dev it makes itself.
    "dev/console": character(5, 1),
    "dev/null": character(1, 3, 0o666),
    "proc": DIRECTORY,
    "run": DIRECTORY,
    "tmp": DIRECTORY,
    # Names resolve from this file alone, and init writes the one name that there is.
    "etc/hosts": link("/run/hosts"),
    "etc/nsswitch.conf": file(b"hosts: files\npasswd: files\ngroup: files\n"),
}


def program(checkout: Path, native: bytes) -> dict[str, Entry]:
    entries = {f"{rules.PACKAGES}/{MODULE}": file(native, executable=True)}
    for package, folder in OWN.items():
        for path in sorted((checkout / folder).rglob("*.py")):
            entries[f"{rules.PACKAGES}/{package}/{path.relative_to(checkout / folder).as_posix()}"] = file(
                path.read_bytes()
            )
    entries[f"{LICENCES}/strongroom/LICENSE"] = file((checkout / "LICENSE").read_bytes())
    return entries


def _package(name: str, entries: Mapping[str, Entry]) -> dict[str, Entry]:
    part = rules.DEBIAN[name]
    taken = {path: entry for path, entry in entries.items() if part.takes(path)}
    if not taken:
        raise Refusal("bad_file", f"{name} holds nothing of what the image takes of it: look at rules.py")
    words = entries.get(f"usr/share/doc/{name}/copyright")
    if words is not None and words.data[:1] != b".":
        taken[f"{LICENCES}/{name}/copyright"] = words
    return taken


def _wheel(project: str, entries: Mapping[str, Entry]) -> dict[str, Entry]:
    part = rules.WHEELS.get(project)
    if part is None:
        return {}
    taken = {f"{rules.PACKAGES}/{path}": entry for path, entry in entries.items() if _runs(path) and part.takes(path)}
    for path, entry in entries.items():
        if found := _LICENCE.fullmatch(path):
            taken[f"{LICENCES}/{project}/{PurePosixPath(found[1]).name}"] = entry
    return taken


def _runs(path: str) -> bool:
    """Whether it is more than a type checker's."""
    return not path.endswith((".pyi", "py.typed"))


def _add(entries: dict[str, Entry], more: Mapping[str, Entry]) -> None:
    for name, entry in more.items():
        if entries.setdefault(name, entry) != entry:
            raise Refusal("bad_file", f"two inputs bring {name}, and differ")
