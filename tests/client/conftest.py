"""One custody in memory for each scheme; attacks change it, so each test takes a fresh view of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client import reviewing
from tests.client.custody import Custody


@pytest.fixture(scope="session")
def _ed25519(tmp_path_factory: pytest.TempPathFactory) -> Custody:
    return Custody(tmp_path_factory.mktemp("officers") / "keys")


@pytest.fixture(scope="session")
def _ecdsa(tmp_path_factory: pytest.TempPathFactory) -> Custody:
    return Custody(tmp_path_factory.mktemp("officers") / "keys", "dkls23-secp256k1")


@pytest.fixture
def custody(_ed25519: Custody) -> Iterator[Custody]:
    """An Ed25519 wallet."""
    yield _ed25519
    _reset(_ed25519)


@pytest.fixture
def ethereum(_ecdsa: Custody) -> Iterator[Custody]:
    """An ECDSA wallet, whose DKG takes seconds."""
    yield _ecdsa
    _reset(_ecdsa)


def _reset(custody: Custody) -> None:
    custody.lies.clear()
    custody.nonces.clear()
    custody.submitted.clear()


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder that does not exist yet."""
    return tmp_path / "keys"


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """A release's file."""
    return reviewing.write(tmp_path / "strongroom-enclave.json", reviewing.described())
