"""Output scripts that are recognised, and their addresses (BIP-173, BIP-350, base58check).

Any other script is refused: nobody could say who may spend it. So are witness versions that no rule protects yet, and
OP_RETURN with anything but one push, which other protocols (Runes, Omni) read in ways of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from strongroom.chains.bitcoin import bech32
from strongroom.chains.bitcoin.encoding import malformed, unsupported
from strongroom.chains.bitcoin.hashing import sha256d
from strongroom.chains.solana import base58

Kind = Literal["p2wpkh", "p2wsh", "p2tr", "p2pkh", "p2sh"]

MAX_DATA: Final = 80
"""Bytes after OP_RETURN: what every node relays, whatever its version."""

_OP_RETURN: Final = 0x6A
_OP_PUSHDATA1: Final = 0x4C

_FRAMES: Final[dict[Kind, tuple[bytes, int, bytes]]] = {
    "p2wpkh": (b"\x00\x14", 20, b""),
    "p2wsh": (b"\x00\x20", 32, b""),
    "p2tr": (b"\x51\x20", 32, b""),
    "p2pkh": (b"\x76\xa9\x14", 20, b"\x88\xac"),
    "p2sh": (b"\xa9\x14", 20, b"\x87"),
}
"""Kind -> bytes before, size of the hash or key, bytes after."""

_WITNESS: Final[dict[tuple[int, int], Kind]] = {(0, 20): "p2wpkh", (0, 32): "p2wsh", (1, 32): "p2tr"}
_CHECKSUM: Final = 4


@dataclass(frozen=True)
class Network:
    """prefix: of segwit addresses. p2pkh, p2sh: version bytes of base58check."""

    prefix: str
    p2pkh: int
    p2sh: int


NETWORKS: Final = {
    "mainnet": Network("bc", 0x00, 0x05),
    "testnet": Network("tb", 0x6F, 0xC4),
    "signet": Network("tb", 0x6F, 0xC4),
    "regtest": Network("bcrt", 0x6F, 0xC4),
}


def network(name: str) -> Network:
    """Raises Refusal `unsupported_transaction`."""
    try:
        return NETWORKS[name]
    except KeyError:
        known = ", ".join(NETWORKS)
        raise unsupported(f"there is no Bitcoin network {name[:20]}; there are {known}") from None


def write(kind: Kind, program: bytes) -> bytes:
    before, _size, after = _FRAMES[kind]
    return before + program + after


def recognise(script: bytes) -> tuple[Kind, bytes]:
    """Kind, and the hash or key in it. Raises Refusal `unsupported_transaction`."""
    for kind, (before, size, after) in _FRAMES.items():
        program = script[len(before) : len(before) + size]
        if len(program) == size and script == before + program + after:
            return kind, program
    raise unsupported(f"an output script that is not understood: {script[:40].hex()}")


def data(script: bytes) -> bytes | None:
    """What OP_RETURN carries: one push of 1 to 80 bytes in its shortest form. None for other scripts.

    Raises Refusal `unsupported_transaction` for every other OP_RETURN. The bare opcode is among them: it is the output
    of BIP-322's to_sign, so that no transaction is a signed message in disguise.
    """
    if script[:1] != bytes((_OP_RETURN,)):
        return None
    carried = script[2:] if len(script) < 2 + _OP_PUSHDATA1 else script[3:]
    if not 1 <= len(carried) <= MAX_DATA or script != _op_return(carried):
        raise unsupported(f"OP_RETURN is understood with one push of 1 to {MAX_DATA} bytes alone")
    return carried


def _op_return(carried: bytes) -> bytes:
    push = bytes((len(carried),)) if len(carried) < _OP_PUSHDATA1 else bytes((_OP_PUSHDATA1, len(carried)))
    return bytes((_OP_RETURN,)) + push + carried


def address_of(script: bytes, name: str) -> str:
    """Raises Refusal `unsupported_transaction`."""
    chosen = network(name)
    kind, program = recognise(script)
    if kind == "p2pkh" or kind == "p2sh":
        payload = bytes((chosen.p2pkh if kind == "p2pkh" else chosen.p2sh,)) + program
        return base58.encode(payload + sha256d(payload)[:_CHECKSUM])
    return bech32.encode(chosen.prefix, int(kind == "p2tr"), program)


def script_of(address: str, name: str) -> bytes:
    """Raises Refusal `malformed_transaction`, or `unsupported_transaction` for a witness version not in use."""
    chosen = network(name)
    if any(address.lower().startswith(each.prefix + "1") for each in NETWORKS.values()):
        version, program = bech32.decode(chosen.prefix, address)
        kind = _WITNESS.get((version, len(program)))
        if kind is None:
            raise unsupported(f"witness version {version} with {len(program)} bytes is not in use yet")
        return write(kind, program)
    payload = base58.decode(address, 1 + 20 + _CHECKSUM)
    versions: dict[int, Kind] = {chosen.p2pkh: "p2pkh", chosen.p2sh: "p2sh"}
    found = versions.get(payload[0])
    if sha256d(payload[:-_CHECKSUM])[:_CHECKSUM] != payload[-_CHECKSUM:]:
        raise malformed("the address's checksum is wrong: a character was mistyped")
    if found is None:
        raise malformed(f"this is no address of {name}")
    return write(found, payload[1:-_CHECKSUM])
