"""One stream between a program of the host's, on a Unix socket, and one of the guest's."""

from __future__ import annotations

import socket
from typing import Final

from strongroom_simulator.vsock.packets import STOPS_RECEIVING, STOPS_SENDING, Operation, Packet

SPACE: Final = 256 * 1024
"""Bytes that are held for a host's program that does not read. The guest sends no more before it does."""

_MODULUS: Final = 1 << 32


class Stream:
    """host and guest: CID and port of each end. Not thread-safe."""

    def __init__(
        self, connection: socket.socket, host: tuple[int, int], guest: tuple[int, int], *, called: bool
    ) -> None:
        self.connection = connection
        self.host = host
        self.guest = guest
        self.called = called
        """By the host; the guest has yet to answer."""
        self.watched = 0
        """What the selector watches for: the device's."""
        self.finished = False
        """The host's program sends nothing more."""
        self._waiting = bytearray()
        self._taken = self._told = self._sent = 0
        self._space = self._peer_taken = 0
        self._last = 0

    @property
    def key(self) -> tuple[int, int]:
        return self.host[1], self.guest[1]

    @property
    def credit(self) -> int:
        """Bytes that the guest would take now."""
        return max(0, self._space - (self._sent - self._peer_taken) % _MODULUS)

    @property
    def backlog(self) -> bool:
        return bool(self._waiting)

    def packet(self, operation: Operation, data: bytes = b"", flags: int = 0) -> Packet:
        self._told = self._taken
        self._sent = (self._sent + len(data)) % _MODULUS
        return Packet(self.host, self.guest, operation, flags, SPACE, self._taken % _MODULUS, data)

    def heard(self, packet: Packet) -> None:
        self._space, self._peer_taken = packet.space, packet.taken

    def deliver(self, data: bytes) -> None:
        """From the guest to the host's program. Raises OSError where that is gone, ValueError for more than SPACE."""
        if len(self._waiting) + len(data) > SPACE:
            raise ValueError("the guest sends more than it was told that there is space for")
        self._waiting += data
        self.flush()

    def flush(self) -> None:
        while self._waiting:
            try:
                sent = self.connection.send(self._waiting)
            except BlockingIOError:
                return
            del self._waiting[:sent]
            self._taken += sent
        if self._last & STOPS_SENDING:
            self.connection.shutdown(socket.SHUT_WR)

    @property
    def owes_credit(self) -> bool:
        """The guest should hear that there is space again."""
        return self._taken - self._told > SPACE // 4

    def shut(self, flags: int) -> bool:
        """The guest's end stops. True once nothing is left to do and the stream can go."""
        self._last |= flags
        if self._last & STOPS_RECEIVING:
            self.finished = True
        if not self._waiting and self._last & STOPS_SENDING:
            self.connection.shutdown(socket.SHUT_WR)
        return self.over

    @property
    def over(self) -> bool:
        return not self._waiting and self._last == STOPS_SENDING | STOPS_RECEIVING
