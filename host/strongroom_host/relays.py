"""Which processes hold a wallet: those that this host is configured with, or those of a next release beside them.

While a release is under way there are two processes of one name. Each wallet goes over by itself; whose release is
active, its requests go to the new ones from then on.
"""

from __future__ import annotations

import hashlib

from strongroom.errors import Refusal
from strongroom.policy.release import Release
from strongroom_host.relay.relay import Relay
from strongroom_host.storage.directives import Directives


class Relays:
    """Thread safe. arriving: speaks to the new ones, and to all others as `current` does. names: of the new ones."""

    def __init__(
        self, current: Relay, directives: Directives, arriving: Relay | None = None, names: frozenset[str] = frozenset()
    ) -> None:
        self.current = current
        self.arriving = arriving
        self.names = names
        self._directives = directives
        self._registers: dict[str, bytes] = {}

    def close(self) -> None:
        self.current.close()
        if self.arriving is not None:
            self.arriving.close()

    def of(self, order: bytes) -> Relay:
        """For all that a wallet is asked for. order: the id of its order."""
        active = self.active(order)
        if self.arriving is None or active is None:
            return self.current
        measured = dict(active.members)
        name = next((name for name in active.names if name in self.names), None)
        if name is None or self._register(name) != measured[name]["pcr16"]:
            return self.current
        return self.arriving

    def newest(self, order: bytes) -> Release | None:
        """What officers signed last, and a signer took."""
        releases = [each.release() for each in self._directives.all(order) if each.kind == "release"]
        return max(releases, key=lambda release: release.number, default=None)

    def active(self, order: bytes) -> Release | None:
        """None before any was activated: the order's own roster."""
        directives = self._directives.all(order)
        activated = {each.activation().release for each in directives if each.kind == "activation"}
        releases = [each.release() for each in directives if each.kind == "release"]
        return max(
            (each for each in releases if each.digest() in activated), key=lambda release: release.number, default=None
        )

    def _register(self, name: str) -> bytes | None:
        """PCR16 of the arriving one; None while it is out of reach. It changes with a new process there alone, which
        only this host's own configuration leads to."""
        known = self._registers.get(name)
        if known is None and self.arriving is not None:
            try:
                digest = self.arriving.signers.call(name, "status", {}).blob("configuration", size=48)
            except Refusal:
                return None
            known = self._registers[name] = hashlib.sha384(bytes(48) + digest).digest()
        return known
