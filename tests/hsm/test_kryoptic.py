"""A second token, kryoptic (PKCS#11 3.2), so that SoftHSM's habits are not taken for the standard. Optional."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_another_library(tmp_path: Path) -> None:
    """STRONGROOM_KRYOPTIC names libkryoptic_pkcs11.so, built with dynamic, sqlitedb, ecc_min, aes and hash_all."""
    library = os.environ.get("STRONGROOM_KRYOPTIC")
    if library is None:
        pytest.skip("STRONGROOM_KRYOPTIC names no library")
    done = subprocess.run(
        [sys.executable, "-m", "tests.hsm.kryoptic", library, tmp_path],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
