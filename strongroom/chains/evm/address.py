"""Addresses of EVM chains and their checksum (EIP-55). Inside, an address is 20 bytes; in effects, lower-case text."""

from __future__ import annotations

from functools import lru_cache

from strongroom.errors import Refusal
from strongroom.schemes import keccak256, uncompressed

SIZE = 20


@lru_cache(maxsize=1024)
def address(public_key: bytes) -> bytes:
    """The 20-byte address of a compressed secp256k1 key. Remembered, since each judgement asks for a wallet's again."""
    return keccak256(uncompressed(public_key)[1:])[12:]


def text(raw: bytes) -> str:
    """As effects and policies write it: without a checksum, so that there is one spelling."""
    return "0x" + raw.hex()


def checksum(raw: bytes) -> str:
    """EIP-55."""
    digits = raw.hex()
    digest = keccak256(digits.encode()).hex()
    mixed = (char.upper() if int(nibble, 16) >= 8 else char for char, nibble in zip(digits, digest, strict=False))
    return "0x" + "".join(mixed)


def parse_address(written: str) -> bytes:
    """Accepts all-lower-case, or a correct EIP-55 checksum. Raises Refusal `malformed_transaction`."""
    digits = written.removeprefix("0x")
    if len(digits) != 2 * SIZE or not written.startswith("0x") or set(digits.lower()) - set("0123456789abcdef"):
        raise Refusal("malformed_transaction", "an address is 0x and 40 hexadecimal digits")
    raw = bytes.fromhex(digits)
    if digits != digits.lower() and checksum(raw) != written:
        raise Refusal("malformed_transaction", "the address's checksum (EIP-55) is wrong: a character was mistyped")
    return raw
