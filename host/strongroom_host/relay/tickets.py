"""Tickets fetched ahead, so that a signature does not pay a trip for them. Each is spent by one ceremony."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Final

from strongroom.errors import Refusal
from strongroom.wire.fields import bytes_item
from strongroom_host.signers import Signers

BATCH: Final = 32
"""Fetched at a time: a signer forgets none before 4096 are outstanding."""


class Tickets:
    """A cache per signer of this process; thread safe."""

    def __init__(self, signers: Signers) -> None:
        self._signers = signers
        self._cache: dict[str, deque[bytes]] = {name: deque() for name in signers.names}
        self._fetching = threading.Lock()

    def take(self, names: Sequence[str]) -> list[bytes]:
        """One ticket of each, in this order. Raises the Refusal of the first signer that gives none."""
        taken: list[bytes] = []
        for name in names:
            ticket = self._pop(name)
            while ticket is None:
                with self._fetching:
                    if not self._cache.get(name):
                        self._fetch([each for each in names if not self._cache.get(each)])
                ticket = self._pop(name)
            taken.append(ticket)
        return taken

    def drop(self, name: str) -> None:
        """Forgets what a signer gave: after `stale_ticket`, or when it went out of reach and may have restarted."""
        if name in self._cache:
            self._cache[name].clear()

    def _pop(self, name: str) -> bytes | None:
        try:
            return self._cache[name].popleft()
        except (IndexError, KeyError):
            return None

    def _fetch(self, names: Sequence[str]) -> None:
        answers = self._signers.ask([(name, "tickets", {"count": BATCH}) for name in names])
        for name, answer in zip(names, answers, strict=True):
            if isinstance(answer, Refusal):
                raise answer
            tickets = answer.items("tickets", bytes_item)
            answer.end()
            if not tickets or any(len(ticket) != 16 for ticket in tickets):
                raise Refusal("malformed_message", f"{name} sent no tickets of 16 bytes", culprits=(name,))
            self._cache[name].extend(tickets)
