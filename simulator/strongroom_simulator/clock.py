"""The simulated time: the machine's clock plus an offset that a test may write into a file at any moment."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class OffsetClock:
    """offset: a file with a whole number of seconds, read at each call; absent means zero."""

    offset: Path | None = None

    def __call__(self) -> float:
        return time.time() + self._seconds()

    def _seconds(self) -> int:
        if self.offset is None:
            return 0
        try:
            return int(self.offset.read_text().strip() or "0")
        except FileNotFoundError:
            return 0
