"""Carries TLS between botocore, which speaks TCP to loopback, and the parent, which goes on to KMS.

`python -m strongroom_enclave.forwarder FD`: the descriptor of a TCP socket that listens. It is a process of its own,
under a user who may do nothing else, because it is the part that talks to the host in the clear. It chooses nothing:
every connection goes to one port of the parent. What arrives there is KMS only because TLS says so, in the signer.
"""

from __future__ import annotations

import socket
import sys
import threading
from typing import Final

from strongroom_enclave.parent import KMS_PORT, Connect, vsock

CONNECTIONS: Final = 16
"""At once; the signer's pool holds four. One more is closed at once."""
IDLE: Final = 60.0
"""Seconds without a byte in a direction, after which the connection ends."""
CHUNK: Final = 1 << 14


class Forwarder:
    """Serves until the listener is closed. connect: opens the other side."""

    def __init__(
        self, listener: socket.socket, connect: Connect, *, most: int = CONNECTIONS, idle: float = IDLE
    ) -> None:
        self._listener = listener
        self._connect = connect
        self._idle = idle
        self._free = threading.BoundedSemaphore(most)

    def run(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            if self._free.acquire(blocking=False):
                threading.Thread(target=self._serve, args=(caller,), daemon=True).start()
            else:
                caller.close()

    def _serve(self, caller: socket.socket) -> None:
        try:
            with caller, self._connect(KMS_PORT) as parent:
                self._both_ways(caller, parent)
        except OSError:
            # The signer sees its connection end, asks again, and says so in its health.
            pass
        finally:
            self._free.release()

    def _both_ways(self, caller: socket.socket, parent: socket.socket) -> None:
        for side in (caller, parent):
            side.settimeout(self._idle)
        back = threading.Thread(target=_carry, args=(parent, caller), daemon=True)
        back.start()
        _carry(caller, parent)
        back.join()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    """Until the source ends, which the sink is told; an error or a silence ends both directions."""
    try:
        while data := source.recv(CHUNK):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for side in (source, sink):
            _cut(side)


def _cut(side: socket.socket) -> None:
    try:
        side.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def main(descriptor: int) -> None:
    Forwarder(socket.socket(fileno=descriptor), vsock).run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
