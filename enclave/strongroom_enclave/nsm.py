"""Speaks to the Nitro Security Module: its CBOR requests over the device, or over the simulator's socket.

The request and response forms are those of github.com/aws/aws-nitro-enclaves-nsm-api, src/api/mod.rs.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from strongroom.errors import Refusal
from strongroom.wire import cbor

MAX_REQUEST: Final = 0x1000
MAX_RESPONSE: Final = 0x3000
"""Bytes, as the kernel's driver has them."""

PCR_SIZE: Final = 48


class Transport(Protocol):
    def exchange(self, request: bytes) -> bytes:
        """One request, one response. Raises OSError."""


class SocketTransport:
    """The simulator's socket. The connection is the enclave's power: it stays open until the process ends."""

    _HEADER: Final = 4

    def __init__(self, path: Path, timeout: float = 10.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        self._socket.connect(str(path))

    def exchange(self, request: bytes) -> bytes:
        self._socket.sendall(len(request).to_bytes(self._HEADER, "big") + request)
        length = int.from_bytes(self._read(self._HEADER), "big")
        if length > MAX_RESPONSE:
            raise OSError(f"the NSM answers with {length} bytes")
        return self._read(length)

    def close(self) -> None:
        self._socket.close()

    def _read(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            part = self._socket.recv(size - len(parts))
            if not part:
                raise OSError("the NSM closed its connection")
            parts += part
        return bytes(parts)


class DeviceTransport:
    """`/dev/nsm` by ioctl. Only an enclave has it: on AWS, or in QEMU (tests/qemu).

    The ioctl's argument is `struct nsm_iovec[2]`: address and length of the request, address and length of the buffer
    for the response, whose length the driver overwrites (linux/include/uapi/linux/nsm.h).
    """

    _IOCTL: Final = 3 << 30 | 32 << 16 | 0x0A << 8 | 0
    """_IOWR(0x0A, 0, struct nsm_raw), of 32 bytes."""
    _IOVECS: Final = struct.Struct("=QQQQ")

    def __init__(self, path: Path = Path("/dev/nsm")) -> None:
        self._device = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def exchange(self, request: bytes) -> bytes:
        sent = ctypes.create_string_buffer(request, len(request))
        received = ctypes.create_string_buffer(MAX_RESPONSE)
        message = bytearray(
            self._IOVECS.pack(ctypes.addressof(sent), len(request), ctypes.addressof(received), MAX_RESPONSE)
        )
        fcntl.ioctl(self._device, self._IOCTL, message)
        length: int = self._IOVECS.unpack(message)[3]
        return received.raw[: min(length, MAX_RESPONSE)]


@dataclass(frozen=True)
class Register:
    value: bytes
    locked: bool


class Nsm:
    """Thread-safe: one exchange at a time. Every call raises Refusal `internal` when the device fails or refuses."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._lock = threading.Lock()

    def describe_pcr(self, index: int) -> Register:
        fields = self._call("DescribePCR", {"index": index})
        value, locked = fields.get("data"), fields.get("lock")
        if not isinstance(value, bytes) or len(value) != PCR_SIZE or not isinstance(locked, bool):
            raise _broken("DescribePCR")
        return Register(value, locked)

    def extend_pcr(self, index: int, data: bytes) -> bytes:
        """The register's new value: SHA-384(old value || data)."""
        value = self._call("ExtendPCR", {"index": index, "data": data}).get("data")
        if not isinstance(value, bytes) or len(value) != PCR_SIZE:
            raise _broken("ExtendPCR")
        return value

    def lock_pcr(self, index: int) -> None:
        self._confirm("LockPCR", {"index": index})

    def lock_pcrs(self, end: int) -> None:
        """Locks 0 to end - 1."""
        self._confirm("LockPCRs", {"range": end})

    def random(self, size: int) -> bytes:
        """Bytes of the NSM's generator, which gives at most 256 a call."""
        drawn = bytearray()
        while len(drawn) < size:
            part = self._call("GetRandom", None).get("random")
            if not isinstance(part, bytes) or not part:
                raise _broken("GetRandom")
            drawn += part
        return bytes(drawn[:size])

    def attest(
        self, *, nonce: bytes | None = None, user_data: bytes | None = None, public_key: bytes | None = None
    ) -> bytes:
        """A fresh attestation document. At most 512, 512 and 1024 bytes."""
        arguments: dict[str, cbor.Value] = {"nonce": nonce, "user_data": user_data, "public_key": public_key}
        document = self._call("Attestation", arguments).get("document")
        if not isinstance(document, bytes) or not document:
            raise _broken("Attestation")
        return document

    def _call(self, operation: str, arguments: Mapping[str, cbor.Value] | None) -> dict[int | str, cbor.Foreign]:
        answer = self._exchange(operation, arguments)
        fields = answer.get(operation) if isinstance(answer, dict) and len(answer) == 1 else None
        if not isinstance(fields, dict):
            raise _broken(operation, answer)
        return fields

    def _confirm(self, operation: str, arguments: Mapping[str, cbor.Value]) -> None:
        answer = self._exchange(operation, arguments)
        if answer != operation:
            raise _broken(operation, answer)

    def _exchange(self, operation: str, arguments: Mapping[str, cbor.Value] | None) -> cbor.Foreign:
        request = cbor.encode(operation if arguments is None else {operation: arguments})
        if len(request) > MAX_REQUEST:
            raise Refusal("internal", f"an NSM request of {len(request)} bytes is too long for the device")
        try:
            with self._lock:
                response = self._transport.exchange(request)
        except OSError as error:
            raise Refusal("internal", f"the NSM does not answer {operation}: {error}") from error
        try:
            return cbor.decode_foreign(response)
        except Refusal as error:
            raise _broken(operation) from error


def _broken(operation: str, answer: cbor.Foreign = None) -> Refusal:
    error = answer.get("Error") if isinstance(answer, dict) else None
    if isinstance(error, str):
        return Refusal("internal", f"the NSM refused {operation}: {error[:64]}")
    return Refusal("internal", f"the NSM's answer to {operation} is not of its own form")
