"""A virtual machine's side of a vsock device, without one: QEMU's messages, a driver's rings, and packets."""

from __future__ import annotations

import mmap
import os
import select
import socket
import struct
from pathlib import Path
from typing import Final

from strongroom_simulator.vsock.packets import HOST_CID, Operation, Packet
from strongroom_simulator.vsock.vhost_user import FEATURES, PROTOCOL_FEATURES, Ask

SIZE: Final = 1 << 20
GUEST: Final = 0x10_0000
USER: Final = 0x7F00_0000_0000
"""Where its memory begins, for the guest and for QEMU."""
RING: Final = 64
BUFFER: Final = 4096
SPACE: Final = 64 << 10
CID: Final = 16
PATIENCE: Final = 20.0
_WRITE: Final = 2


class Guest:
    """One ring each to receive and to transmit. space: what its sockets can hold, as it tells the device."""

    def __init__(self, control: Path, *, buffers: int = RING) -> None:
        descriptor = os.memfd_create("guest")
        os.truncate(descriptor, SIZE)
        self.memory = mmap.mmap(descriptor, SIZE)
        self._kicks = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2)]
        self._calls = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2)]
        self._offered = [0, 0]
        self._seen = [0, 0]
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE)
        self._socket.connect(str(control))
        self._introduce(descriptor)
        os.close(descriptor)
        for number in range(buffers):
            self._offer(0, number, BUFFER, writable=True)

    # --- What QEMU says ---

    def ask(self, ask: int, payload: bytes = b"", descriptors: tuple[int, ...] = (), *, answers: bool = False) -> bytes:
        head = struct.pack("<III", ask, 1, len(payload))
        socket.send_fds(self._socket, [head], list(descriptors))
        if payload:
            self._socket.sendall(payload)
        if not answers:
            return b""
        size = struct.unpack("<III", self._socket.recv(12, socket.MSG_WAITALL))[2]
        return self._socket.recv(size, socket.MSG_WAITALL)

    def _introduce(self, descriptor: int) -> None:
        assert self.ask(Ask.GET_FEATURES, answers=True) == struct.pack("<Q", FEATURES)
        assert self.ask(Ask.GET_PROTOCOL_FEATURES, answers=True) == struct.pack("<Q", PROTOCOL_FEATURES)
        configuration = self.ask(Ask.GET_CONFIG, struct.pack("<III", 0, 8, 0) + bytes(8), answers=True)
        assert configuration[12:] == CID.to_bytes(8, "little")
        regions = struct.pack("<II", 1, 0) + struct.pack("<QQQQ", GUEST, SIZE, USER, 0)
        self.ask(Ask.SET_MEM_TABLE, regions, (descriptor,))
        for queue in range(2):
            base = self._base(queue)
            self.ask(Ask.SET_VRING_NUM, struct.pack("<II", queue, RING))
            self.ask(Ask.SET_VRING_BASE, struct.pack("<II", queue, 0))
            self.ask(
                Ask.SET_VRING_ADDR,
                struct.pack("<IIQQQQ", queue, 0, USER + base, USER + base + 0x2000, USER + base + 0x1000, 0),
            )
            self.ask(Ask.SET_VRING_KICK, struct.pack("<Q", queue), (self._kicks[queue],))
            self.ask(Ask.SET_VRING_CALL, struct.pack("<Q", queue), (self._calls[queue],))
            self.ask(Ask.SET_VRING_ENABLE, struct.pack("<II", queue, 1))

    # --- What its driver does ---

    def send(
        self,
        operation: int,
        guest: int,
        host: int,
        data: bytes = b"",
        *,
        cid: int = HOST_CID,
        flags: int = 0,
        taken: int = 0,
        space: int = SPACE,
    ) -> None:
        """guest and host: ports."""
        self.send_raw(Packet((CID, guest), (cid, host), operation, flags, space, taken, data).encode())

    def send_raw(self, raw: bytes) -> None:
        number = self._offered[1] % RING
        at = self._buffer(1, number)
        self.memory[at : at + len(raw)] = raw
        self._offer(1, number, len(raw), writable=False)

    def receive(self) -> Packet:
        """The next packet. Fails where none comes."""
        base = self._base(0)
        while self._u16(base + 0x2000 + 2) == self._seen[0]:
            assert select.select([self._calls[0]], [], [], PATIENCE)[0], "the device says nothing"
            os.eventfd_read(self._calls[0])
        number, length = struct.unpack_from("<II", self.memory, base + 0x2000 + 4 + 8 * (self._seen[0] % RING))
        self._seen[0] = (self._seen[0] + 1) & 0xFFFF
        at = self._buffer(0, number)
        packet = Packet.decode(self.memory[at : at + length])
        self._offer(0, number, BUFFER, writable=True)
        return packet

    def expect(self, operation: Operation) -> Packet:
        packet = self.receive()
        assert packet.operation == operation
        return packet

    def send_from(self, address: int) -> None:
        """A packet that lies at this address, wherever that is."""
        self._offer(1, self._offered[1] % RING, 64, writable=False, address=address)

    def _offer(self, queue: int, number: int, length: int, *, writable: bool, address: int | None = None) -> None:
        base = self._base(queue)
        if address is None:
            address = GUEST + self._buffer(queue, number)
        struct.pack_into("<QIHH", self.memory, base + 16 * number, address, length, _WRITE if writable else 0, 0)
        struct.pack_into("<H", self.memory, base + 0x1000 + 4 + 2 * (self._offered[queue] % RING), number)
        self._offered[queue] = (self._offered[queue] + 1) & 0xFFFF
        struct.pack_into("<H", self.memory, base + 0x1000 + 2, self._offered[queue])
        os.eventfd_write(self._kicks[queue], 1)

    @staticmethod
    def _base(queue: int) -> int:
        return 0x4000 * queue

    @staticmethod
    def _buffer(queue: int, number: int) -> int:
        return 0x1_0000 + BUFFER * (RING * queue + number)

    def _u16(self, at: int) -> int:
        return int(struct.unpack_from("<H", self.memory, at)[0])

    def close(self) -> None:
        self._socket.close()
        for descriptor in (*self._kicks, *self._calls):
            os.close(descriptor)
        self.memory.close()
