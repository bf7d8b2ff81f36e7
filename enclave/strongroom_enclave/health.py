"""Whether KMS answers, as the last calls found: the seam `strongroom.signer.seams.Health` of an enclave."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from strongroom.errors import Refusal
from strongroom.signer.seams import Context, DataKey, Sealer

T = TypeVar("T")


class WatchedSealer:
    """Passes calls through, and remembers the reason while they fail for want of KMS."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._reason: str | None = None

    def degraded(self) -> str | None:
        return self._reason

    def new_key(self, context: Context) -> tuple[DataKey, bytes]:
        return self.watch(lambda: self._sealer.new_key(context))

    def open_key(self, wrapped: bytes, context: Context) -> DataKey:
        return self.watch(lambda: self._sealer.open_key(wrapped, context))

    def watch(self, call: Callable[[], T]) -> T:
        """Runs what asks KMS, and learns from how it ends."""
        try:
            result = call()
        except Refusal as refusal:
            if refusal.code in ("sealer_unavailable", "key_policy"):
                self._reason = refusal.reason
            raise
        self._reason = None
        return result
