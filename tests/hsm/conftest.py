"""SoftHSM for the session: a folder of tokens, one with keys and a certificate, others where a test breaks them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from strongroom_hsm.backends import Backends
from tests.hsm import places
from tests.hsm.authority import Authority
from tests.hsm.places import Place

_numbers = count()


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if not any(Path(each).exists() for each in places.MODULES):
        pytest.skip("no SoftHSM here: apt install softhsm2")
    before = os.environ.get("SOFTHSM2_CONF")
    folder = tmp_path_factory.mktemp("softhsm")
    places.configure(folder)
    yield folder
    if before is None:
        del os.environ["SOFTHSM2_CONF"]
    else:
        os.environ["SOFTHSM2_CONF"] = before


@pytest.fixture(autouse=True)
def _close_tokens() -> Iterator[None]:
    yield
    places.close_all()


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority("operator hsms", issuer=Authority())


@pytest.fixture
def empty_place(softhsm: Path) -> Place:
    """A token without keys."""
    return places.init_token(softhsm, f"empty-{next(_numbers)}")


@pytest.fixture(scope="session")
def make_place(softhsm: Path, authority: Authority) -> Callable[[str], Place]:
    """A token with keys, certified under a name."""

    def make(name: str) -> Place:
        place = places.init_token(softhsm, f"token-{next(_numbers)}", name=name)
        authority.certify(place.provision().request, place.folder)
        return place

    return make


@pytest.fixture(scope="session")
def place(make_place: Callable[[str], Place]) -> Place:
    """For tests that leave it as it is."""
    return make_place("hsm-a")


@pytest.fixture
def own_place(make_place: Callable[[str], Place]) -> Place:
    """For tests that break it."""
    return make_place("hsm-a")


@pytest.fixture
def backends(place: Place) -> Backends:
    return place.open()
