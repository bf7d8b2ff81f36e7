"""What a host begins and leaves lying: begun with the session, and looked at in its last module."""

from __future__ import annotations

import time
from contextlib import ExitStack
from types import TracebackType

from tests.attacks.custody import ED25519, Custody
from tests.attacks.hand import PREAMBLE, Run, Wire

A, C = "enclave-1", "hsm-1"


class Lingering:
    """run: a signing that nobody feeds. wires: connections in which nothing follows. since: Unix seconds."""

    def __init__(self, custody: Custody) -> None:
        self._open = ExitStack()
        self.custody = custody
        self.since = int(time.time())
        self.run: Run = self._open.enter_context(custody.signing(custody.wallet(ED25519), (A, C)))
        self.wires: dict[str, list[Wire]] = {
            "no greeting": [],
            "half a greeting": [],
            "half a header": [],
            "half a frame": [],
        }
        for name in custody.names:
            for kind, (preamble, begun) in {
                "no greeting": (None, b""),
                "half a greeting": (None, PREAMBLE[:5]),
                "half a header": (PREAMBLE, b"\0\0"),
                "half a frame": (PREAMBLE, b"\0\0\0\x09[1"),
            }.items():
                wire = self._open.enter_context(Wire(custody.cluster.socket(name), preamble))
                wire.send(begun)
                self.wires[kind].append(wire)

    def __enter__(self) -> Lingering:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open.close()
