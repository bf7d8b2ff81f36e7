"""Base58 in Bitcoin's alphabet, as Solana writes keys."""

from __future__ import annotations

from strongroom.errors import Refusal

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DIGITS = {char: value for value, char in enumerate(_ALPHABET)}


def encode(raw: bytes) -> str:
    number = int.from_bytes(raw, "big")
    digits: list[str] = []
    while number:
        number, rest = divmod(number, 58)
        digits.append(_ALPHABET[rest])
    zeros = len(raw) - len(raw.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(digits))


def decode(text: str, size: int) -> bytes:
    """Exactly `size` bytes. Raises Refusal `malformed_transaction`."""
    number = 0
    if not 1 <= len(text) <= 2 * size or any(char not in _DIGITS for char in text):
        raise Refusal("malformed_transaction", f"not base58 of {size} bytes")
    for char in text:
        number = number * 58 + _DIGITS[char]
    if number >> (8 * size) or encode(raw := number.to_bytes(size, "big")) != text:
        raise Refusal("malformed_transaction", f"not base58 of {size} bytes")
    return raw
