"""What a person types first: the Makefile's targets and the CI's script."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()


def test_help_lists_every_target_at_once() -> None:
    begin = time.monotonic()
    shown = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert time.monotonic() - begin < 2
    for target in ("setup", "demo", "test", "bench", "lint", "lock", "clean"):
        assert f"make {target} " in shown


@pytest.mark.parametrize("target", ["test", "bench", "lint"])
def test_a_target_works_on_a_clone_that_was_never_set_up(target: str) -> None:
    assert re.search(rf"^{target}: setup\b", MAKEFILE, re.MULTILINE)


class Checkout:
    """The script with a `make` that only writes down what it was asked, and fails at `fails`."""

    def __init__(self, folder: Path, fails: str) -> None:
        self.folder = folder
        (folder / ".ci").mkdir()
        (folder / "bin").mkdir()
        shutil.copy(ROOT / ".ci" / "run", folder / ".ci" / "run")
        make = folder / "bin" / "make"
        make.write_text(f'#!/bin/bash\necho "$*" >> {folder}/asked\necho "12 passed"\n[[ "$*" != "{fails}" ]]\n')
        make.chmod(0o755)

    def run(self) -> tuple[int, str, list[str]]:
        done = subprocess.run(
            [str(self.folder / ".ci" / "run")],
            env={"PATH": f"{self.folder}/bin:/usr/bin:/bin"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout.splitlines()[-1], (self.folder / "asked").read_text().split()


def test_ci_runs_both_checks_and_ends_with_pytests_own_line(tmp_path: Path) -> None:
    assert Checkout(tmp_path, fails="").run() == (0, "12 passed", ["lint", "aws", "test", "ENCLAVE=1"])


@pytest.mark.parametrize(
    ("fails", "asked"), [("lint", ["lint"]), ("test ENCLAVE=1", ["lint", "aws", "test", "ENCLAVE=1"])]
)
def test_ci_hides_no_failure(tmp_path: Path, fails: str, asked: list[str]) -> None:
    status, _, made = Checkout(tmp_path, fails).run()
    assert status != 0
    assert made == asked
