"""A forked child copies the login, the library's sockets and our locks: it may use none of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.hsm.places import Place


def test_a_child_is_refused_and_the_parent_goes_on(place: Place) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.hsm.forks", place.label, place.store, place.folder],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
