"""What every test shares: how processes start, and where published vectors lie."""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

import py_ecc  # noqa: F401  # here, so that no later import of eth_account's runs it: see pytest_configure
import pytest
from hypothesis import settings

pytest_plugins = ["tests.fixtures_cluster"]

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    # Where a shell sets it, output that a program forgets to flush would pass here and be lost in a pipe elsewhere.
    os.environ.pop("PYTHONUNBUFFERED", None)
    # py_ecc, which eth_account brings, allows a hundred thousand calls within each other: nested JSON then overflows
    # the stack of C in the test process, where our programs refuse it.
    sys.setrecursionlimit(1000)
    # A forked child of a threshold signer repeats its parent's nonces (docs/adr/0004).
    multiprocessing.set_start_method("spawn", force=True)
    # A busy machine is no failure. With CI set, hypothesis itself draws the same examples each time.
    settings.register_profile("strongroom", settings.default, deadline=None)
    settings.load_profile("strongroom")


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of vectors that other projects published: STRONGROOM_VECTORS, or beside the checkout."""
    folder = Path(os.environ.get("STRONGROOM_VECTORS", ROOT.parent / "shared" / "vectors"))
    if not folder.is_dir():
        pytest.skip(f"no published vectors at {folder}; set STRONGROOM_VECTORS to their folder")
    return folder
