"""Connections kept open to one signer, for this process alone."""

from __future__ import annotations

import os
from collections import deque
from typing import Final

from strongroom_host.connection import Address, Connection, connect

MOST_IDLE: Final = 32


class Pool:
    """Connections opened in this process, after its fork; whoever borrows one has it to itself."""

    def __init__(self, name: str, address: Address) -> None:
        self.name = name
        self._address = address
        self._idle: deque[Connection] = deque()
        self._process = os.getpid()

    def borrow(self, deadline: float) -> Connection:
        """An idle connection that is still alive, or a new one. Raises Refusal `signer_unreachable`."""
        if self._process != os.getpid():
            # A connection shared with the parent would mix two processes' frames.
            self._idle = deque()
            self._process = os.getpid()
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return connect(self.name, self._address, deadline)
            if connection.quiet():
                return connection
            connection.close()

    def give_back(self, connection: Connection) -> None:
        if connection.closed or len(self._idle) >= MOST_IDLE:
            connection.close()
        else:
            self._idle.append(connection)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()
