"""One thread repairs, the others wait and profit: handshakes, pairings and loadings that many requests need at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable


class Once:
    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[Hashable, threading.Lock] = {}
        self._done: dict[Hashable, float] = {}

    def do(self, key: Hashable, since: float, action: Callable[[], None]) -> None:
        """Runs `action`, unless another thread finished it for this key after `since` (time.monotonic())."""
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if self._done.get(key, -1.0) > since:
                return
            action()
            self._done[key] = time.monotonic()
