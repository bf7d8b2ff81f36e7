"""What a parent instance does for its enclave: hears the heartbeat, forwards to KMS, hands files in, keeps last words.

Each at a port of vsock, a Unix socket `PATH_<port>` that the device (strongroom_simulator.vsock) calls for the enclave.
The ports are those of docs/specification.md.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

_log = logging.getLogger(__name__)

KMS_PORT: Final = 8000
CONFIGURATION_PORT: Final = 8001
CREDENTIALS_PORT: Final = 8002
LAST_WORDS_PORT: Final = 8003
HEARTBEAT_PORT: Final = 9000
HEARTBEAT: Final = b"\xb7"
"""What init sends when the enclave is up, and nitro-cli answers (aws-nitro-enclaves-cli, `enclave_proc`)."""
MAX_WORDS: Final = 64 << 10
_CHUNK: Final = 1 << 16
_LENGTH: Final = 4

Handler = Callable[[socket.socket], None]


class Parent:
    """path: the vsock device's. heard: set at the enclave's heartbeat. words: why the enclave ended, in its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._listeners: list[socket.socket] = []
        self.heard = threading.Event()
        self.words = ""
        self.serve(HEARTBEAT_PORT, self._heartbeat)
        self.serve(LAST_WORDS_PORT, self._last_words)

    def serve(self, port: int, handler: Handler) -> None:
        """handler: called with each connection, in a thread of its own; the connection is closed after it."""
        listener = socket.socket(socket.AF_UNIX)
        address = Path(f"{self._path}_{port}")
        address.unlink(missing_ok=True)
        listener.bind(str(address))
        listener.listen(64)
        self._listeners.append(listener)
        threading.Thread(target=_accept, args=(listener, handler), name=f"parent {port}", daemon=True).start()

    def forward(self, port: int, target: tuple[str, int]) -> None:
        """As AWS's vsock-proxy: bytes to and from a TCP address, which sees TLS that ends in the enclave."""

        def forward(connection: socket.socket) -> None:
            with socket.create_connection(target, timeout=10) as server:
                server.settimeout(None)
                back = threading.Thread(target=pump, args=(server, connection), daemon=True)
                back.start()
                pump(connection, server)
                back.join()

        self.serve(port, forward)

    def hand(self, port: int, file: Path) -> None:
        """Whoever connects reads the file, as it is then: u32 length (big-endian) and content."""

        def hand(connection: socket.socket) -> None:
            content = file.read_bytes()
            connection.sendall(len(content).to_bytes(_LENGTH, "big") + content)

        self.serve(port, hand)

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()

    def _heartbeat(self, connection: socket.socket) -> None:
        if connection.recv(1) == HEARTBEAT:
            connection.sendall(HEARTBEAT)
            self.heard.set()

    def _last_words(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        size = int.from_bytes(connection.recv(_LENGTH, socket.MSG_WAITALL), "big")
        self.words = connection.recv(min(size, MAX_WORDS), socket.MSG_WAITALL).decode(errors="replace")
        _log.warning("the enclave ends: %s", self.words)


def _accept(listener: socket.socket, handler: Handler) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_handle, args=(connection, handler), daemon=True).start()


def _handle(connection: socket.socket, handler: Handler) -> None:
    with connection:
        try:
            handler(connection)
        except OSError as error:
            _log.warning("a connection of the enclave's ends: %s", error)


def pump(source: socket.socket, target: socket.socket) -> None:
    """Until the source has ended; then the target hears that."""
    try:
        while data := source.recv(_CHUNK):
            target.sendall(data)
    except OSError:
        pass
    try:
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
