"""Typed messages: bound to wallet and purpose, so that none is a transaction, a test, or another wallet's message."""

from __future__ import annotations

import hashlib

from strongroom.chains import evm, message
from tests.wire.refused import refused

WALLET = bytes(range(32))


def test_the_bytes_are_those_of_the_specification() -> None:
    separated = message.domain_separated(WALLET, b"pay nobody")
    assert separated == b"Strongroom signed message\n" + WALLET.hex().encode() + b"\npay nobody"
    tag = hashlib.sha256(b"strongroom/message/v1").digest()
    assert message.tagged(WALLET, b"pay nobody") == hashlib.sha256(tag + tag + separated).digest()


def test_a_message_is_of_one_wallet() -> None:
    """The wallet has a fixed length, so no text can move into it."""
    assert message.domain_separated(WALLET, b"x") != message.domain_separated(bytes(32), b"x")
    assert len(message.domain_separated(WALLET, b"x")) == len(b"Strongroom signed message\n") + 64 + 1 + 1


def test_text_has_1_to_4096_bytes_of_utf8() -> None:
    assert message.text("ä".encode() * 2048) == "ä" * 2048
    assert message.text(b"\0") == "\0"
    for payload in (b"", bytes(4097), b"\xff", b"\xc0\xaf", b"\xed\xa0\x80"):
        for read in (
            message.text,
            lambda raw: message.domain_separated(WALLET, raw),
            lambda raw: message.tagged(WALLET, raw),
        ):
            refused("malformed_transaction", read, payload)


def test_no_message_begins_like_a_transaction() -> None:
    """The fixed beginning, 0x53, is no EIP-2718 type (at most 0x7f, none assigned there) that this signer decodes, no
    RLP list (from 0xc0), no EIP-191 data (0x19) and no versioned message of Solana's (from 0x80)."""
    for payload in (b"x", "\x02ø".encode(), b"\x19Ethereum Signed Message:\n"):
        assert message.domain_separated(WALLET, payload).startswith(b"Strongroom signed message\n")
        refused("unsupported_transaction", evm.Transaction.decode, message.domain_separated(WALLET, payload))
