"""One connection to one signer: hybrid vsock over a Unix socket, or AF_VSOCK, with frames and deadlines.

Sockets are non-blocking. One request is outstanding at a time; a connection that was late, that answered without having
been asked or that sent half a frame is closed, never used again, so that no answer can be taken for another's.
"""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from strongroom.errors import Refusal
from strongroom.wire.frame import HEADER, MAX_FRAME, frame_length

BUFFER: Final = 1 << 17
"""Bytes read at once: a round of DKLs23 (55 KB) fits, so that most answers take one system call."""

PREAMBLE: Final = 32
_GREETING: Final = re.compile(r"OK [0-9]{1,10}")
"""A port, of this end or of the other: whose it is depends on what answers."""


@dataclass(frozen=True)
class Address:
    """Where a signer listens. uds: path and the port of its hybrid-vsock preamble; vsock: context id and port."""

    kind: Literal["uds", "vsock"]
    path: str
    cid: int
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """`uds:/run/signer.sock#5000` or `vsock:16:5000`. Raises Refusal `bad_configuration`."""
        kind, _, rest = text.partition(":")
        head, _, port = rest.rpartition("#" if kind == "uds" else ":")
        if port.isdecimal() and head and int(port) < 1 << 32:
            if kind == "uds":
                return cls("uds", head, 0, int(port))
            if kind == "vsock" and head.isdecimal():
                return cls("vsock", "", int(head), int(port))
        raise Refusal("bad_configuration", f"a signer's address is uds:PATH#PORT or vsock:CID:PORT, not {text[:80]}")


def unreachable(name: str, why: str) -> Refusal:
    return Refusal("signer_unreachable", f"{name}: {why}", culprits=(name,))


class Connection:
    """A non-blocking socket to signer `name`, between two frames or within one exchange."""

    __slots__ = ("_buffer", "_filled", "_large", "_sock", "_unsent", "closed", "name", "used")

    def __init__(self, name: str, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.name = name
        self.used = False
        self.closed = False
        self._sock = sock
        self._buffer = bytearray(BUFFER)
        self._large: bytearray | None = None
        self._filled = 0
        self._unsent: list[memoryview] = []

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._sock.close()

    def quiet(self) -> bool:
        """Whether the peer is there and has said nothing that nobody asked for (an answer sent twice, or too late)."""
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def send(self, payload: bytes) -> bool:
        """Starts to send a frame, without joining its header to it. True when all of it has left."""
        if len(payload) > MAX_FRAME:
            raise Refusal("oversized_frame", f"{len(payload)} bytes are over the limit of {MAX_FRAME}")
        self.used = True
        self._filled = 0
        self._large = None
        self._unsent = [memoryview(len(payload).to_bytes(HEADER, "big")), memoryview(payload)]
        return self.push()

    def push(self) -> bool:
        """Sends on. Raises OSError when the peer is gone."""
        while self._unsent:
            try:
                sent = self._sock.sendmsg(self._unsent)
            except BlockingIOError:
                return False
            while self._unsent and sent >= len(self._unsent[0]):
                sent -= len(self._unsent.pop(0))
            if sent:
                self._unsent[0] = self._unsent[0][sent:]
        return True

    @property
    def sending(self) -> bool:
        return bool(self._unsent)

    def pull(self) -> bytes | None:
        """Reads on: the payload once it is whole, None before that. Raises OSError, or Refusal for what is no frame."""
        while True:
            target = self._buffer if self._large is None else self._large
            try:
                count = self._sock.recv_into(memoryview(target)[self._filled :])
            except BlockingIOError:
                return None
            if count == 0:
                raise ConnectionResetError("the connection was closed" + (" within a frame" if self._filled else ""))
            self._filled += count
            payload = self._whole()
            if payload is not None:
                return payload

    def _whole(self) -> bytes | None:
        """One copy: out of the buffer that the kernel filled, into the bytes that the decoder slices."""
        if self._large is not None:
            return bytes(self._large) if self._filled == len(self._large) else None
        if self._filled < HEADER:
            return None
        length = frame_length(bytes(self._buffer[:HEADER]))
        have = self._filled - HEADER
        if have > length:
            self.close()  # The frame is whole and ours; what follows it was not asked for.
            have = length
        if have == length:
            return bytes(memoryview(self._buffer)[HEADER : HEADER + length])
        if HEADER + length > len(self._buffer):
            self._large = bytearray(length)
            self._large[:have] = memoryview(self._buffer)[HEADER : self._filled]
            self._filled = have
        return None


def connect(name: str, address: Address, deadline: float) -> Connection:
    """deadline: time.monotonic(). Raises Refusal `signer_unreachable`."""
    left = max(deadline - time.monotonic(), 0.001)
    family = socket.AF_UNIX if address.kind == "uds" else socket.AF_VSOCK
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(left)
        if address.kind == "vsock":
            sock.connect((address.cid, address.port))
            return Connection(name, sock)
        sock.connect(address.path)
        sock.sendall(f"CONNECT {address.port}\n".encode())
        line = _line(sock, deadline)
        if not _GREETING.fullmatch(line):
            raise unreachable(name, f"it answered the preamble with {line[:PREAMBLE]!r}")
        return Connection(name, sock)
    except OSError as error:
        sock.close()
        raise unreachable(name, f"cannot connect: {error}") from None
    except Refusal:
        sock.close()
        raise


def _line(sock: socket.socket, deadline: float) -> str:
    """One short line, byte by byte, so that nothing of the first frame is swallowed."""
    read = bytearray()
    while len(read) < PREAMBLE:
        sock.settimeout(max(deadline - time.monotonic(), 0.001))
        byte = sock.recv(1)
        if byte in (b"\n", b""):
            break
        read += byte
    return read.decode("ascii", "replace")


Answers = list[bytes | Refusal]


def exchange(
    jobs: Sequence[tuple[Connection, bytes]], deadline: float, during: Callable[[], None] | None = None
) -> Answers:
    """Sends every request, runs `during`, then collects every answer, all in this thread.

    deadline: time.monotonic(), for all together; a silent signer costs its own answer and nobody else's. Answers are in
    the order of `jobs`: a payload, or the Refusal `signer_unreachable` (or a malformed frame's) of a closed connection.
    An exception of `during` is raised after the answers were read, so that no connection is left within an exchange.
    """
    answers: dict[int, bytes | Refusal] = {}
    poll = select.poll()
    waiting = _send(jobs, poll, answers)
    failed = _run(during)
    _collect(jobs, deadline, poll, waiting, answers)
    for index in waiting.values():
        jobs[index][0].close()
        answers[index] = unreachable(jobs[index][0].name, "it did not answer in time")
    if failed is not None:
        raise failed
    return [answers[index] for index in range(len(jobs))]


def _send(
    jobs: Sequence[tuple[Connection, bytes]], poll: select.poll, answers: dict[int, bytes | Refusal]
) -> dict[int, int]:
    """Who is waited for: index of the job by descriptor."""
    waiting: dict[int, int] = {}
    for index, (connection, payload) in enumerate(jobs):
        try:
            sent = connection.send(payload)
        except OSError as error:
            connection.close()
            answers[index] = unreachable(connection.name, f"cannot send: {error}")
        except Refusal as refusal:
            answers[index] = refusal
        else:
            waiting[connection.fileno()] = index
            poll.register(connection.fileno(), select.POLLIN if sent else select.POLLIN | select.POLLOUT)
    return waiting


def _collect(
    jobs: Sequence[tuple[Connection, bytes]],
    deadline: float,
    poll: select.poll,
    waiting: dict[int, int],
    answers: dict[int, bytes | Refusal],
) -> None:
    """Until everybody answered or the deadline has passed; what lies ready then is taken still."""
    while waiting:
        left = deadline - time.monotonic()
        for descriptor, events in poll.poll(max(left, 0) * 1000):
            answer = _advance(jobs[waiting[descriptor]][0], events, poll, descriptor)
            if answer is not None:
                answers[waiting.pop(descriptor)] = answer
                poll.unregister(descriptor)
        if left <= 0:
            return


def _run(during: Callable[[], None] | None) -> BaseException | None:
    if during is None:
        return None
    try:
        during()
    except BaseException as error:
        return error
    return None


def _advance(connection: Connection, events: int, poll: select.poll, descriptor: int) -> bytes | Refusal | None:
    try:
        if events & select.POLLOUT and connection.push():
            poll.modify(descriptor, select.POLLIN)
        if events & ~select.POLLOUT:
            return connection.pull()
    except Refusal as refusal:
        connection.close()
        return Refusal(refusal.code, f"{connection.name}: {refusal.reason}", culprits=(connection.name,))
    except OSError as error:
        connection.close()
        return unreachable(connection.name, str(error))
    return None
