"""The fields of a PSBT that are known: BIP-174, BIP-370 (version 2) and BIP-371 (Taproot), by map and key type.

Each says how long the rest of its key is, and what its value must look like. Fields that no signature here depends on
(signatures, scripts, preimages, script trees) are held to their shape alone: `effects` refuses whoever brings one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from strongroom.chains.bitcoin import transaction
from strongroom.chains.bitcoin.encoding import Reader, malformed
from strongroom.chains.bitcoin.transaction import MAX_MONEY, Output, Transaction

Check = Callable[[bytes, str], object]
"""Takes value and name. Raises Refusal `malformed_transaction` unless the value has the field's form."""

POINTS: Final = (33, 65)
XONLY: Final = 32
HARDENED: Final = 1 << 31
MAX_DEPTH: Final = 255
"""BIP-32 counts depth in one byte."""

LOCKTIME_THRESHOLD: Final = 500_000_000
"""nLockTime below it is a height, from it on Unix seconds."""


@dataclass(frozen=True)
class Origin:
    """Where a key comes from. fingerprint: of the master key (BIP-32). leaves: how many Taproot leaves use it."""

    fingerprint: bytes
    path: tuple[int, ...]
    leaves: int = 0


@dataclass(frozen=True)
class Field:
    """key: lengths that key data may have. version: the one version of PSBT that has the field; None for both."""

    name: str
    check: Check
    key: tuple[int, ...] = (0,)
    version: int | None = None


def number(size: int, least: int = 0, most: int | None = None) -> Check:
    """A little-endian integer of so many bytes."""

    def check(value: bytes, name: str) -> int:
        found = int.from_bytes(value, "little")
        if len(value) != size or found < least or (most is not None and found > most):
            raise malformed(f"the PSBT's {name} is out of its range, or has not {size} bytes")
        return found

    return check


def blob(least: int, most: int = transaction.MAX_SIZE) -> Check:
    def check(value: bytes, name: str) -> bytes:
        if not least <= len(value) <= most:
            raise malformed(f"the PSBT's {name} has {len(value)} bytes")
        return value

    return check


def count(value: bytes, name: str) -> int:
    reader = Reader(value, f"the PSBT's {name}")
    found = reader.compact()
    reader.end()
    return found


def full(value: bytes, name: str) -> Transaction:
    return Transaction.decode(value, f"the PSBT's {name}")


def output(value: bytes, name: str) -> Output:
    reader = Reader(value, f"the PSBT's {name}")
    amount, script = reader.number(8), reader.prefixed()
    reader.end()
    if amount > MAX_MONEY:
        raise malformed(f"the PSBT's {name} holds more money than there can be")
    return Output(amount, script)


def origin(value: bytes, name: str) -> Origin:
    return _origin(Reader(value, f"the PSBT's {name}"), 0)


def leafy_origin(value: bytes, name: str) -> Origin:
    """BIP-371: leaf hashes before it."""
    reader = Reader(value, f"the PSBT's {name}")
    leaves = reader.count(XONLY)
    reader.take(XONLY * leaves)
    return _origin(reader, leaves)


def _origin(reader: Reader, leaves: int) -> Origin:
    fingerprint = reader.take(4)
    steps = reader.left // 4
    if steps > MAX_DEPTH:
        raise malformed("a derivation path of a PSBT is longer than BIP-32 allows")
    path = tuple(reader.number(4) for _ in range(steps))
    reader.end()
    return Origin(fingerprint, path, leaves)


def stack(value: bytes, name: str) -> tuple[bytes, ...]:
    reader = Reader(value, f"the PSBT's {name}")
    items = transaction.stack(reader)
    reader.end()
    return items


def tree(value: bytes, name: str) -> None:
    """BIP-371: depth, leaf version, script; one or more."""
    reader = Reader(value, f"the PSBT's {name}")
    while True:
        reader.take(2)
        reader.prefixed()
        if not reader.left:
            return


_SCHNORR: Final = blob(64, 65)
_CONTROL_BLOCKS: Final = tuple(range(33, 33 + 32 * 129, 32))

GLOBAL: Final[Mapping[int, Field]] = {
    0x00: Field("unsigned transaction", full, version=0),
    0x01: Field("extended public key", origin, (78,)),
    0x02: Field("transaction version", number(4), version=2),
    0x03: Field("fallback locktime", number(4), version=2),
    0x04: Field("input count", count, version=2),
    0x05: Field("output count", count, version=2),
    0x06: Field("modifiable flags", number(1), version=2),
    0xFB: Field("version", number(4)),
}

INPUT: Final[Mapping[int, Field]] = {
    0x00: Field("previous transaction", full),
    0x01: Field("witness UTXO", output),
    0x02: Field("partial signature", blob(9, 73), POINTS),
    0x03: Field("sighash type", number(4)),
    0x04: Field("redeem script", blob(0)),
    0x05: Field("witness script", blob(0)),
    0x06: Field("derivation", origin, POINTS),
    0x07: Field("final scriptSig", blob(0)),
    0x08: Field("final witness", stack),
    0x0A: Field("RIPEMD-160 preimage", blob(0), (20,)),
    0x0B: Field("SHA-256 preimage", blob(0), (32,)),
    0x0C: Field("HASH160 preimage", blob(0), (20,)),
    0x0D: Field("HASH256 preimage", blob(0), (32,)),
    0x0E: Field("previous txid", blob(32, 32), version=2),
    0x0F: Field("output index", number(4), version=2),
    0x10: Field("sequence", number(4), version=2),
    0x11: Field("required time", number(4, least=LOCKTIME_THRESHOLD), version=2),
    0x12: Field("required height", number(4, least=1, most=LOCKTIME_THRESHOLD - 1), version=2),
    0x13: Field("Taproot key signature", _SCHNORR),
    0x14: Field("Taproot script signature", _SCHNORR, (64,)),
    0x15: Field("Taproot leaf script", blob(1), _CONTROL_BLOCKS),
    0x16: Field("Taproot derivation", leafy_origin, (XONLY,)),
    0x17: Field("Taproot internal key", blob(XONLY, XONLY)),
    0x18: Field("Taproot merkle root", blob(32, 32)),
}

OUTPUT: Final[Mapping[int, Field]] = {
    0x00: Field("redeem script", blob(0)),
    0x01: Field("witness script", blob(0)),
    0x02: Field("derivation", origin, POINTS),
    0x03: Field("amount", number(8, most=MAX_MONEY), version=2),
    0x04: Field("script", blob(0), version=2),
    0x05: Field("Taproot internal key", blob(XONLY, XONLY)),
    0x06: Field("Taproot tree", tree),
    0x07: Field("Taproot derivation", leafy_origin, (XONLY,)),
}
