"""Text messages by EIP-191, version 0x45 (`personal_sign`)."""

from __future__ import annotations

from strongroom.chains.effects import Effects, Signing
from strongroom.errors import Refusal
from strongroom.schemes import keccak256

MAX_SIZE = 4096
SHOWN = 64
"""Characters of the text that effects repeat."""


def text(payload: bytes) -> str:
    """Raises Refusal `malformed_transaction` for an empty, too long, or non-UTF-8 payload, or one that hides text."""
    if not 1 <= len(payload) <= MAX_SIZE:
        raise Refusal("malformed_transaction", f"a message has 1 to {MAX_SIZE} bytes")
    try:
        written = payload.decode()
    except UnicodeDecodeError:
        raise Refusal("malformed_transaction", "a message is UTF-8 text") from None
    if any(not char.isprintable() and char not in "\n\t" for char in written):
        raise Refusal("malformed_transaction", "a message with control or invisible characters shows less than it says")
    return written


def digest(payload: bytes) -> bytes:
    text(payload)
    return keccak256(b"\x19Ethereum Signed Message:\n" + str(len(payload)).encode() + payload)


def effects(chain_id: int, payload: bytes) -> Effects:
    """chain_id: the chain whose policy judges it; the message itself names none."""
    return Effects(f"evm:{chain_id}", signings=(Signing("text", None, text(payload)[:SHOWN]),))
