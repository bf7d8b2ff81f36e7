"""Tickets: fresh randomness of this signer that each ceremony spends, so that the host never chooses its identifier."""

from __future__ import annotations

import threading
from collections.abc import Callable

from strongroom.errors import Refusal

SIZE = 16
MAX_COUNT = 256
MAX_OUTSTANDING = 4096


class Tickets:
    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._outstanding: dict[bytes, None] = {}
        self._lock = threading.Lock()

    def issue(self, count: int) -> list[bytes]:
        """The oldest ones lapse when there are too many, so that a host that hoards cannot lock others out."""
        pool = self._random(SIZE * count)
        fresh = [pool[start : start + SIZE] for start in range(0, len(pool), SIZE)]
        with self._lock:
            self._outstanding.update(dict.fromkeys(fresh))
            while len(self._outstanding) > MAX_OUTSTANDING:
                del self._outstanding[next(iter(self._outstanding))]
        return fresh

    def spend(self, ticket: bytes) -> None:
        """Once. Raises Refusal `stale_ticket`: not ours, spent, lapsed, or of an earlier start."""
        with self._lock:
            if self._outstanding.pop(ticket, 0) is not None:
                raise Refusal("stale_ticket", "the ticket was spent, has lapsed, or is of another start of this signer")
