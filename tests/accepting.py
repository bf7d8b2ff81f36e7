"""Servers of tests: a thread for each connection, and an end that wakes whatever waits."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable


def serve(listener: socket.socket, handle: Callable[[socket.socket], None]) -> None:
    """Returns at once. Each connection is handled in a thread of its own, until the listener is ended."""

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def end(*sockets: socket.socket) -> None:
    """Closing alone wakes no thread that accepts or reads."""
    for each in sockets:
        with contextlib.suppress(OSError):  # closed already, or never connected
            each.shutdown(socket.SHUT_RDWR)
        each.close()
