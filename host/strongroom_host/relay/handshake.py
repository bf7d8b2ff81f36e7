"""Carries the four messages of a channel's handshake, many pairs at once, and knows when channels must be renewed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Final

from strongroom.errors import Refusal
from strongroom.wire.fields import Fields
from strongroom_host.relay.once import Once
from strongroom_host.signers import Question, Signers

RENEW_BEFORE: Final = 300
"""Seconds before its expiry at which a channel is renewed, so that no ceremony meets its end."""

TIMEOUT: Final = 10.0

Pair = tuple[str, str]
"""Who opens, and who answers."""


class Handshakes:
    """Channels of this host's signers. expiry is what signers said; a restart of theirs shows as `channel_missing`."""

    def __init__(self, signers: Signers, now: Callable[[], float] = time.time) -> None:
        self._signers = signers
        self._now = now
        self._expires: dict[tuple[bytes, Pair], int] = {}
        self._once = Once()

    def renew_due(self, order: bytes, names: Sequence[str]) -> None:
        """Renews, ahead of their end, the channels that this process knows. Costs nothing while none is due."""
        soon = self._now() + RENEW_BEFORE
        due = [pair for pair in combinations(names, 2) if self._expires.get((order, _sorted(pair)), soon + 1) <= soon]
        if due:
            self.open(order, due)

    def open(self, order: bytes, pairs: Sequence[Pair], since: float | None = None) -> None:
        """Opens channels anew, unless another thread just did. order: its id. Raises the Refusal that stopped it."""
        began = time.monotonic() if since is None else since
        key = (order, tuple(sorted(map(_sorted, pairs))))
        self._once.do(key, began, lambda: self._open_again(order, list(pairs)))

    def _open_again(self, order: bytes, pairs: list[Pair]) -> None:
        """A second try where another host process's handshake of the same pair crossed this one."""
        try:
            self._open(order, pairs)
        except Refusal as refusal:
            if refusal.code != "channel_handshake":
                raise
            self._open(order, pairs)

    def _open(self, order: bytes, pairs: list[Pair]) -> None:
        sent = [answer.blob("message") for _, answer in self._ask("channel.open", order, pairs, None)]
        for operation in ("channel.answer", "channel.prove"):
            sent = [answer.blob("message") for _, answer in self._ask(operation, order, pairs, sent)]
        accepted: list[bytes] = []
        for pair, answer in self._ask("channel.accept", order, pairs, sent):
            accepted.append(answer.blob("message"))
            self._expires[order, _sorted(pair)] = answer.integer("expires")
        for pair, answer in self._ask("channel.finish", order, pairs, accepted):
            known = self._expires[order, _sorted(pair)]
            self._expires[order, _sorted(pair)] = min(known, answer.integer("expires"))

    def _ask(
        self, operation: str, order: bytes, pairs: list[Pair], messages: list[bytes] | None
    ) -> list[tuple[Pair, Fields]]:
        opener = operation in ("channel.open", "channel.prove", "channel.finish")
        questions: list[Question] = []
        for index, (first, second) in enumerate(pairs):
            name, peer = (first, second) if opener else (second, first)
            message = {} if messages is None else {"message": messages[index]}
            questions.append((name, operation, {"order": order, "peer": peer, **message}))
        answers = self._signers.ask(questions, TIMEOUT)
        read: list[tuple[Pair, Fields]] = []
        for pair, answer in zip(pairs, answers, strict=True):
            if isinstance(answer, Refusal):
                raise answer
            read.append((pair, answer))
        return read


def _sorted(pair: Pair) -> Pair:
    first, second = sorted(pair)
    return first, second
