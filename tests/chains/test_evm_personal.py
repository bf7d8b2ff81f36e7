"""EIP-191 texts: eth-account's digest, and nothing that shows less than it says."""

from __future__ import annotations

import pytest
from eth_account.messages import _hash_eip191_message, encode_defunct
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.chains.effects import Effects, Signing
from strongroom.chains.evm import personal
from tests.wire.refused import refused

WRITTEN = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P"), exclude_characters=personal._INVISIBLE), min_size=1
)


@settings(max_examples=40)
@given(WRITTEN)
def test_the_digest_is_eth_accounts(written: str) -> None:
    assert personal.digest(written.encode()) == bytes(_hash_eip191_message(encode_defunct(text=written)))


def test_a_sign_in_is_readable_text() -> None:
    written = "example.org wants you to sign in:\n\n\tНonce: ä漢字 🙂"
    assert personal.text(written.encode()) == written
    assert personal.effects(5, written.encode()) == Effects("evm:5", signings=(Signing("text", None, written[:64]),))


def test_effects_repeat_64_characters() -> None:
    assert personal.effects(1, b"a" * 65).signings[0].what == "a" * 64


@pytest.mark.parametrize("size", [1, personal.MAX_SIZE])
def test_sizes_at_the_edge(size: int) -> None:
    assert personal.digest(b"a" * size)


@pytest.mark.parametrize("raw", [b"", b"a" * 4097, b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", bytes(32)])
def test_what_is_no_text_is_refused(raw: bytes) -> None:
    refused("malformed_transaction", personal.text, raw)
    refused("malformed_transaction", personal.digest, raw)
    refused("malformed_transaction", personal.effects, 1, raw)


@pytest.mark.parametrize(
    "char",
    [
        "\0", "\r", "\x0b", "\x1b", "\x7f", "\x85",
        "\u00a0", "\u00ad", "\u034f", "\u061c", "\u115f", "\u1160", "\u17b4", "\u180b", "\u180e",
        "\u200b", "\u200d", "\u200e", "\u2028", "\u202e", "\u2060", "\u2066", "\u2800", "\u3164",
        "\ufe00", "\ufe0f", "\ufeff", "\uffa0", "\ufff9", "\ue000", "\U000e0041", "\U000e0100", "\U000e01ef",
    ],
    ids=lambda char: f"U+{ord(char):04X}",
)  # fmt: skip
def test_letters_that_show_nothing_are_refused(char: str) -> None:
    """Controls, turned directions, joiners, fillers, variation selectors, tags: the text reads well without them."""
    reason = refused("malformed_transaction", personal.text, f"pay{char} nobody".encode()).reason
    assert "invisible" in reason
