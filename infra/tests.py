"""Every test, in two runs side by side: those of whole clusters mostly wait, and leave a core to the others.

`python -m infra.tests --enclave` builds meanwhile what the enclave tier boots, and ends with that tier.

What the clusters' run says is shown at the end, behind the others' own summary. Its processes are a session of their
own: in the background of a terminal's they would be stopped as soon as one of them set the terminal up, and waited for
without end.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
TOGETHER: Final = ("tests/attacks", "tests/cluster", "tests/demo")
ENCLAVE: Final = "tests/qemu"
PATIENCE: Final = 30 * 60
"""Seconds for a run. What takes longer hangs: it is interrupted, and says where it was."""

BUILD_PATIENCE: Final = 45 * 60
"""Of the build, since it began: it gives way to the tests."""

GRACE: Final = 60
MOST_FAILURES: Final = 25
"""Of a run. Where no cluster starts, each of hundreds of tests would wait for it."""

Run = subprocess.Popen[bytes]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.tests", description=__doc__)
    parser.add_argument("--enclave", action="store_true", help="the enclave tier too, with what it boots")
    enclave = parser.parse_args().enclave
    signal.signal(signal.SIGTERM, _interrupt)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tests-")))
        clusters_said = stack.enter_context((folder / "clusters").open("w+b"))
        build_said = stack.enter_context((folder / "build").open("w+b"))
        apart = (*TOGETHER, ENCLAVE) if enclave else TOGETHER
        build = _start(["nice", "-n", "10", "infra/enclave/everything"], build_said.fileno()) if enclave else None
        clusters = _start(_pytest(*TOGETHER, f"--basetemp={folder}/run"), clusters_said.fileno())
        others = _start(_pytest(*(f"--ignore={each}" for each in apart)))
        _wait((others, clusters), PATIENCE)
        failed = others.returncode or clusters.returncode
        if build is not None and failed:
            _kill(build)
        elif build is not None:
            failed = _enclave(build, build_said.name)
        sys.stdout.write((folder / "clusters").read_text(errors="replace"))
    return failed


def _enclave(build: Run, log: str) -> int:
    """Where something cannot be built on this machine, the tests skip and say what."""
    _wait((build,), BUILD_PATIENCE)
    if build.returncode:
        sys.stdout.write(Path(log).read_text(errors="replace"))
        return build.returncode
    os.environ["STRONGROOM_REPRODUCE"] = "1"  # the image's module is compiled twice more, and compared
    tests = _start(_pytest("tests/image/test_build.py", ENCLAVE))
    _wait((tests,), PATIENCE)
    return tests.returncode


def _pytest(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", f"--maxfail={MOST_FAILURES}", *arguments]


def _start(command: list[str], said: int | None = None) -> Run:
    """said: a descriptor for its words; None: they are shown at once."""
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=said is not None
    )


def _wait(runs: Iterable[Run], patience: float) -> None:
    """Interrupted runs end their clusters in order, and print what they know."""
    deadline = time.monotonic() + patience
    try:
        for run in runs:
            run.wait(max(deadline - time.monotonic(), 1))
    except (KeyboardInterrupt, subprocess.TimeoutExpired):
        for run in runs:
            if run.poll() is None:
                run.send_signal(signal.SIGINT)
        for run in runs:
            _end(run)


def _end(run: Run) -> None:
    try:
        run.wait(GRACE)
    except subprocess.TimeoutExpired:
        _kill(run)


def _kill(run: Run) -> None:
    """And what it started, where it has a session to itself."""
    if os.getpgid(run.pid) == run.pid:
        os.killpg(run.pid, signal.SIGKILL)
    run.kill()
    run.wait()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
