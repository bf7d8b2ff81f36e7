"""The listener's loop, over a listening socket that the program hands in: vsock, or a Unix socket with its preamble.

One blocking thread for each connection, one request at a time on it (docs/adr/0005). Connections are bounded; one too
many is closed at once, and a peer that says nothing is dropped.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
import threading
import time
from collections.abc import Callable

from strongroom.errors import Refusal
from strongroom.wire import frame

_log = logging.getLogger(__name__)

MAX_CONNECTIONS = 128
PREAMBLE_TIMEOUT = 5.0
IDLE_TIMEOUT = 600.0
"""Seconds a host may keep a pooled connection silent."""

REQUEST_TIMEOUT = 30.0
"""Seconds within which a begun frame must be complete, and an answer be taken."""

GRACE = 2.0
"""Seconds that requests under way are given at the end."""

BUFFER = 128 * 1024
"""Bytes: a DKLs23 signing round among three fits; what is larger is received in parts."""

_MAX_PREAMBLE = 32


class Server:
    """Serves until `close`. preamble: the port that a hybrid-vsock caller must name, or None on real vsock."""

    def __init__(self, listener: socket.socket, handle: Callable[[bytes], bytes], preamble: int | None) -> None:
        self._listener = listener
        self._handle = handle
        self._preamble = preamble
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._closing = threading.Event()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()

    def run(self) -> None:
        """Until `close`. What is being answered then is answered; the interpreter must not end under its threads."""
        _let_wakers_go_on()
        try:
            self._accept()
        finally:
            self._drain()

    def _accept(self) -> None:
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
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            with self._lock:
                self._open[connection] = thread
            thread.start()

    def _drain(self) -> None:
        with self._lock:
            left = list(self._open.items())
        for connection, _ in left:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        deadline = time.monotonic() + GRACE
        for _, thread in left:
            thread.join(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._preamble is not None:
                connection.settimeout(PREAMBLE_TIMEOUT)
                if not _greet(connection, self._preamble):
                    return
            frames = _Frames(connection)
            while (payload := frames.receive()) is not None:
                connection.sendall(frame.encode_frame(self._handle(payload)))
        except Refusal as refusal:
            # The rest of the stream cannot be trusted to be frames.
            with contextlib.suppress(OSError):
                connection.sendall(frame.encode_frame(frame.encode_refusal(refusal)))
        except (OSError, EOFError):
            pass  # the host went away; whatever it was told before stands
        finally:
            with self._lock:
                del self._open[connection]
            connection.close()
            self._free.release()


class _Frames:
    """Frames off one connection. A frame that fits the buffer costs one call of the kernel.

    The kernel's own timeouts (SO_RCVTIMEO) keep the socket blocking: Python's would poll before every read.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(None)
        self._connection = connection
        self._buffer = bytearray(BUFFER)
        self._view = memoryview(self._buffer)
        _set_timeout(connection, socket.SO_SNDTIMEO, REQUEST_TIMEOUT)
        _set_timeout(connection, socket.SO_RCVTIMEO, IDLE_TIMEOUT)

    def receive(self) -> bytes | None:
        """The next payload; None when the peer is done. Raises EOFError within a frame, Refusal for what is none."""
        got = self._connection.recv_into(self._buffer)
        if got == 0:
            return None
        if got < frame.HEADER or got < frame.HEADER + frame.frame_length(self._buffer[: frame.HEADER]):
            return self._rest(got)
        length = frame.frame_length(self._buffer[: frame.HEADER])
        if got > frame.HEADER + length:
            raise Refusal("malformed_frame", "a second request was sent before the first was answered")
        return bytes(self._view[frame.HEADER : got])

    def _rest(self, got: int) -> bytes:
        """A frame that came in parts, or is larger than the buffer."""
        deadline = time.monotonic() + REQUEST_TIMEOUT
        _set_timeout(self._connection, socket.SO_RCVTIMEO, REQUEST_TIMEOUT)
        while got < frame.HEADER:
            got += self._read(self._view[got : frame.HEADER], deadline)
        length = frame.frame_length(self._buffer[: frame.HEADER])
        have = got - frame.HEADER
        payload = bytearray(length)
        if have > length:
            raise Refusal("malformed_frame", "a second request was sent before the first was answered")
        payload[:have] = self._view[frame.HEADER : got]
        view = memoryview(payload)
        while have < length:
            have += self._read(view[have:], deadline)
        _set_timeout(self._connection, socket.SO_RCVTIMEO, IDLE_TIMEOUT)
        return bytes(payload)

    def _read(self, target: memoryview, deadline: float) -> int:
        if time.monotonic() > deadline:
            raise EOFError  # a peer that drips bytes holds no thread for ever
        count = self._connection.recv_into(target)
        if count == 0:
            raise EOFError
        return count


def _set_timeout(connection: socket.socket, option: int, seconds: float) -> None:
    # Python passes numbers alone, of eight bytes, to options of a vsock socket, and a timeval has sixteen: the same
    # descriptor takes them under another family's name.
    named = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=connection.fileno())
    try:
        named.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", int(seconds), 0))
    finally:
        named.detach()


def _let_wakers_go_on() -> None:
    """For this thread and those it starts: once woken they wait for a free processor, and push nobody aside.

    Linux wakes a socket's reader on its writer's processor and lets it go first: a relay that writes to two signers
    would come to the second only when the first has answered (docs/adr/0008-hot-path.md). Batch threads do not preempt,
    sched(7), and lose nothing else; where the call is refused, only time is lost.
    """
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


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
