"""Segregated witness addresses: bech32 (BIP-173) for version 0, bech32m (BIP-350) for 1 to 16."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from strongroom.chains.bitcoin.encoding import malformed

_CHARSET: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_DIGITS: Final = {char: value for value, char in enumerate(_CHARSET)}
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM: Final = 6
_BECH32: Final = 1
_BECH32M: Final = 0x2BC830A3
MAX_LENGTH: Final = 90


def _polymod(values: Iterable[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            if top >> bit & 1:
                check ^= generator
    return check


def _expanded(prefix: str) -> list[int]:
    return [ord(char) >> 5 for char in prefix] + [0] + [ord(char) & 31 for char in prefix]


def _constant(version: int) -> int:
    return _BECH32M if version else _BECH32


def encode(prefix: str, version: int, program: bytes) -> str:
    bits = int.from_bytes(program, "big") << -8 * len(program) % 5
    count = -(-8 * len(program) // 5)
    values = [version, *(bits >> 5 * place & 31 for place in reversed(range(count)))]
    check = _polymod([*_expanded(prefix), *values, *bytes(_CHECKSUM)]) ^ _constant(version)
    values += [check >> 5 * place & 31 for place in reversed(range(_CHECKSUM))]
    return f"{prefix}1{''.join(_CHARSET[value] for value in values)}"


def decode(prefix: str, text: str) -> tuple[int, bytes]:
    """Witness version and program. Raises Refusal `malformed_transaction`, also for another network's prefix."""
    lower = text.lower()
    head, _, tail = lower.rpartition("1")
    if text not in (lower, text.upper()) or not text.isascii() or len(text) > MAX_LENGTH:
        raise malformed("a segwit address has up to 90 characters, all of one case")
    if head != prefix:
        raise malformed(f"a segwit address of this network begins with {prefix}1")
    if len(tail) <= _CHECKSUM or any(char not in _DIGITS for char in tail):
        raise malformed("a segwit address has a character that bech32 does not use, or too few")
    values = [_DIGITS[char] for char in tail]
    version = values[0]
    if version > 16 or _polymod([*_expanded(prefix), *values]) != _constant(version):
        raise malformed("the address's checksum (BIP-173, BIP-350) is wrong: a character was mistyped")
    return version, _program(version, values[1:-_CHECKSUM])


def _program(version: int, values: list[int]) -> bytes:
    number = 0
    for value in values:
        number = number << 5 | value
    size, padding = divmod(5 * len(values), 8)
    if padding > 4 or number & (1 << padding) - 1:
        raise malformed("a segwit address has padding that is not zero")
    if not 2 <= size <= 40 or (version == 0 and size not in (20, 32)):
        raise malformed(f"a witness program of version {version} has no {size} bytes")
    return (number >> padding).to_bytes(size, "big")
