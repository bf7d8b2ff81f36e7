"""One child process: started by spawn in a group of its own, ready when it says so, stopped by its own process id."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from strongroom.errors import Refusal

READY: Final = 60.0
"""Seconds until a program must have said that it serves."""
GRACE: Final = 5.0
"""Seconds between SIGTERM and SIGKILL."""
PAUSE: Final = 0.01

_ENDS: Final = (signal.SIGINT, signal.SIGTERM)
_INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait for the end of the block: no child is started and forgotten, none is half stopped."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in _ENDS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def interrupt_once() -> None:
    """For programs: the first Ctrl-C or SIGTERM raises KeyboardInterrupt, and no later one disturbs the cleaning up.
    Several come at once where `make` and `timeout` pass them on."""

    def interrupted(*_: object) -> None:
        for number in _ENDS:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in _ENDS:
        signal.signal(number, interrupted)


def module(name: str, *arguments: str | Path) -> list[str]:
    """The command line of one of our programs: this interpreter, without what its folder or user would add."""
    return [sys.executable, "-P", "-m", name, *map(str, arguments)]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A short list, so that no secret of the caller's environment reaches a child."""
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **(extra or {})}


class Process:
    """stdout and stderr go to files, so that no pipe can fill up. `ready`: the JSON line that said it serves."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        logs: Path,
        *,
        variables: Mapping[str, str] | None = None,
        says_ready: bool = True,
        ready_within: float = READY,
    ) -> None:
        self.name = name
        self.ready: dict[str, Any] = {}
        self._command = list(command)
        self._output, self.log = logs / f"{name}.out", logs / f"{name}.log"
        self._variables = variables
        self._says_ready, self._ready_within = says_ready, ready_within
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._child is None:
            raise self._failed("was not started")
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def launch(self) -> Process:
        """Starts the program without waiting for it."""
        with uninterrupted(), self._output.open("wb") as output, self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                env=environment(self._variables),
                start_new_session=True,
            )
        return self

    def wait_ready(self) -> Process:
        """Raises Refusal `cluster_failed`, with the log's last lines, where the program ends or stays silent."""
        deadline = time.monotonic() + self._ready_within
        while self._says_ready:
            line, end, _ = self._output.read_bytes().partition(b"\n")
            if end:
                self.ready = _ready_line(line)
                break
            if not self.running:
                raise self._failed("ended before it served")
            if time.monotonic() > deadline:
                raise self._failed(f"did not serve within {self._ready_within:.0f} s")
            time.sleep(PAUSE)
        return self

    def start(self) -> Process:
        return self.launch().wait_ready()

    def stop(self) -> None:
        """SIGTERM, then SIGKILL for whatever is left of its group."""
        if self._child is None:
            return
        if self.running:
            # A paused process cannot hear SIGTERM.
            self.send(signal.SIGCONT)
            self.send(signal.SIGTERM)
            try:
                self._child.wait(GRACE)
            except subprocess.TimeoutExpired:
                pass
        self.kill()

    def kill(self) -> None:
        """SIGKILL, at once, to the whole group: nothing of it can clean up."""
        if self._child is None:
            return
        try:
            os.killpg(self._child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._child.wait()

    def send(self, number: signal.Signals) -> None:
        """SIGSTOP makes a program silent, SIGCONT lets it go on."""
        if self.running:
            os.kill(self.pid, number)

    def _failed(self, why: str) -> Refusal:
        tail = ""
        if self.log.exists():
            tail = " | ".join(self.log.read_text(errors="replace").strip().splitlines()[-4:])[-600:]
        return Refusal("cluster_failed", f"{self.name} {why}; log {self.log}: {tail or 'empty'}")


def run(name: str, command: Sequence[str], logs: Path, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Runs a short program and reads the JSON it printed, {} where it printed none. Raises Refusal `cluster_failed`."""
    done = subprocess.run(
        list(command),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment(variables),
        timeout=60,
        check=False,
    )
    with (logs / f"{name}.log").open("ab") as log:
        log.write(done.stderr)
    if done.returncode:
        tail = done.stderr.decode(errors="replace").strip()[-600:]
        raise Refusal("cluster_failed", f"{name} ended with status {done.returncode}: {tail}")
    return _printed(done.stdout.strip())


def _printed(output: bytes) -> dict[str, Any]:
    """One object, over however many lines; otherwise what the last line says."""
    whole = _ready_line(output) if output else {}
    return _ready_line(output.rpartition(b"\n")[2]) if whole.keys() == {"line"} else whole


def _ready_line(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"line": line.decode(errors="replace")}
