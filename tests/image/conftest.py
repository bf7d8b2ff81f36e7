from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import strongroom_native

from infra.enclave.image import fetch, inputs, rootfs
from infra.enclave.image.__main__ import INPUTS
from strongroom_eif.archive import Entry
from tests.conftest import ROOT


@dataclasses.dataclass(frozen=True)
class Layers:
    """The two ramdisks. native: a module that was compiled for this machine, in the place of the image's own."""

    base: dict[str, Entry]
    own: dict[str, Entry]

    @property
    def whole(self) -> dict[str, Entry]:
        return self.base | self.own


@pytest.fixture(scope="session")
def locked() -> inputs.Inputs:
    found = inputs.read()
    if lacking := fetch.missing(found, INPUTS):
        pytest.skip(f"`make eif` fetches what the image is made of; {len(lacking)} files are not here")
    return found


@pytest.fixture(scope="session")
def native() -> bytes:
    return next(Path(strongroom_native.__file__).parent.glob("*.so")).read_bytes()


@pytest.fixture(scope="session")
def layers(locked: inputs.Inputs, native: bytes) -> Layers:
    return Layers(*rootfs.ramdisks(locked, INPUTS, ROOT, native))
