"""The packets of a vsock device (virtio 1.2, section 5.10.6)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

_HEADER: Final = struct.Struct("<QQIIIHHIII")
HEADER_SIZE: Final = _HEADER.size
STREAM: Final = 1
"""The only type of socket that there is here."""

HOST_CID: Final = 3
"""The parent instance's, in every Nitro enclave."""

STOPS_RECEIVING: Final = 1
STOPS_SENDING: Final = 2


class Operation(IntEnum):
    REQUEST = 1
    RESPONSE = 2
    RESET = 3
    SHUTDOWN = 4
    DATA = 5
    CREDIT_UPDATE = 6
    CREDIT_REQUEST = 7


@dataclass(frozen=True)
class Packet:
    """space: bytes that its sender can hold for this stream; taken: how many it has taken so far, modulo 2^32."""

    source: tuple[int, int]
    target: tuple[int, int]
    operation: int
    flags: int = 0
    space: int = 0
    taken: int = 0
    data: bytes = b""
    kind: int = STREAM

    def encode(self) -> bytes:
        ports = (self.source[0], self.target[0], self.source[1], self.target[1])
        rest = (len(self.data), self.kind, self.operation, self.flags, self.space, self.taken)
        return _HEADER.pack(*ports, *rest) + self.data

    @classmethod
    def decode(cls, raw: bytes) -> Packet:
        """Raises ValueError for fewer bytes than it promises."""
        if len(raw) < HEADER_SIZE:
            raise ValueError("half a header")
        from_cid, to_cid, from_port, to_port, length, kind, operation, flags, space, taken = _HEADER.unpack_from(raw)
        data = raw[HEADER_SIZE : HEADER_SIZE + length]
        if len(data) != length:
            raise ValueError(f"{len(data)} bytes of {length}")
        return cls((from_cid, from_port), (to_cid, to_port), operation, flags, space, taken, data, kind)
