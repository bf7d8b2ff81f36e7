"""The clock seam beside an HSM: the machine's clock, which is its root's word, never going back while we run."""

from __future__ import annotations

import threading
import time


class SystemClock:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest = 0

    def now(self) -> int:
        """Unix seconds, never lower than an earlier answer."""
        with self._lock:
            self._latest = max(self._latest, int(time.time()))
            return self._latest
