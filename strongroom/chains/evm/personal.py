"""Text messages by EIP-191, version 0x45 (`personal_sign`)."""

from __future__ import annotations

from typing import Final

from strongroom.chains.effects import Effects, Signing
from strongroom.errors import Refusal
from strongroom.schemes import keccak256

MAX_SIZE = 4096
SHOWN = 64
"""Characters of the text that effects repeat."""

_INVISIBLE: Final = frozenset(
    chr(code)
    for first, last in (
        (0x034F, 0x034F),
        (0x115F, 0x1160),
        (0x17B4, 0x17B5),
        (0x180B, 0x180F),
        (0x2800, 0x2800),
        (0x3164, 0x3164),
        (0xFE00, 0xFE0F),
        (0xFFA0, 0xFFA0),
        (0xE0100, 0xE01EF),
    )
    for code in range(first, last + 1)
)
"""Letters and marks that show nothing (Unicode's Default_Ignorable_Code_Point, and the empty Braille pattern), which
Python counts as printable: joiners, fillers, variation selectors."""


def text(payload: bytes) -> str:
    """Raises Refusal `malformed_transaction` for an empty, too long, or non-UTF-8 payload, or one that hides text."""
    if not 1 <= len(payload) <= MAX_SIZE:
        raise Refusal("malformed_transaction", f"a message has 1 to {MAX_SIZE} bytes")
    try:
        written = payload.decode()
    except UnicodeDecodeError:
        raise Refusal("malformed_transaction", "a message is UTF-8 text") from None
    if any(char in _INVISIBLE or not (char.isprintable() or char in "\n\t") for char in written):
        raise Refusal("malformed_transaction", "a message with control or invisible characters shows less than it says")
    return written


def digest(payload: bytes) -> bytes:
    text(payload)
    return keccak256(b"\x19Ethereum Signed Message:\n" + str(len(payload)).encode() + payload)


def effects(chain_id: int, payload: bytes) -> Effects:
    """chain_id: the chain whose policy judges it; the message itself names none."""
    return Effects(f"evm:{chain_id}", signings=(Signing("text", None, text(payload)[:SHOWN]),))
