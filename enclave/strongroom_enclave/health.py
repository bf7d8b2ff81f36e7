"""Whether KMS answers, as the last calls found: the seam `strongroom.signer.seams.Health` of an enclave.

While it does not, the signer says why and goes on asking by itself, slower each time, so that nobody has to send a
request to learn that KMS is back. What is in memory stays there: signing goes on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from strongroom.errors import Refusal
from strongroom.signer.seams import Context, DataKey, Sealer

T = TypeVar("T")

PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds between questions to a KMS that does not answer; the last one for ever."""

_OF_KMS: Final = frozenset({"sealer_unavailable", "sealer_refused", "key_policy"})
"""What is wrong with KMS, or with the way there. `sealed_mismatch` is about one blob."""

_log = logging.getLogger(__name__)


def _beside(run: Callable[[], None]) -> None:
    threading.Thread(target=run, daemon=True).start()


class WatchedSealer:
    """Passes calls through, and remembers the reason while they fail for want of KMS. Thread-safe.

    ask: what the signer asks by itself until it is answered, such as for a data key that nobody needs; None: nothing.
    wait: sleeps for seconds. begin: runs something beside the caller.
    """

    def __init__(
        self,
        sealer: Sealer,
        ask: Callable[[], object] | None = None,
        wait: Callable[[float], object] = time.sleep,
        begin: Callable[[Callable[[], None]], None] = _beside,
    ) -> None:
        self._sealer = sealer
        self._ask = ask
        self._wait = wait
        self._begin = begin
        self._lock = threading.Lock()
        self._failure: Refusal | None = None
        self._asking = False

    def degraded(self) -> str | None:
        failure = self._failure
        return None if failure is None else failure.reason

    def new_key(self, context: Context) -> tuple[DataKey, bytes]:
        return self.watch(lambda: self._sealer.new_key(context))

    def open_key(self, wrapped: bytes, context: Context) -> DataKey:
        return self.watch(lambda: self._sealer.open_key(wrapped, context))

    def watch(self, call: Callable[[], T]) -> T:
        """Runs what asks KMS, and learns from how it ends."""
        try:
            result = call()
        except Refusal as refusal:
            if refusal.code in _OF_KMS:
                self._failed(refusal)
            raise
        self._failure = None
        return result

    def _failed(self, refusal: Refusal) -> None:
        """A key that is not this enclave's alone stays so: it is not asked about again."""
        with self._lock:
            self._failure = refusal
            begins = self._ask is not None and not self._asking and refusal.code != "key_policy"
            self._asking = self._asking or begins
        if begins:
            self._begin(self._ask_until_answered)

    def _ask_until_answered(self) -> None:
        number = 0
        while not self._answered():
            pause = PAUSES[min(number, len(PAUSES) - 1)]
            _log.warning("KMS is asked again in %.0f s: %s", pause, self._failure)
            self._wait(pause)
            number += 1
            try:
                self.watch(self._ask or (lambda: None))
            except Refusal as refusal:
                _log.log(logging.ERROR if refusal.code == "key_policy" else logging.INFO, "%s", refusal)

    def _answered(self) -> bool:
        """Under the lock, so that a call that fails meanwhile either is seen here or begins anew."""
        with self._lock:
            self._asking = self._failure is not None and self._failure.code != "key_policy"
            return not self._asking
