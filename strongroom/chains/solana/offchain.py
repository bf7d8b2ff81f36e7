"""Off-chain messages of Solana, version 0: text that no program takes for a transaction, since it starts with 0xff."""

from __future__ import annotations

from strongroom.chains.effects import Effects, Signing
from strongroom.chains.evm import personal
from strongroom.errors import Refusal

_DOMAIN = b"\xffsolana offchain"
MAX_SIZE = 1212
"""Bytes of text that a hardware wallet shows; longer formats are not offered."""


def encode(payload: bytes) -> bytes:
    """What Ed25519 signs: domain ‖ version 0 ‖ format (0 ASCII, 1 UTF-8) ‖ u16 length, little-endian ‖ text."""
    written = personal.text(payload)
    if len(payload) > MAX_SIZE:
        raise Refusal("malformed_transaction", f"an off-chain message has at most {MAX_SIZE} bytes")
    form = 0 if all(" " <= char <= "~" for char in written) else 1
    return _DOMAIN + bytes((0, form)) + len(payload).to_bytes(2, "little") + payload


def effects(cluster: str, payload: bytes) -> Effects:
    return Effects(f"solana:{cluster}", signings=(Signing("text", None, personal.text(payload)[: personal.SHOWN]),))
