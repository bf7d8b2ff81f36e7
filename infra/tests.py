"""Every test, in two runs side by side: those of whole clusters mostly wait, and leave a core to the others.

What the clusters' run says is shown at the end, behind the others' own summary. Its processes are a session of their
own: in the background of a terminal's they would be stopped as soon as one of them set the terminal up, and waited for
without end.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
TOGETHER: Final = ("tests/attacks", "tests/cluster", "tests/demo")
PATIENCE: Final = 30 * 60
"""Seconds for a run. What takes longer hangs: it is interrupted, and says where it was."""

GRACE: Final = 60
MOST_FAILURES: Final = 25
"""Of a run. Where no cluster starts, each of hundreds of tests would wait for it."""


def main() -> int:
    signal.signal(signal.SIGTERM, _interrupt)
    with tempfile.TemporaryDirectory(prefix="tests-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as said:
            clusters = _pytest(*TOGETHER, f"--basetemp={folder}/run", said=said.fileno(), session=True)
            others = _pytest(*(f"--ignore={each}" for each in TOGETHER), said=None, session=False)
            _wait((others, clusters))
        sys.stdout.write(log.read_text(errors="replace"))
    return others.returncode or clusters.returncode


def _pytest(*arguments: str, said: int | None, session: bool) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pytest", f"--maxfail={MOST_FAILURES}", *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=session
    )


def _wait(runs: Iterable[subprocess.Popen[bytes]]) -> None:
    """Interrupted runs end their clusters in order, and print what they know."""
    deadline = time.monotonic() + PATIENCE
    try:
        for run in runs:
            run.wait(max(deadline - time.monotonic(), 1))
    except (KeyboardInterrupt, subprocess.TimeoutExpired):
        for run in runs:
            if run.poll() is None:
                run.send_signal(signal.SIGINT)
        for run in runs:
            _end(run)


def _end(run: subprocess.Popen[bytes]) -> None:
    try:
        run.wait(GRACE)
    except subprocess.TimeoutExpired:
        run.kill()
        run.wait()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
