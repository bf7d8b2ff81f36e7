"""Where the host reaches this signer: a Unix socket with the hybrid-vsock preamble."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

BACKLOG = 64


@dataclass(frozen=True)
class Listener:
    """preamble: the port that a caller names."""

    socket: socket.socket
    address: str
    preamble: int


def listen_uds(path: Path, port: int) -> Listener:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return Listener(listener, f"uds:{path}#{port}", port)
