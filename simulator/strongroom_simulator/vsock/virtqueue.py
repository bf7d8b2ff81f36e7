"""A guest's memory, and the split virtqueues in it (virtio 1.2, section 2.7), from the device's side."""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass
from typing import Final

_DESCRIPTOR: Final = struct.Struct("<QIHH")
_NEXT: Final = 1
_WRITE: Final = 2
_U16: Final = struct.Struct("<H")
_USED: Final = struct.Struct("<II")
MAX_SIZE: Final = 32768


@dataclass(frozen=True)
class Region:
    """guest and user: where it begins for the guest, and for QEMU, whose rings are given in its own addresses."""

    guest: int
    user: int
    size: int
    offset: int
    memory: mmap.mmap


class Memory:
    """Every place is checked: an address outside of the regions raises ValueError."""

    def __init__(self, regions: tuple[Region, ...] = ()) -> None:
        self._regions = regions

    def close(self) -> None:
        for region in self._regions:
            region.memory.close()

    def guest(self, address: int, size: int) -> memoryview:
        for region in self._regions:
            if region.guest <= address and address + size <= region.guest + region.size:
                return _view(region, address - region.guest, size)
        raise ValueError(f"no memory at {address:#x}, {size} bytes")

    def user(self, address: int, size: int) -> memoryview:
        for region in self._regions:
            if region.user <= address and address + size <= region.user + region.size:
                return _view(region, address - region.user, size)
        raise ValueError(f"no ring at {address:#x}, {size} bytes")


def _view(region: Region, at: int, size: int) -> memoryview:
    return memoryview(region.memory)[region.offset + at : region.offset + at + size]


@dataclass(frozen=True)
class Chain:
    """One buffer of the guest's, in parts: those to be read, and those to be written."""

    head: int
    readable: tuple[memoryview, ...]
    writable: tuple[memoryview, ...]

    @property
    def room(self) -> int:
        return sum(map(len, self.writable))

    def read(self) -> bytes:
        return b"".join(self.readable)

    def write(self, data: bytes) -> None:
        at = 0
        for part in self.writable:
            piece = data[at : at + len(part)]
            part[: len(piece)] = piece
            at += len(piece)


class Virtqueue:
    """Not thread-safe. `take` gives the next buffer of the guest's, `put` gives it back, `notify` says so."""

    def __init__(self) -> None:
        self.size = 0
        self.enabled = False
        self.kick: int | None = None
        self.call: int | None = None
        self.next = 0
        self._memory = Memory()
        self._descriptors = self._available = self._used = memoryview(b"")
        self._done = 0
        self._news = False

    def set_base(self, base: int) -> None:
        self.next = self._done = base & 0xFFFF

    def set_rings(self, memory: Memory, descriptors: int, used: int, available: int) -> None:
        if not 0 < self.size <= MAX_SIZE:
            raise ValueError(f"a queue of {self.size} buffers")
        self._memory = memory
        self._descriptors = memory.user(descriptors, 16 * self.size)
        self._available = memory.user(available, 4 + 2 * self.size)
        self._used = memory.user(used, 4 + 8 * self.size)

    @property
    def ready(self) -> bool:
        return self.enabled and len(self._used) > 0

    @property
    def has_room(self) -> bool:
        return self.ready and _U16.unpack_from(self._available, 2)[0] != self.next

    def take(self) -> Chain | None:
        if not self.has_room:
            return None
        head = _U16.unpack_from(self._available, 4 + 2 * (self.next % self.size))[0]
        self.next = (self.next + 1) & 0xFFFF
        return self._chain(head)

    def untake(self) -> None:
        """The last buffer taken is the next one again."""
        self.next = (self.next - 1) & 0xFFFF

    def put(self, chain: Chain, written: int = 0) -> None:
        _USED.pack_into(self._used, 4 + 8 * (self._done % self.size), chain.head, written)
        self._done = (self._done + 1) & 0xFFFF
        # After the entry: the guest may look at any time, and x86 keeps the order of writes.
        _U16.pack_into(self._used, 2, self._done)
        self._news = True

    def notify(self) -> None:
        if self._news and self.call is not None:
            os.eventfd_write(self.call, 1)
        self._news = False

    def _chain(self, head: int) -> Chain:
        readable: list[memoryview] = []
        writable: list[memoryview] = []
        index = head
        for _ in range(self.size):
            if index >= self.size:
                raise ValueError(f"descriptor {index} of {self.size}")
            address, length, flags, following = _DESCRIPTOR.unpack_from(self._descriptors, 16 * index)
            part = self._memory.guest(address, length)
            (writable if flags & _WRITE else readable).append(part)
            if not flags & _NEXT:
                return Chain(head, tuple(readable), tuple(writable))
            index = following
        raise ValueError("a chain of descriptors without an end")

    def forget(self) -> None:
        """Lets go of the guest's memory."""
        self.enabled = False
        self._descriptors = self._available = self._used = memoryview(b"")
        self._memory = Memory()
