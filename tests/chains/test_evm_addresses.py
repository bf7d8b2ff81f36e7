"""Addresses of EVM chains: EIP-55's own examples, and what is none."""

from __future__ import annotations

import pytest
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.chains import evm
from tests.wire.refused import refused

EIP_55 = [
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]


@pytest.mark.parametrize("text", EIP_55)
def test_checksums_are_those_of_the_eip(text: str) -> None:
    raw = bytes.fromhex(text[2:])
    assert evm.checksum(raw) == text
    assert evm.parse_address(text) == evm.parse_address(text.lower()) == raw


def test_a_mistyped_address_is_refused() -> None:
    right = EIP_55[4]
    for place, char in enumerate(right[2:], 2):
        if char.isalpha():
            reason = refused(
                "malformed_transaction", evm.parse_address, right[:place] + char.swapcase() + right[place + 1 :]
            ).reason
            assert "checksum" in reason


@pytest.mark.parametrize(
    "text",
    ["", "0x", EIP_55[2][2:],
     EIP_55[2][:-1], EIP_55[2] + "0", EIP_55[2][:-1] + "g", "0x " + EIP_55[2][2:], "0X" + EIP_55[2][2:],
     "0x0x" + EIP_55[2][4:], "0x" + " 11" * 20, "0x" + "１" * 40],
    ids=range(11),
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    refused("malformed_transaction", evm.parse_address, text)


@settings(max_examples=20)
@given(st.integers(1, 2**64))
def test_addresses_of_keys_are_eth_accounts(secret: int) -> None:
    account = Account.from_key(secret.to_bytes(32, "big"))
    public = account._key_obj.public_key
    assert evm.checksum(evm.address(public.to_compressed_bytes())) == account.address


@pytest.mark.parametrize("key", [b"", b"\2" + b"\xff" * 32, b"\4" + bytes(32), bytes(33), bytes(32), b"\2" + bytes(31)])
def test_what_is_no_point_has_no_address(key: bytes) -> None:
    refused("malformed_message", evm.address, key)
