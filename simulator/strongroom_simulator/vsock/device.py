"""The device: queues on one side, Unix sockets on the other, in one thread."""

from __future__ import annotations

import logging
import os
import selectors
import socket
from collections import deque
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Final

from strongroom_simulator.vsock.packets import (
    HEADER_SIZE,
    HOST_CID,
    STOPS_SENDING,
    STREAM,
    Operation,
    Packet,
)
from strongroom_simulator.vsock.streams import Stream
from strongroom_simulator.vsock.vhost_user import Control
from strongroom_simulator.vsock.virtqueue import Virtqueue

_log = logging.getLogger(__name__)

RECEIVE, TRANSMIT, EVENTS = range(3)
_PREAMBLE: Final = 32
_TURN: Final = 32
"""Packets of one stream before the others have theirs."""
MAX_STREAMS: Final = 1024
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Device:
    """`Device(control, path, cid).serve()` in a thread of its own, until QEMU is gone.

    control: a Unix socket that QEMU calls. path: of the host's programs, see the package's docstring.
    """

    def __init__(self, control: Path, path: Path, cid: int) -> None:
        self._path = path
        self._cid = cid
        self._queues = (Virtqueue(), Virtqueue(), Virtqueue())
        self._streams: dict[tuple[int, int], Stream] = {}
        self._owed: deque[Packet] = deque()
        self._ports = count(1 << 30)
        self._selector = selectors.DefaultSelector()
        self._kicks: dict[int, int] = {}
        self._control_listener = _listen(control, 1)
        self._listener = _listen(path, 128)

    def serve(self) -> None:
        """Raises nothing: what ends it is logged."""
        try:
            self._serve()
        except (OSError, ValueError) as error:
            _log.error("the vsock device ends: %s", error)
        finally:
            for stream in [*self._streams.values()]:
                stream.connection.close()
            self._listener.close()
            self._control_listener.close()
            self._selector.close()

    def _serve(self) -> None:
        connection, _ = self._control_listener.accept()
        with connection:
            control = Control(connection, self._queues, self._cid.to_bytes(8, "little"), self._requeue)
            self._selector.register(connection, _READ, control)
            self._selector.register(self._listener, _READ, self._call)
            while True:
                for key, events in self._selector.select():
                    if key.data is control:
                        if not control.serve_one():
                            return
                    elif isinstance(key.data, Stream):
                        self._move(key.data, events)
                    else:
                        key.data()
                self._pay()

    # --- The queues ---

    def _requeue(self) -> None:
        """Watches the descriptors by which the guest says that it has put something into a queue."""
        wanted = {queue.kick: index for index, queue in enumerate(self._queues) if queue.kick is not None}
        for descriptor in self._kicks.keys() - wanted.keys():
            self._selector.unregister(descriptor)
        for descriptor, index in wanted.items():
            if descriptor not in self._kicks:
                self._selector.register(descriptor, _READ, self._kicked(descriptor, index))
        self._kicks = wanted
        self._transmitted()
        self._watch_all()

    def _kicked(self, descriptor: int, index: int) -> Callable[[], None]:
        def kicked() -> None:
            try:
                os.eventfd_read(descriptor)
            except BlockingIOError:
                return
            if index == TRANSMIT:
                self._transmitted()
            elif index == RECEIVE:
                self._watch_all()

        return kicked

    def _transmitted(self) -> None:
        queue = self._queues[TRANSMIT]
        while (chain := queue.take()) is not None:
            packet = Packet.decode(chain.read())
            queue.put(chain)
            self._hear(packet)
        queue.notify()

    def _pay(self) -> None:
        """Gives the guest the packets that wait, as far as it has room."""
        queue = self._queues[RECEIVE]
        while self._owed and (chain := queue.take()) is not None:
            raw = self._owed.popleft().encode()
            chain.write(raw)
            queue.put(chain, len(raw))
        queue.notify()

    # --- From the guest ---

    def _hear(self, packet: Packet) -> None:
        stream = self._streams.get((packet.target[1], packet.source[1]))
        if packet.operation == Operation.REQUEST and stream is None:
            return self._connect(packet)
        if stream is None or packet.operation == Operation.REQUEST:
            if packet.operation != Operation.RESET:
                self._owed.append(Packet(packet.target, packet.source, Operation.RESET, kind=packet.kind))
            return None
        stream.heard(packet)
        try:
            self._act(stream, packet)
        except OSError:
            self._close(stream)
        return None

    def _act(self, stream: Stream, packet: Packet) -> None:
        match packet.operation:
            case Operation.RESPONSE if stream.called:
                stream.called = False
                stream.connection.sendall(b"OK %d\n" % stream.host[1])
            case Operation.RESET:
                return self._close(stream, say=False)
            case Operation.SHUTDOWN:
                if stream.shut(packet.flags):
                    return self._close(stream)
            case Operation.DATA:
                stream.deliver(packet.data)
            case Operation.CREDIT_REQUEST:
                self._owed.append(stream.packet(Operation.CREDIT_UPDATE))
        self._watch(stream)
        return None

    def _connect(self, packet: Packet) -> None:
        """The guest calls a program of the host's."""
        connection = socket.socket(socket.AF_UNIX)
        connection.setblocking(False)
        stream = Stream(connection, packet.target, packet.source, called=False)
        try:
            if packet.target[0] != HOST_CID or packet.kind != STREAM or len(self._streams) >= MAX_STREAMS:
                raise ConnectionRefusedError
            connection.connect(f"{self._path}_{packet.target[1]}")
        except OSError:
            connection.close()
            self._owed.append(stream.packet(Operation.RESET))
            return
        self._streams[stream.key] = stream
        stream.heard(packet)
        self._owed.append(stream.packet(Operation.RESPONSE))
        self._watch(stream)

    # --- From the host ---

    def _call(self) -> None:
        connection, _ = self._listener.accept()
        connection.setblocking(False)
        line = bytearray()

        def read() -> None:
            try:
                byte = connection.recv(1)
            except BlockingIOError:
                return
            except OSError:
                byte = b""
            line.extend(byte)
            if byte == b"\n" or not byte or len(line) > _PREAMBLE:
                self._selector.unregister(connection)
                self._called(connection, bytes(line))

        self._selector.register(connection, _READ, read)

    def _called(self, connection: socket.socket, line: bytes) -> None:
        word, _, port = line.decode("ascii", "replace").rstrip("\n").partition(" ")
        refused = word != "CONNECT" or not port.isdecimal() or not line.endswith(b"\n")
        if refused or not self._queues[RECEIVE].ready or len(self._streams) >= MAX_STREAMS:
            return connection.close()
        stream = Stream(connection, (HOST_CID, next(self._ports)), (self._cid, int(port) & 0xFFFFFFFF), called=True)
        self._streams[stream.key] = stream
        self._owed.append(stream.packet(Operation.REQUEST))
        return None

    def _move(self, stream: Stream, events: int) -> None:
        try:
            if events & _WRITE:
                stream.flush()
                if stream.over:
                    return self._close(stream)
            if events & _READ:
                self._read(stream)
        except OSError:
            return self._close(stream)
        return self._watch(stream)

    def _read(self, stream: Stream) -> None:
        """Straight into the guest's buffers. What waits for them goes first."""
        self._pay()
        queue = self._queues[RECEIVE]
        for _ in range(_TURN):
            if self._owed or not stream.credit or (chain := queue.take()) is None:
                return
            try:
                data = stream.connection.recv(min(chain.room - HEADER_SIZE, stream.credit))
            except OSError as error:
                queue.untake()
                if isinstance(error, BlockingIOError):
                    return
                raise
            if not data:
                queue.untake()
                stream.finished = True
                self._owed.append(stream.packet(Operation.SHUTDOWN, flags=STOPS_SENDING))
                return
            raw = stream.packet(Operation.DATA, data).encode()
            chain.write(raw)
            queue.put(chain, len(raw))

    # --- Streams ---

    def _watch_all(self) -> None:
        for stream in [*self._streams.values()]:
            self._watch(stream)

    def _watch(self, stream: Stream) -> None:
        """Asks the selector for what can go on: reading where the guest has room, writing where something waits."""
        if stream.key not in self._streams:
            return
        if stream.owes_credit:
            self._owed.append(stream.packet(Operation.CREDIT_UPDATE))
        reads = not stream.called and not stream.finished and stream.credit and self._queues[RECEIVE].has_room
        events = (_READ if reads else 0) | (_WRITE if stream.backlog else 0)
        if events == stream.watched:
            return
        if not stream.watched:
            self._selector.register(stream.connection, events, stream)
        elif not events:
            self._selector.unregister(stream.connection)
        else:
            self._selector.modify(stream.connection, events, stream)
        stream.watched = events

    def _close(self, stream: Stream, *, say: bool = True) -> None:
        if say:
            self._owed.append(stream.packet(Operation.RESET))
        if stream.watched:
            self._selector.unregister(stream.connection)
            stream.watched = 0
        self._streams.pop(stream.key, None)
        stream.connection.close()


def _listen(path: Path, backlog: int) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(backlog)
    return listener
