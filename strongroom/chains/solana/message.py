"""Messages of Solana transactions, legacy and version 0, decoded strictly: what Ed25519 signs are these very bytes.

    message     = [0x80] ‖ header ‖ keys ‖ recent blockhash[32] ‖ instructions ‖ [lookup tables, version 0 alone]
    header      = u8 signatures ‖ u8 read-only signers ‖ u8 read-only others
    keys        = compact length ‖ key[32]…
    instruction = u8 program ‖ compact length ‖ u8 account… ‖ compact length ‖ data

Lengths are compact-u16, in their shortest form. Address lookup tables are refused: what an index means is on the chain
alone, and only the host could say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strongroom.errors import Refusal

MAX_SIZE: Final = 1232
"""Bytes: one UDP packet; signatures are not counted here, so that no message that fits is refused."""

KEY: Final = 32
_VERSION_0: Final = 0x80


def _bad(reason: str) -> Refusal:
    return Refusal("malformed_transaction", f"Solana message: {reason}")


@dataclass(frozen=True)
class Instruction:
    """program and accounts are keys."""

    program: bytes
    accounts: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True)
class Message:
    """keys: signers first, writable ones first in each half, as the header counts them."""

    version: int | None
    signatures: int
    readonly_signers: int
    readonly_others: int
    keys: tuple[bytes, ...]
    blockhash: bytes
    instructions: tuple[Instruction, ...]

    @classmethod
    def decode(cls, payload: bytes) -> Message:
        """Exactly one message. Raises Refusal `malformed_transaction` or `unsupported_transaction`."""
        if len(payload) > MAX_SIZE:
            raise _bad(f"{len(payload)} bytes are over the limit of {MAX_SIZE}")
        reader = _Reader(payload)
        version = None
        if payload[:1] >= b"\x80":
            version = reader.byte() - _VERSION_0
            if version != 0:
                raise Refusal("unsupported_transaction", f"Solana messages of version {version} are not signed")
        counts = reader.byte(), reader.byte(), reader.byte()
        keys = tuple(reader.take(KEY) for _ in range(reader.length()))
        blockhash = reader.take(KEY)
        rows = [reader.instruction() for _ in range(reader.length())]
        if version == 0 and reader.length():
            raise Refusal(
                "unsupported_transaction", "address lookup tables hide who is paid: list the accounts instead"
            )
        reader.end()
        _check_header(counts, keys)
        return cls(version, *counts, keys, blockhash, tuple(_resolve(row, keys) for row in rows))

    def encode(self) -> bytes:
        index = {key: number for number, key in enumerate(self.keys)}
        parts = [b"" if self.version is None else bytes((_VERSION_0 + self.version,))]
        parts += [bytes((self.signatures, self.readonly_signers, self.readonly_others)), _compact(len(self.keys))]
        parts += [*self.keys, self.blockhash, _compact(len(self.instructions))]
        for each in self.instructions:
            accounts = bytes(index[account] for account in each.accounts)
            parts += [bytes((index[each.program],)), _compact(len(accounts)), accounts]
            parts += [_compact(len(each.data)), each.data]
        return b"".join(parts) + (b"" if self.version is None else b"\0")

    def signs(self, key: bytes) -> bool:
        return key in self.keys[: self.signatures]


def _check_header(counts: tuple[int, int, int], keys: tuple[bytes, ...]) -> None:
    signatures, readonly_signers, readonly_others = counts
    if not 1 <= signatures <= len(keys) or readonly_signers >= signatures:
        raise _bad("the header counts signers that are not there; the first must be writable, to pay the fee")
    if readonly_others > len(keys) - signatures:
        raise _bad("the header counts more read-only accounts than there are")
    if len(set(keys)) != len(keys):
        raise _bad("a key stands twice")


def _resolve(row: tuple[int, bytes, bytes], keys: tuple[bytes, ...]) -> Instruction:
    program, accounts, data = row
    if program == 0 or program >= len(keys) or any(account >= len(keys) for account in accounts):
        raise _bad("an instruction names an account that is not there, or the payer as its program")
    return Instruction(keys[program], tuple(keys[account] for account in accounts), data)


def _compact(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        raw = self._data[self._at : self._at + size]
        if len(raw) != size:
            raise _bad("it is cut short")
        self._at += size
        return raw

    def byte(self) -> int:
        return self.take(1)[0]

    def length(self) -> int:
        """compact-u16, shortest form."""
        number, shift = 0, 0
        while True:
            byte = self.byte()
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 14:
                raise _bad("a length is too long")
        if number > 0xFFFF or (shift and byte == 0):
            raise _bad("a length is not in its shortest form")
        return number

    def instruction(self) -> tuple[int, bytes, bytes]:
        return self.byte(), self.take(self.length()), self.take(self.length())

    def end(self) -> None:
        if self._at != len(self._data):
            raise _bad(f"{len(self._data) - self._at} trailing bytes")
