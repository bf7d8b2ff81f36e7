"""The two ends of a link as processes, with certificates made as the operator's book has them made."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.link import link as program


def certificate(folder: Path, name: str, *issuer: str) -> Path:
    """NAME.crt and NAME.key. issuer: -CA and -CAkey for one that is not self-signed."""
    made = folder / f"{name}.crt"
    subject = ("-subj", f"/CN={name}", "-days", "3650", "-out", made, "-keyout", made.with_suffix(".key"))
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")
    subprocess.run(("openssl", "req", "-x509", *key, *subject, *issuer), check=True, capture_output=True)
    return made


class End:
    """A process of link.py; log: what it said on stderr."""

    def __init__(self, folder: Path, *arguments: str | Path, python: str = sys.executable) -> None:
        self.log = folder / f"{arguments[0]}-{time.monotonic_ns()}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [python, program.__file__, *map(str, arguments)], stdout=subprocess.PIPE, stderr=log
            )

    def ready(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def said(self, words: str, times: int = 1) -> None:
        wait(lambda: self.log.read_text().count(words) >= times, f"{words!r} in {self.log.read_text()!r}")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def wait(holds: Callable[[], bool], what: str) -> None:
    for _ in range(600):
        if holds():
            return
        threading.Event().wait(0.05)
    raise AssertionError(what)


class Links:
    """A host's end, and one `dial` for each signer that is added."""

    def __init__(self, folder: Path, names: tuple[str, ...], python: str = sys.executable) -> None:
        self.folder, self._python = folder, python
        self.pins, self.sockets = folder / "signers", folder / "sockets"
        self.pins.mkdir(parents=True)
        self.host = certificate(folder, "host")
        for name in names:
            made = certificate(folder, name)
            (self.pins / made.name).write_bytes(made.read_bytes())
        self.dials: list[End] = []
        self.port = 0
        self.start_listen()

    def start_listen(self) -> None:
        self.listen = End(
            self.folder, "listen", "--address", f"127.0.0.1:{self.port}", *self._own(self.host),
            "--signers", self.pins, "--sockets", self.sockets, python=self._python,
        )  # fmt: skip
        self.port = self.listen.ready()["port"]

    def dial(self, name: str, signer: str, *, pin: Path | None = None, port: int = 0) -> End:
        end = End(
            self.folder, "dial", "--host", f"127.0.0.1:{port or self.port}", *self._own(self.folder / f"{name}.crt"),
            "--pin", pin or self.host, "--signer", signer, python=self._python,
        )  # fmt: skip
        self.dials.append(end)
        return end

    def call(self, name: str) -> socket.socket:
        """As the host calls: the preamble is for the caller to send."""
        caller = socket.socket(socket.AF_UNIX)
        caller.settimeout(20)
        caller.connect(str(self.sockets / f"{name}.sock"))
        return caller

    def stop(self) -> None:
        for end in (*self.dials, self.listen):
            end.stop()

    @staticmethod
    def _own(path: Path) -> tuple[str | Path, ...]:
        return "--certificate", path, "--key", path.with_suffix(".key")
