"""Bitcoin transactions, decoded strictly: what is read is written again byte for byte.

Two serialisations: the old one, and BIP-144's with witnesses. Refused: compact sizes that are not the shortest,
trailing or missing bytes, a flag other than 1, BIP-144's form without a witness (one transaction would have two
encodings), no inputs or no outputs, more money than there can be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strongroom.chains.bitcoin.encoding import Reader, compact, malformed, prefixed, u32, u64
from strongroom.chains.bitcoin.hashing import sha256d

MAX_SIZE: Final = 400_000
"""Bytes. Nodes relay up to 400,000 units of weight (BIP-141), and a byte weighs one unit or four."""

MAX_MONEY: Final = 21_000_000 * 100_000_000
FINAL: Final = 0xFFFFFFFF
"""The sequence of an input that waits for nothing."""

_LEAST_INPUT: Final = 32 + 4 + 1 + 4
_LEAST_OUTPUT: Final = 8 + 1
_MARKER: Final = b"\0\1"


@dataclass(frozen=True)
class Outpoint:
    """txid: in the order of bytes that is hashed; as text it is reversed, as every tool shows it."""

    txid: bytes
    index: int

    def __str__(self) -> str:
        return f"{self.txid[::-1].hex()}:{self.index}"

    def encode(self) -> bytes:
        return self.txid + u32(self.index)


@dataclass(frozen=True)
class Input:
    outpoint: Outpoint
    sequence: int = FINAL
    script: bytes = b""
    witness: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Output:
    """amount: satoshi."""

    amount: int
    script: bytes

    def encode(self) -> bytes:
        return u64(self.amount) + prefixed(self.script)


@dataclass(frozen=True)
class Transaction:
    """version: the 32 bits of nVersion, unsigned."""

    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    version: int = 2
    locktime: int = 0

    @classmethod
    def decode(cls, payload: bytes, what: str = "the transaction") -> Transaction:
        """Exactly one transaction. Raises Refusal `malformed_transaction`."""
        if len(payload) > MAX_SIZE:
            raise malformed(f"{what} has {len(payload)} bytes, over the limit of {MAX_SIZE}")
        reader = Reader(payload, what)
        version = reader.number(4)
        segwit = payload[4:6] == _MARKER
        if segwit:
            reader.take(len(_MARKER))
        inputs = tuple(_input(reader) for _ in range(reader.count(_LEAST_INPUT)))
        outputs = tuple(_output(reader, what) for _ in range(reader.count(_LEAST_OUTPUT)))
        if not inputs or not outputs:
            raise malformed(f"{what} has no inputs or no outputs")
        if segwit:
            inputs = tuple(_witnessed(each, reader) for each in inputs)
            if not any(each.witness for each in inputs):
                raise malformed(f"{what} is written with witnesses, and has none")
        locktime = reader.number(4)
        reader.end()
        return cls(inputs, outputs, version, locktime)

    @property
    def segwit(self) -> bool:
        return any(each.witness for each in self.inputs)

    def encode(self) -> bytes:
        if not self.segwit:
            return self._stripped()
        stacks = b"".join(witness(each.witness) for each in self.inputs)
        return u32(self.version) + _MARKER + self._body() + stacks + u32(self.locktime)

    def _stripped(self) -> bytes:
        return u32(self.version) + self._body() + u32(self.locktime)

    def _body(self) -> bytes:
        parts = [compact(len(self.inputs))]
        parts += [each.outpoint.encode() + prefixed(each.script) + u32(each.sequence) for each in self.inputs]
        parts.append(compact(len(self.outputs)))
        parts += [each.encode() for each in self.outputs]
        return b"".join(parts)

    @property
    def txid(self) -> bytes:
        """In the order of bytes that outpoints hold. Witnesses are not hashed (BIP-141)."""
        return sha256d(self._stripped())


def _input(reader: Reader) -> Input:
    outpoint = Outpoint(reader.take(32), reader.number(4))
    script = reader.prefixed()
    return Input(outpoint, reader.number(4), script)


def _output(reader: Reader, what: str) -> Output:
    amount = reader.number(8)
    if amount > MAX_MONEY:
        raise malformed(f"{what} pays more money than there can be")
    return Output(amount, reader.prefixed())


def _witnessed(each: Input, reader: Reader) -> Input:
    return Input(each.outpoint, each.sequence, each.script, stack(reader))


def stack(reader: Reader) -> tuple[bytes, ...]:
    """A witness (BIP-144)."""
    return tuple(reader.prefixed() for _ in range(reader.count(1)))


def witness(items: tuple[bytes, ...]) -> bytes:
    return compact(len(items)) + b"".join(prefixed(each) for each in items)
