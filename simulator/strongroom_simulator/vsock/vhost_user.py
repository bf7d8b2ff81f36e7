"""The conversation by which QEMU hands a device's queues over (docs/interop/vhost-user.rst in QEMU's sources)."""

from __future__ import annotations

import mmap
import os
import socket
import struct
from collections.abc import Callable
from enum import IntEnum
from typing import Final

from strongroom_simulator.vsock.virtqueue import Memory, Region, Virtqueue

_HEADER: Final = struct.Struct("<III")
_PAIR: Final = struct.Struct("<II")
_U64: Final = struct.Struct("<Q")
_REGION: Final = struct.Struct("<QQQQ")
_RINGS: Final = struct.Struct("<IIQQQQ")
_CONFIG: Final = struct.Struct("<III")
_VERSION, _REPLY, _WANTS_REPLY = 1, 4, 8
_INDEX, _NO_DESCRIPTOR = 0xFF, 0x100
MAX_PAYLOAD: Final = 4096
MAX_DESCRIPTORS: Final = 8

FEATURES: Final = 1 << 32 | 1 << 30
"""VIRTIO_F_VERSION_1; VHOST_USER_F_PROTOCOL_FEATURES."""
PROTOCOL_FEATURES: Final = 1 << 3 | 1 << 9
"""REPLY_ACK; CONFIG."""


class Ask(IntEnum):
    GET_FEATURES = 1
    SET_MEM_TABLE = 5
    SET_VRING_NUM = 8
    SET_VRING_ADDR = 9
    SET_VRING_BASE = 10
    GET_VRING_BASE = 11
    SET_VRING_KICK = 12
    SET_VRING_CALL = 13
    GET_PROTOCOL_FEATURES = 15
    GET_QUEUE_NUM = 17
    SET_VRING_ENABLE = 18
    GET_CONFIG = 24


class Control:
    """One QEMU. configuration: the device's, as the guest reads it. changed: called when a queue starts, stops, or has
    other descriptors. What is asked beyond `Ask` is heard, and needs nothing done.
    """

    def __init__(
        self,
        connection: socket.socket,
        queues: tuple[Virtqueue, ...],
        configuration: bytes,
        changed: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._queues = queues
        self._configuration = configuration
        self._changed = changed
        self._memory = Memory()

    def serve_one(self) -> bool:
        """Hears one message. False where QEMU is gone. Raises ValueError, OSError for what is no vhost-user."""
        head, descriptors, _, _ = socket.recv_fds(self._connection, _HEADER.size, MAX_DESCRIPTORS)
        if len(head) < _HEADER.size:
            return False
        ask, flags, size = _HEADER.unpack(head)
        if size > MAX_PAYLOAD:
            raise ValueError(f"a vhost-user message of {size} bytes")
        payload = self._connection.recv(size, socket.MSG_WAITALL) if size else b""
        kept: set[int] = set()
        try:
            answer = self._handle(ask, payload, descriptors, kept)
        finally:
            for descriptor in set(descriptors) - kept:
                os.close(descriptor)
        if answer is None and flags & _WANTS_REPLY:
            answer = _U64.pack(0)
        if answer is not None:
            self._connection.sendall(_HEADER.pack(ask, _VERSION | _REPLY, len(answer)) + answer)
        return True

    def _handle(self, ask: int, payload: bytes, descriptors: list[int], kept: set[int]) -> bytes | None:
        match ask:
            case Ask.GET_FEATURES:
                return _U64.pack(FEATURES)
            case Ask.GET_PROTOCOL_FEATURES:
                return _U64.pack(PROTOCOL_FEATURES)
            case Ask.GET_QUEUE_NUM:
                return _U64.pack(len(self._queues))
            case Ask.GET_CONFIG:
                offset, size, _ = _CONFIG.unpack_from(payload)
                return payload[: _CONFIG.size] + self._configuration[offset : offset + size].ljust(size, b"\0")
            case Ask.SET_MEM_TABLE:
                self._map(payload, descriptors)
            case Ask.GET_VRING_BASE:
                index, queue = self._stop(payload)
                return _PAIR.pack(index, queue.next)
            case Ask.SET_VRING_NUM | Ask.SET_VRING_BASE | Ask.SET_VRING_ENABLE | Ask.SET_VRING_ADDR:
                self._set(ask, payload)
            case Ask.SET_VRING_KICK | Ask.SET_VRING_CALL:
                self._signal(ask, _U64.unpack(payload)[0], descriptors, kept)
        return None

    def _map(self, payload: bytes, descriptors: list[int]) -> None:
        for queue in self._queues:
            queue.forget()
        self._memory.close()
        regions = []
        for number, descriptor in enumerate(descriptors):
            guest, size, user, offset = _REGION.unpack_from(payload, 8 + _REGION.size * number)
            regions.append(Region(guest, user, size, offset, mmap.mmap(descriptor, size + offset)))
        self._memory = Memory(tuple(regions))

    def _stop(self, payload: bytes) -> tuple[int, Virtqueue]:
        index = _PAIR.unpack(payload)[0]
        queue = self._queue(index)
        queue.forget()
        self._changed()
        return index, queue

    def _set(self, ask: int, payload: bytes) -> None:
        if ask == Ask.SET_VRING_ADDR:
            index, _, descriptors, used, available, _ = _RINGS.unpack(payload)
            return self._queue(index).set_rings(self._memory, descriptors, used, available)
        index, value = _PAIR.unpack(payload)
        queue = self._queue(index)
        if ask == Ask.SET_VRING_NUM:
            queue.size = value
        elif ask == Ask.SET_VRING_BASE:
            queue.set_base(value)
        else:
            queue.enabled = bool(value)
            self._changed()
        return None

    def _signal(self, ask: int, value: int, descriptors: list[int], kept: set[int]) -> None:
        queue = self._queue(value & _INDEX)
        new = None if value & _NO_DESCRIPTOR or not descriptors else descriptors[0]
        old = queue.kick if ask == Ask.SET_VRING_KICK else queue.call
        if new is not None:
            kept.add(new)
        if ask == Ask.SET_VRING_KICK:
            queue.kick = new
        else:
            queue.call = new
        self._changed()
        if old is not None:
            os.close(old)

    def _queue(self, index: int) -> Virtqueue:
        if index >= len(self._queues):
            raise ValueError(f"there is no queue {index}")
        return self._queues[index]
