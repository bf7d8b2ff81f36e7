"""Ed25519 signatures of people and of boot keys, over tagged bytes only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from strongroom.errors import Refusal
from strongroom.wire import cbor
from strongroom.wire.fields import bytes_item

KEY = 32
SIGNATURE = 64

_SMALL_ORDER: Final = frozenset(
    bytes.fromhex(y)
    for y in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    )
)
"""The y coordinates, canonical or not, of the eight points of small order; the sign bit is not part of them.

RFC 8032 does not refuse them and neither does OpenSSL. Anyone can sign for such a key: one of 32 zero bytes, say, that
stands where officers forgot to write one. (libsodium refuses the same list.)
"""


def item(value: cbor.Value) -> tuple[bytes, bytes]:
    """A pair of key and signature in a list of signatures. Raises Refusal `malformed_message`."""
    if not isinstance(value, list) or len(value) != 2:
        raise Refusal("malformed_message", "a signature is a pair of key and signature")
    key, signature = bytes_item(value[0]), bytes_item(value[1])
    if len(key) != KEY or len(signature) != SIGNATURE:
        raise Refusal("malformed_message", "a signature is a key of 32 bytes and a signature of 64")
    return key, signature


def verify(key: bytes, signature: bytes, message: bytes) -> bool:
    """False for a bad signature and for bytes that are no key: a caller needs no third case."""
    if len(key) != KEY or key[:-1] + bytes((key[-1] & 0x7F,)) in _SMALL_ORDER:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def require_quorum(
    signed: Sequence[tuple[bytes, bytes]], message: bytes, keys: Collection[bytes], quorum: int, code: str
) -> None:
    """At least `quorum` of these keys signed the message, each once, sorted by key, and nobody else. Raises Refusal
    `code`."""
    signers = [key for key, _ in signed]
    if signers != sorted(set(signers)) or not set(signers) <= set(keys):
        raise Refusal(code, "the signatures are not of distinct officers in office, sorted by key")
    if not all(verify(key, signature, message) for key, signature in signed):
        raise Refusal(code, "an officer's signature does not verify")
    if len(signers) < quorum:
        raise Refusal(code, f"{len(signers)} officers signed, the quorum is {quorum}")
