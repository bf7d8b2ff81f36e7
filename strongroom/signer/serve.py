"""The listener's loop, over a listening socket that the program hands in: vsock, or a Unix socket with its preamble.

One blocking thread for each connection, one request at a time on it (docs/adr/0005). Connections are bounded; one too
many is closed at once, and a peer that says nothing is dropped.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable

from strongroom.errors import Refusal
from strongroom.wire import frame

_log = logging.getLogger(__name__)

MAX_CONNECTIONS = 128
PREAMBLE_TIMEOUT = 5.0
IDLE_TIMEOUT = 600.0
"""Seconds a host may keep a pooled connection silent."""

REQUEST_TIMEOUT = 30.0
"""Seconds within which a begun frame must be complete."""

_MAX_PREAMBLE = 32


class Server:
    """Serves until `close`. preamble: the port that a hybrid-vsock caller must name, or None on real vsock."""

    def __init__(self, listener: socket.socket, handle: Callable[[bytes], bytes], preamble: int | None) -> None:
        self._listener = listener
        self._handle = handle
        self._preamble = preamble
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._closing = threading.Event()

    def run(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                if self._closing.is_set():
                    return
                raise
            if not self._free.acquire(blocking=False):
                _log.warning("refused a connection: %d are open", MAX_CONNECTIONS)
                connection.close()
                continue
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def close(self) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                if self._preamble is not None:
                    connection.settimeout(PREAMBLE_TIMEOUT)
                    if not _greet(connection, self._preamble):
                        return
                while self._exchange(connection):
                    pass
        except (OSError, EOFError):
            pass  # the host went away; whatever it was told before stands
        finally:
            self._free.release()

    def _exchange(self, connection: socket.socket) -> bool:
        """One request and its answer. False when the connection is over."""
        connection.settimeout(IDLE_TIMEOUT)
        header = connection.recv(frame.HEADER)
        if not header:
            return False
        connection.settimeout(REQUEST_TIMEOUT)
        try:
            header += _receive(connection, frame.HEADER - len(header))
            payload = _receive(connection, frame.frame_length(header))
        except Refusal as refusal:
            # The rest of the stream cannot be trusted to be frames.
            connection.sendall(frame.encode_frame(frame.encode_refusal(refusal)))
            return False
        connection.sendall(frame.encode_frame(self._handle(payload)))
        return True


def _receive(connection: socket.socket, size: int) -> bytes:
    """Exactly `size` bytes. Raises EOFError where the stream ends before."""
    buffer = bytearray(size)
    view, got = memoryview(buffer), 0
    while got < size:
        count = connection.recv_into(view[got:])
        if count == 0:
            raise EOFError
        got += count
    return bytes(buffer)


def _greet(connection: socket.socket, port: int) -> bool:
    """The hybrid-vsock convention: `CONNECT <port>\\n`, answered with `OK <port>\\n`."""
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        line += byte
        if not byte or len(line) > _MAX_PREAMBLE:
            return False
    if line != b"CONNECT %d\n" % port:
        return False
    connection.sendall(b"OK %d\n" % port)
    return True
