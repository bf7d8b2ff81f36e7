"""No data key before the KMS key's policy was examined, and its digest stands in PCR17 for everybody to see.

PCR17 = SHA-384(0^48 ‖ digest), extended once and locked then: a roster may name it, so that a signer whose key has
another policy than the officers reviewed is no member. Until KMS has answered it is zero, and the signer is degraded.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Final

from strongroom.errors import Refusal
from strongroom.signer.seams import Context, DataKey, Sealer
from strongroom_enclave.keypolicy import KeyFacts, examine
from strongroom_enclave.nsm import PCR_SIZE, Nsm

POLICY_PCR: Final = 17


class ExaminedSealer:
    """Thread-safe. facts: asks KMS; arn: of the pinned key."""

    def __init__(self, sealer: Sealer, nsm: Nsm, facts: Callable[[], KeyFacts], arn: str) -> None:
        self._sealer = sealer
        self._nsm = nsm
        self._facts = facts
        self._arn = arn
        self._lock = threading.Lock()
        self._examined = False

    def examine(self) -> None:
        """Once; a key that is not safe is never taken. Raises Refusal `key_policy`, `sealer_unavailable`, …"""
        with self._lock:
            if not self._examined:
                pcr0, pcr16 = self._nsm.describe_pcr(0).value, self._nsm.describe_pcr(16).value
                self._record(examine(self._facts(), self._arn, pcr0, pcr16))
                self._examined = True

    def _record(self, digest: bytes) -> None:
        wanted = hashlib.sha384(bytes(PCR_SIZE) + digest).digest()
        register = self._nsm.describe_pcr(POLICY_PCR)
        if not register.locked and register.value == bytes(PCR_SIZE):
            self._nsm.extend_pcr(POLICY_PCR, digest)
            self._nsm.lock_pcr(POLICY_PCR)
            register = self._nsm.describe_pcr(POLICY_PCR)
        if register.value != wanted:
            raise Refusal("key_policy", "PCR17 carries another policy: boot the enclave anew")

    def new_key(self, context: Context) -> tuple[DataKey, bytes]:
        self.examine()
        return self._sealer.new_key(context)

    def open_key(self, wrapped: bytes, context: Context) -> DataKey:
        self.examine()
        return self._sealer.open_key(wrapped, context)
