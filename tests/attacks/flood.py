"""A host that asks as fast as it can, on several connections at once, and how much memory its signers have then."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from strongroom.errors import Refusal
from strongroom.wire import cbor, frame
from strongroom_client.cluster.cluster import Cluster
from tests.attacks.hand import Wire

CONNECTIONS = 4
ROOM = 48 << 20
"""Bytes by which a signer may grow: what its allocator keeps of the largest frames, and of its threads."""

Request = tuple[str, dict[str, cbor.Value]]


class Flood:
    """`count` requests to one signer, made by `request` from their number. answers: how many of each code, or `ok`."""

    def __init__(self, socket: Path, count: int, request: Callable[[int], Request]) -> None:
        self.answers: Counter[str] = Counter()
        self._failures: list[BaseException] = []
        shares = [range(first, count, CONNECTIONS) for first in range(CONNECTIONS)]
        self._threads = [threading.Thread(target=self._run, args=(socket, share, request)) for share in shares]

    def _run(self, socket: Path, share: range, request: Callable[[int], Request]) -> None:
        counted: Counter[str] = Counter()
        try:
            with Wire(socket) as wire:
                for number in share:
                    counted[self._ask(wire, *request(number))] += 1
        except BaseException as error:
            self._failures.append(error)
        self.answers += counted

    def _ask(self, wire: Wire, operation: str, body: dict[str, cbor.Value]) -> str:
        try:
            wire.exchange(frame.encode_request(operation, body))
        except Refusal as refusal:
            return refusal.code
        return "ok"

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for thread in self._threads:
            thread.join()
        assert not self._failures, self._failures


def resident(cluster: Cluster, name: str) -> int:
    """Bytes of memory that the signer's process has."""
    for line in Path(f"/proc/{cluster.process(name).pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise AssertionError(f"{name} has ended")


@contextmanager
def bounded(cluster: Cluster, *names: str) -> Iterator[None]:
    """None of these has grown by more than ROOM at the end."""
    before = {name: resident(cluster, name) for name in names}
    yield
    grown = {name: resident(cluster, name) - size for name, size in before.items()}
    assert all(size <= ROOM for size in grown.values()), grown
