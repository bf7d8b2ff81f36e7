"""The protocol's model, searched by spin without an end left out. `make model` searches further."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHECK = ROOT / "infra/model/check"


@pytest.mark.timeout(600)
def test_what_must_hold_holds_and_what_must_not_is_violated() -> None:
    done = subprocess.run([CHECK], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("holds (") == 3 and done.stdout.count("violated, as it must be") == 2
