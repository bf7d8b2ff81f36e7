"""What goes into the image from elsewhere, by name, version and SHA-256: `inputs.json`, which `make lock` renews."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from strongroom.errors import Refusal

LOCK: Final = Path(__file__).parent / "inputs.json"

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~_-]*")
_WHEEL: Final = re.compile(r"([A-Za-z0-9_.]+)-([A-Za-z0-9_.!+]+)-[a-z0-9.]+-[a-z0-9.]+-[a-z0-9_.]+\.whl")


@dataclass(frozen=True)
class Package:
    """A binary package of Debian. path: within the archive, or within the security archive (`pool/updates/…`)."""

    name: str
    version: str
    path: str
    sha256: str

    @property
    def file(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Wheel:
    name: str
    version: str
    file: str
    sha256: str


@dataclass(frozen=True)
class Inputs:
    """release: Debian's. toolchain: what compiled the native module, by the first line of what each program says.
    archived: a day (UTC, as snapshot archives write it) on which every package was in the archive."""

    release: str
    archived: str
    packages: tuple[Package, ...]
    wheels: tuple[Wheel, ...]
    toolchain: dict[str, str]

    @classmethod
    def parse(cls, data: bytes) -> Inputs:
        """Raises Refusal `bad_file`."""
        try:
            fields = json.loads(data)
            inputs = cls(
                fields["release"],
                fields["archived"],
                tuple(Package(**package) for package in fields["packages"]),
                tuple(_wheel(wheel) for wheel in fields["wheels"]),
                dict(fields["toolchain"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise Refusal("bad_file", f"the lock of the image's inputs cannot be read: {error}") from None
        for item in inputs.files:
            if not _SHA256.fullmatch(item.sha256) or not _NAME.fullmatch(item.file) or not _NAME.fullmatch(item.name):
                raise Refusal("bad_file", f"the lock of the image's inputs: {item.name} has no proper name or hash")
        return inputs

    @property
    def files(self) -> tuple[Package | Wheel, ...]:
        return *self.packages, *self.wheels


def read() -> Inputs:
    return Inputs.parse(LOCK.read_bytes())


def wheel_name(file: str) -> tuple[str, str]:
    """A wheel's project and version, from the name of its file. Raises Refusal `bad_file`."""
    found = _WHEEL.fullmatch(file)
    if found is None:
        raise Refusal("bad_file", f"{file} is no wheel's name")
    return found[1].replace("_", "-"), found[2]


def _wheel(fields: dict[str, Any]) -> Wheel:
    return Wheel(*wheel_name(fields["file"]), fields["file"], fields["sha256"])
