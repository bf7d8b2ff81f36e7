"""A simulated `/dev/nsm`: one process and one Unix socket per enclave.

A frame is a four-byte big-endian length and that many bytes; its content is byte for byte what the device's ioctl
carries. **A connection is a boot**: opening it powers the enclave on, with PCR16 and above zero and unlocked; closing
it powers the enclave off. One enclave at a time: a second connection waits until the first is closed. So a signer
keeps its one connection for as long as it runs.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

from strongroom_simulator.device import MAX_REQUEST, Nsm

_HEADER: Final = 4


def serve(listener: socket.socket, power_on: Callable[[], Nsm]) -> None:
    """Serves boots, one after another, until the listener is closed."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            _run(connection, power_on())


def _run(connection: socket.socket, nsm: Nsm) -> None:
    try:
        while (header := _read(connection, _HEADER)) is not None:
            length = int.from_bytes(header, "big")
            # Longer than the device takes at all: not a client of ours.
            if length > 2 * MAX_REQUEST:
                return
            request = _read(connection, length)
            if request is None:
                return
            response = nsm.answer(request)
            connection.sendall(len(response).to_bytes(_HEADER, "big") + response)
    except OSError:
        return


def _read(connection: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)
