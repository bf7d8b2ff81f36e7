"""The parent instance, as an enclave reaches it: vsock to CID 3, on the few ports that docs/specification.md names.

The parent is the adversary. What it answers is bounded in size and time, and worth what its content proves.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Final

PARENT_CID: Final = 3
KMS_PORT: Final = 8000
"""Bytes of TLS, on to KMS. `vsock-proxy` of AWS listens there when nobody tells it otherwise."""
CONFIGURATION_PORT: Final = 8001
CREDENTIALS_PORT: Final = 8002
LAST_WORDS_PORT: Final = 8003
HEARTBEAT_PORT: Final = 9000
"""nitro-cli's own: it holds an enclave for booted once the byte below came."""

HEARTBEAT: Final = b"\xb7"
TIMEOUT: Final = 5.0
"""Seconds for a whole answer, not for each part of it."""

Connect = Callable[[int], socket.socket]
"""A connection to a port of the parent. Raises OSError."""

_LENGTH: Final = 4


def vsock(port: int) -> socket.socket:
    connection = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    connection.settimeout(TIMEOUT)
    try:
        connection.connect((PARENT_CID, port))
    except OSError:
        connection.close()
        raise
    return connection


def ask(port: int, most: int, connect: Connect = vsock) -> bytes:
    """The document that the parent hands out there: u32 length (big-endian) ‖ content, at most `most` bytes.

    Raises OSError where there is none, it is too long, or it takes too long."""
    end = time.monotonic() + TIMEOUT
    with connect(port) as connection:
        size = int.from_bytes(_exactly(connection, _LENGTH, end), "big")
        if size > most:
            raise OSError(f"the parent answers with {size} bytes where {most} are allowed")
        return _exactly(connection, size, end)


def tell(port: int, content: bytes, connect: Connect = vsock) -> None:
    """The same the other way. Raises OSError."""
    with connect(port) as connection:
        connection.settimeout(TIMEOUT)
        connection.sendall(len(content).to_bytes(_LENGTH, "big") + content)


def beat(connect: Connect = vsock) -> None:
    """Tells nitro-cli that the enclave has booted. Raises OSError where it does not answer in kind."""
    with connect(HEARTBEAT_PORT) as connection:
        connection.settimeout(TIMEOUT)
        connection.sendall(HEARTBEAT)
        if connection.recv(1) != HEARTBEAT:
            raise OSError("the parent answers the heartbeat with something else")


def _exactly(connection: socket.socket, size: int, end: float) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the parent does not finish its answer")
        connection.settimeout(left)
        part = connection.recv(size - len(parts))
        if not part:
            raise OSError("the parent ends its answer early")
        parts += part
    return bytes(parts)
