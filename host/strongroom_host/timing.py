"""Where a signature's time goes: laps of a stopwatch, told to the client as `Server-Timing` (W3C; milliseconds).

A request runs in one thread from its first byte to its last; what other threads do is in nobody's lap.
"""

from __future__ import annotations

import threading
import time
from typing import Final

HEADER: Final = "Server-Timing"
MOST_LAPS: Final = 32
"""Of one answer. A request that is mended many times adds to laps that it has."""


class _Watch(threading.local):
    last = 0.0
    laps: dict[str, float] | None = None


_watch = _Watch()


def begin() -> None:
    _watch.last, _watch.laps = time.perf_counter(), {}


def lap(name: str) -> None:
    """What was done since the lap before; laps of one name are added up. Nothing where no request has begun."""
    laps = _watch.laps
    if laps is None or (len(laps) >= MOST_LAPS and name not in laps):
        return
    now = time.perf_counter()
    laps[name] = laps.get(name, 0.0) + now - _watch.last
    _watch.last = now


def end(name: str) -> str | None:
    """The header's value, with a last lap; None where there was no other."""
    if _watch.laps:
        lap(name)
    laps, _watch.laps = _watch.laps, None
    return ", ".join(f"{each};dur={seconds * 1000:.3f}" for each, seconds in laps.items()) if laps else None
