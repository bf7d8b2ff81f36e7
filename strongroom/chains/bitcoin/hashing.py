"""Hash functions as Bitcoin combines them.

RIPEMD-160 is written out: OpenSSL 3 has it in its legacy provider alone before 3.0.7 and in builds for FIPS, and a
signer must not refuse on one machine what it signs on another. It hashes public keys only, so its timing tells nothing.
"""

from __future__ import annotations

from functools import cache, lru_cache
from hashlib import sha256
from typing import Final

_BLOCK: Final = 64
_WORD: Final = 0xFFFFFFFF

# Dobbertin, Bosselaers, Preneel, "RIPEMD-160: A Strengthened Version of RIPEMD", appendix A. Each digit is a number
# from 0 to 15: the order of the message's words, and the rotations, sixteen in each of five rounds; left line, then
# right line.
_WORDS: Final = (
    "0123456789abcdef74d1a6f3c0952eb83ae49f812706db5c19ba08c4d37fe56240597c2ae138b6fd",
    "5e7092b4d6f81a3c6b370d5aef8c4912f5137e69b8c2a04d86413bf05c2d97aecfa4158762de039b",
)
_SHIFTS: Final = (
    "befc5879bdef6798768db97f7cf9b7dcbd67e9dfe8d65c75bcefef989e56865c9f5b68dc5cdeb856",
    "899bdff5778beec69df7c89b77c76fdb97fb866ecd5edd75f58bee6e69c9c5f885c9c5e68d65fdbb",
)
_ADDED: Final = (
    (0x00000000, 0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xA953FD4E),
    (0x50A28BE6, 0x5C4DD124, 0x6D703EF3, 0x7A6D76E9, 0x00000000),
)
_START: Final = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0)


_ROUNDS: Final = tuple(
    tuple(
        tuple((int(_WORDS[line][at], 16), int(_SHIFTS[line][at], 16)) for at in range(16 * number, 16 * number + 16))
        for number in range(5)
    )
    for line in (0, 1)
)


def _mixed(number: int, x: int, y: int, z: int) -> int:
    if number == 0:
        return x ^ y ^ z
    if number == 1:
        return x & y | ~x & z
    if number == 2:
        return (x | ~y) ^ z
    if number == 3:
        return x & z | y & ~z
    return x ^ (y | ~z)


def _line(line: int, state: tuple[int, ...], words: list[int]) -> tuple[int, ...]:
    a, b, c, d, e = state
    for number, steps in enumerate(_ROUNDS[line]):
        function = 4 - number if line else number
        added = _ADDED[line][number]
        for word, shift in steps:
            turned = (a + _mixed(function, b, c, d) + words[word] + added) & _WORD
            turned = (turned << shift | turned >> 32 - shift) + e & _WORD
            a, e, d, c, b = e, d, (c << 10 | c >> 22) & _WORD, b, turned
    return a, b, c, d, e


def ripemd160(data: bytes) -> bytes:
    padded = data + b"\x80" + bytes(-(len(data) + 9) % _BLOCK) + (8 * len(data)).to_bytes(8, "little")
    state: tuple[int, ...] = _START
    for at in range(0, len(padded), _BLOCK):
        words = [int.from_bytes(padded[at + i : at + i + 4], "little") for i in range(0, _BLOCK, 4)]
        left, right = _line(0, state, words), _line(1, state, words)
        state = tuple((state[(i + 1) % 5] + left[(i + 2) % 5] + right[(i + 3) % 5]) & _WORD for i in range(5))
    return b"".join(word.to_bytes(4, "little") for word in state)


def sha256d(data: bytes) -> bytes:
    return sha256(sha256(data).digest()).digest()


@lru_cache(maxsize=1024)
def hash160(data: bytes) -> bytes:
    """Of a public key or a script. Remembered, since a wallet's own keys come back with each transaction."""
    return ripemd160(sha256(data).digest())


@cache
def _prefix(tag: str) -> bytes:
    return 2 * sha256(tag.encode()).digest()


def tagged(tag: str, data: bytes) -> bytes:
    """BIP-340."""
    return sha256(_prefix(tag) + data).digest()
