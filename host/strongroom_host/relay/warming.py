"""After a signer's restart: what its wallets need is set up ahead, before a request has to wait for it.

The pairwise state of DKLs23 is never sealed, and costs 0.4 s of CPU for each pair; a journal that was restarted
acknowledges nothing before it has heard the others, who may be gone when a payment comes. Wallets that were used lately
are warmed in one background thread; a wallet that is not among them is set up by its next request.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Final

from strongroom.errors import Refusal
from strongroom_host.relay.rounds import CeremonyFailed

_log = logging.getLogger(__name__)

LATELY: Final = 3600.0
"""Seconds since a wallet's last ceremony."""

Warm = Callable[[str, float], None]
"""Sets up one wallet with a restarted signer; the time is when the restart was noticed (time.monotonic())."""


class Warmer:
    """One thread, started at the first restart."""

    def __init__(self) -> None:
        self._used: dict[bytes, tuple[float, tuple[str, ...], Warm]] = {}
        self._waiting: queue.SimpleQueue[tuple[str, float] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._noticed: dict[str, float] = {}
        self._guard = threading.Lock()

    def used(self, order: bytes, names: tuple[str, ...], warm: Warm) -> None:
        """A wallet took part in a ceremony. names: its signers and witnesses."""
        self._used[order] = (time.monotonic(), names, warm)

    def restarted(self, name: str, since: float) -> None:
        """The signer lost what it had in memory. Once for each restart: further wallets find it noticed."""
        with self._guard:
            if self._noticed.get(name, -1.0) > since:
                return
            self._noticed[name] = time.monotonic()
            self._waiting.put((name, since))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="warming", daemon=True)
                self._thread.start()

    def close(self) -> None:
        with self._guard:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._waiting.put(None)
            thread.join()

    def _run(self) -> None:
        while (task := self._waiting.get()) is not None:
            name, since = task
            recent = time.monotonic() - LATELY
            for used, names, warm in list(self._used.values()):
                if name in names and used >= recent and self._thread is not None:
                    try:
                        warm(name, since)
                    except (Refusal, CeremonyFailed) as failed:
                        _log.info("a wallet was not warmed after the restart of %s: %s", name, failed)
