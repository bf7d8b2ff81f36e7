"""The enclave's time: what its own NSM says, because the host sets the enclave's system clock.

The document comes from the device itself, over a path that the host has no hand in, so its timestamp is read without
verifying its signature.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from strongroom.evidence.nitro import unverified_timestamp
from strongroom_enclave.nsm import Nsm

MAX_AGE: Final = 60.0
"""Seconds for which the NSM's time is carried on by the monotonic clock."""


class NitroClock:
    """The seam `strongroom.signer.seams.Clock`. Thread-safe. Raises Refusal when the NSM fails: no time, no judgement.

    floor: the newest time that a journal remembers; no answer is lower.
    """

    def __init__(self, nsm: Nsm, *, floor: int = 0, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._nsm = nsm
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._last = floor
        self._read: tuple[int, float] | None = None

    def now(self) -> int:
        with self._lock:
            self._last = max(self._last, self._time())
            return self._last

    def _time(self) -> int:
        before = self._monotonic()
        if self._read is None or not 0 <= before - self._read[1] < MAX_AGE:
            # Dated before the request: the device's latency makes this clock early, never late, so that nothing
            # that has lapsed looks alive.
            self._read = (unverified_timestamp(self._nsm.attest()), before)
        seconds, since = self._read
        return seconds + int(before - since)
