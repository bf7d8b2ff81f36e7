"""Partially signed transactions, version 0 (BIP-174) and version 2 (BIP-370), decoded strictly.

    psbt   = "psbt" ‖ 0xff ‖ global map ‖ input map… ‖ output map…
    map    = record… ‖ 0x00
    record = compact length ‖ compact type ‖ key data ‖ compact length ‖ value

Refused: a key twice in one map, compact sizes that are not the shortest, trailing or missing bytes, a field of the
other version, a required field that is missing, an unsigned transaction that is signed. Unknown and proprietary fields
are refused too, though BIP-174 has signers hand them on: what cannot be decoded in full is not signed, and a field may
change what a transaction means (BIP-375's outputs are such). Records keep their order, so that `encode` gives the very
bytes that were judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from strongroom.chains.bitcoin.encoding import Reader, malformed, prefixed, unsupported
from strongroom.chains.bitcoin.fields import GLOBAL, INPUT, OUTPUT, Field, Origin
from strongroom.chains.bitcoin.transaction import FINAL, Input, Outpoint, Output, Transaction

MAGIC: Final = b"psbt\xff"
MAX_SIZE: Final = 1 << 20
"""Bytes. Most of a PSBT are the previous transactions."""

MAX_INPUTS: Final = 256
MAX_OUTPUTS: Final = 256
MAX_RECORDS: Final = 1024
"""Of one map."""

VERSIONS: Final = (0, 2)
MAX_TYPE: Final = 0xFC
"""Types above are written with more than one byte; none is known."""

_T = TypeVar("_T")
Records = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True)
class Map:
    """records: keys with their type, and values, as they were written. values: by type and key data, decoded."""

    records: Records
    values: Mapping[tuple[int, bytes], Any]
    names: tuple[str, ...]

    def encode(self) -> bytes:
        return b"".join(prefixed(key) + prefixed(value) for key, value in self.records) + b"\0"

    def one(self, kind: int, form: type[_T]) -> _T | None:
        """A field without key data. None where it is missing."""
        value = self.values.get((kind, b""))
        return value if isinstance(value, form) else None

    def required(self, kind: int, form: type[_T], table: Mapping[int, Field]) -> _T:
        value = self.one(kind, form)
        if value is None:
            raise malformed(f"the PSBT has no {table[kind].name}")
        return value

    def origins(self, kind: int) -> tuple[tuple[bytes, Origin], ...]:
        """Keys, and where each comes from."""
        return tuple((data, value) for (type_, data), value in self.values.items() if type_ == kind)


@dataclass(frozen=True)
class Psbt:
    """transaction: unsigned, complete in every respect that a signature commits to."""

    version: int
    transaction: Transaction
    common: Map
    inputs: tuple[Map, ...]
    outputs: tuple[Map, ...]

    @classmethod
    def decode(cls, payload: bytes) -> Psbt:
        """Exactly one PSBT. Raises Refusal `malformed_transaction` or `unsupported_transaction`."""
        if len(payload) > MAX_SIZE:
            raise malformed(f"the PSBT has {len(payload)} bytes, over the limit of {MAX_SIZE}")
        if payload[: len(MAGIC)] != MAGIC:
            raise malformed("this is no PSBT: its first bytes are not 70736274ff")
        reader = Reader(payload[len(MAGIC) :], "the PSBT")
        common = _map(reader, "global", GLOBAL)
        version = common.one(0xFB, int) or 0
        if version not in VERSIONS:
            raise unsupported(f"PSBTs of version {version} are not signed")
        _check_version(common, GLOBAL, version)
        ins, outs = _counts(common, version)
        inputs = tuple(_versioned(reader, "input", INPUT, version) for _ in range(ins))
        outputs = tuple(_versioned(reader, "output", OUTPUT, version) for _ in range(outs))
        reader.end()
        unsigned = _unsigned(common) if version == 0 else _assembled(common, inputs, outputs)
        return cls(version, unsigned, common, inputs, outputs)

    def encode(self) -> bytes:
        return MAGIC + b"".join(each.encode() for each in (self.common, *self.inputs, *self.outputs))

    def spent(self, number: int) -> Output:
        """The output that an input spends, as the PSBT says. From the previous transaction it is certain; from the
        witness UTXO alone it is the host's word. Raises Refusal `malformed_transaction` where the two disagree."""
        outpoint = self.transaction.inputs[number].outpoint
        told = self.inputs[number].one(0x01, Output)
        previous = self.previous(number)
        if previous is None:
            if told is None:
                raise malformed(f"input {number} has neither a previous transaction nor a witness UTXO")
            return told
        if previous.txid != outpoint.txid or outpoint.index >= len(previous.outputs):
            raise malformed(f"input {number} brings a previous transaction that it does not spend")
        proven = previous.outputs[outpoint.index]
        if told not in (None, proven):
            raise malformed(f"input {number} has a witness UTXO unlike the output of its previous transaction")
        return proven

    def previous(self, number: int) -> Transaction | None:
        return self.inputs[number].one(0x00, Transaction)


def _map(reader: Reader, where: str, table: Mapping[int, Field]) -> Map:
    records: list[tuple[bytes, bytes]] = []
    values: dict[tuple[int, bytes], Any] = {}
    names: list[str] = []
    while key := reader.prefixed():
        value = reader.prefixed()
        head = Reader(key, "a key of the PSBT")
        kind = head.compact()
        data = head.take(head.left)
        field = table.get(kind)
        if field is None:
            raise unsupported(f"a PSBT's {where} field of type {kind:#x} is not understood, so nothing is signed")
        if len(data) not in field.key:
            raise malformed(f"the key of the PSBT's {field.name} has {len(data)} bytes of data")
        if (kind, data) in values:
            raise malformed(f"the PSBT's {where} map has a {field.name} twice")
        if len(records) == MAX_RECORDS:
            raise malformed(f"the PSBT's {where} map has over {MAX_RECORDS} records")
        values[kind, data] = field.check(value, field.name)
        records.append((key, value))
        names.append(field.name)
    return Map(tuple(records), values, tuple(names))


def _versioned(reader: Reader, where: str, table: Mapping[int, Field], version: int) -> Map:
    found = _map(reader, where, table)
    _check_version(found, table, version)
    return found


def _check_version(found: Map, table: Mapping[int, Field], version: int) -> None:
    for kind, _data in found.values:
        if table[kind].version not in (None, version):
            raise malformed(f"a PSBT of version {version} has no {table[kind].name}")


def _counts(common: Map, version: int) -> tuple[int, int]:
    if version == 0:
        unsigned = common.required(0x00, Transaction, GLOBAL)
        ins, outs = len(unsigned.inputs), len(unsigned.outputs)
    else:
        ins, outs = common.required(0x04, int, GLOBAL), common.required(0x05, int, GLOBAL)
    if not 1 <= ins <= MAX_INPUTS or not 1 <= outs <= MAX_OUTPUTS:
        raise unsupported(f"a transaction has 1 to {MAX_INPUTS} inputs and 1 to {MAX_OUTPUTS} outputs")
    return ins, outs


def _unsigned(common: Map) -> Transaction:
    unsigned = common.required(0x00, Transaction, GLOBAL)
    if unsigned.segwit or any(each.script for each in unsigned.inputs):
        raise malformed("the PSBT's unsigned transaction is signed")
    return unsigned


def _assembled(common: Map, inputs: tuple[Map, ...], outputs: tuple[Map, ...]) -> Transaction:
    """BIP-370: the transaction is spread over the maps."""
    return Transaction(
        tuple(_input(each) for each in inputs),
        tuple(Output(each.required(0x03, int, OUTPUT), each.required(0x04, bytes, OUTPUT)) for each in outputs),
        common.required(0x02, int, GLOBAL),
        locktime(common.one(0x03, int) or 0, [(each.one(0x11, int), each.one(0x12, int)) for each in inputs]),
    )


def _input(found: Map) -> Input:
    outpoint = Outpoint(found.required(0x0E, bytes, INPUT), found.required(0x0F, int, INPUT))
    sequence = found.one(0x10, int)
    return Input(outpoint, FINAL if sequence is None else sequence)


def locktime(fallback: int, required: list[tuple[int | None, int | None]]) -> int:
    """BIP-370, "Determining Lock Time". required: (time, height) of each input."""
    asked = [(time, height) for time, height in required if time is not None or height is not None]
    if not asked:
        return fallback
    heights = [height for _time, height in asked if height is not None]
    if len(heights) == len(asked):
        return max(heights)
    times = [time for time, _height in asked if time is not None]
    if len(times) == len(asked):
        return max(times)
    raise malformed("one input waits for a height alone and another for a time alone: no locktime satisfies both")
