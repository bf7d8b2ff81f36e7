"""Typed messages: a text bound to the wallet and to its purpose, so that it can never be a transaction of any chain."""

from __future__ import annotations

import hashlib

from strongroom.chains.effects import Effects, Signing
from strongroom.errors import Refusal

MAX_SIZE = 4096
SHOWN = 64
"""Characters of the text that effects repeat."""

_TAG = hashlib.sha256(b"strongroom/message/v1").digest()


def text(payload: bytes) -> str:
    """Raises Refusal `malformed_transaction` for an empty, too long, or non-UTF-8 payload."""
    if not 1 <= len(payload) <= MAX_SIZE:
        raise Refusal("malformed_transaction", f"a message has 1 to {MAX_SIZE} bytes")
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise Refusal("malformed_transaction", "a message is UTF-8 text") from None


def effects(payload: bytes) -> Effects:
    """Of no chain."""
    return Effects("", signings=(Signing("text", None, text(payload)[:SHOWN]),))


def domain_separated(wallet: bytes, payload: bytes) -> bytes:
    """M of docs/specification.md section 6: what Ed25519 signs."""
    text(payload)
    return b"Strongroom signed message\n" + wallet.hex().encode() + b"\n" + payload


def tagged(wallet: bytes, payload: bytes) -> bytes:
    """BIP-340's tagged hash of M, 32 bytes: what BIP-340 suites sign."""
    return hashlib.sha256(_TAG + _TAG + domain_separated(wallet, payload)).digest()
