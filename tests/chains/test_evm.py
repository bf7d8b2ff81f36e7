"""EIP-1559 transactions against eth-account, and every form that a signer must not sign."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import rlp as oracle  # type: ignore[import-untyped]
from eth_account import Account
from eth_account._utils.legacy_transactions import serializable_unsigned_transaction_from_dict
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.chains import evm, rlp
from strongroom.chains.evm import Transaction
from strongroom.errors import Refusal
from tests.wire.refused import refused

KEY = Account.from_key(b"\1" * 32)
TO = bytes.fromhex("5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")
PLAIN = Transaction(31337, 7, 1, 2, 21_000, TO, 10**18)

NUMBERS = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 127, 128, 255, 256, 2**64 - 1])
AMOUNTS = st.integers(0, 2**256 - 1) | st.sampled_from([0, 1, 127, 128, 2**256 - 1])
TRANSACTIONS = st.builds(
    lambda chain, nonce, fees, gas, to, value, data: Transaction(
        chain, nonce, min(fees), max(fees), gas, to, value, data
    ),
    st.integers(1, 2**64 - 1),
    NUMBERS,
    st.tuples(AMOUNTS, AMOUNTS),
    NUMBERS,
    st.binary(min_size=20, max_size=20),
    AMOUNTS,
    st.binary(max_size=80),
)


def as_dictionary(transaction: Transaction) -> dict[str, Any]:
    return {
        "type": 2,
        "chainId": transaction.chain_id,
        "nonce": transaction.nonce,
        "maxPriorityFeePerGas": transaction.max_priority_fee,
        "maxFeePerGas": transaction.max_fee,
        "gas": transaction.gas_limit,
        "to": evm.checksum(transaction.to),
        "value": transaction.value,
        "data": transaction.data,
    }


@settings(max_examples=50)
@given(TRANSACTIONS)
def test_digest_and_raw_transaction_are_eth_accounts(transaction: Transaction) -> None:
    theirs = as_dictionary(transaction)
    assert transaction.digest() == serializable_unsigned_transaction_from_dict(theirs).hash()
    signed = KEY.sign_transaction(theirs)
    signature = signed.r.to_bytes(32, "big") + signed.s.to_bytes(32, "big") + bytes((signed.v,))
    raw = transaction.signed(signature)
    assert raw == bytes(signed.raw_transaction)
    assert Account.recover_transaction(raw) == KEY.address


@given(TRANSACTIONS)
def test_what_is_written_is_read_back(transaction: Transaction) -> None:
    assert Transaction.decode(transaction.encode()) == transaction


@given(TRANSACTIONS, st.data())
def test_whatever_is_read_is_written_again_byte_for_byte(transaction: Transaction, data: st.DataObject) -> None:
    payload = bytearray(transaction.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(payload)))
        byte = data.draw(st.integers(0, 255))
        if data.draw(st.booleans()):
            payload.insert(place, byte)
        else:
            payload[place : place + 1] = bytes((byte,))
    try:
        decoded = Transaction.decode(bytes(payload))
    except Refusal as refusal:
        assert refusal.code in ("malformed_transaction", "unsupported_transaction")
        return
    assert decoded.encode() == bytes(payload)


def test_short_signature_numbers_lose_their_leading_zeros() -> None:
    """r and s are RLP integers: a leading zero byte would make the raw transaction invalid."""
    r, s = b"\0\0" + b"\1" * 30, b"\0" + b"\2" * 31
    fields = oracle.decode(PLAIN.signed(r + s + b"\0")[1:], strict=True)
    assert fields[9:] == [b"", b"\1" * 30, b"\2" * 31]


def payload(**changes: rlp.Item) -> bytes:
    """An unsigned transaction with whatever stands in a field."""
    fields: dict[str, rlp.Item] = {
        "chain_id": b"\1",
        "nonce": b"\7",
        "priority": b"\1",
        "fee": b"\2",
        "gas": b"\x52\x08",
        "to": TO,
        "value": b"\x64",
        "data": b"",
        "access": [],
    }
    return b"\2" + rlp.encode(list({**fields, **changes}.values()))


def test_the_honest_form_is_accepted() -> None:
    assert Transaction.decode(payload()) == Transaction(1, 7, 1, 2, 21_000, TO, 100)
    assert Transaction.decode(payload(value=b"\xff" * 32, fee=b"\xff" * 32)).value == 2**256 - 1


LEADING_ZERO = ("chain_id", "nonce", "priority", "fee", "gas", "value")
SIZES = {"chain_id": 8, "nonce": 8, "priority": 32, "fee": 32, "gas": 8, "value": 32}


@pytest.mark.parametrize("field", SIZES)
def test_numbers_are_canonical_and_bounded(field: str) -> None:
    too_large: rlp.Item = b"\1" + bytes(SIZES[field])
    for item in (b"\0", b"\0\1", too_large, [], [b"\1"]):
        refused("malformed_transaction", Transaction.decode, payload(**{field: item}))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"to": b""}, "unsupported_transaction"),  # a contract's creation
        ({"to": TO[:19]}, "unsupported_transaction"),
        ({"to": TO + b"\0"}, "unsupported_transaction"),
        ({"to": [TO]}, "unsupported_transaction"),
        ({"to": [b"\1"] * 20}, "unsupported_transaction"),
        ({"access": [[TO, [bytes(32)]]]}, "unsupported_transaction"),
        ({"access": [[]]}, "unsupported_transaction"),
        ({"access": b""}, "unsupported_transaction"),
        ({"data": []}, "malformed_transaction"),
        ({"data": [b""]}, "malformed_transaction"),
        ({"priority": b"\3"}, "malformed_transaction"),  # over the maximal fee
        ({"more": b""}, "malformed_transaction"),
        ({"v": b"", "r": b"\1", "s": b"\1"}, "malformed_transaction"),  # signed already
    ],
    ids=range(13),
)
def test_other_contents_are_refused(changes: dict[str, rlp.Item], code: str) -> None:
    refused(code, Transaction.decode, payload(**changes))


def test_the_fees_may_be_equal() -> None:
    assert Transaction.decode(payload(priority=b"\2")).max_priority_fee == 2


@pytest.mark.parametrize("type_", [b"", b"\0", b"\1", b"\3", b"\4", b"\xf8", b"\x02\x02"])
def test_other_types_are_refused(type_: bytes) -> None:
    """Legacy, access-list, blob and set-code transactions; a type byte twice."""
    code = "malformed_transaction" if type_.startswith(b"\2") else "unsupported_transaction"
    refused(code, Transaction.decode, type_ + payload()[1:])


def test_a_legacy_transaction_is_refused() -> None:
    legacy = oracle.encode([7, 1, 21_000, TO, 100, b"", 1, 0, 0])
    refused("unsupported_transaction", Transaction.decode, legacy)
    refused("unsupported_transaction", Transaction.decode, b"")


def test_trailing_bytes_and_too_few_fields_are_refused() -> None:
    refused("malformed_transaction", Transaction.decode, payload() + b"\0")
    refused("malformed_transaction", Transaction.decode, payload()[:-1])
    refused("malformed_transaction", Transaction.decode, b"\2" + rlp.encode([b"\1"] * 8))
    refused("malformed_transaction", Transaction.decode, b"\2" + rlp.encode(b"ninebytes"))


def test_size_is_bounded() -> None:
    largest = evm.MAX_SIZE - len(payload(data=bytes(evm.MAX_SIZE - 200))) + evm.MAX_SIZE - 200
    assert len(payload(data=bytes(largest))) == evm.MAX_SIZE == 128 * 1024
    Transaction.decode(payload(data=bytes(largest)))
    assert (
        "over the limit"
        in refused("malformed_transaction", Transaction.decode, payload(data=bytes(largest + 1))).reason
    )


# --- Effects ---


def test_effects_of_a_transfer_and_of_a_call() -> None:
    effects = PLAIN.effects()
    assert (effects.chain_id, effects.nonce, effects.to, effects.value) == (31337, 7, TO, 10**18)
    assert (effects.fee_ceiling, effects.selector, effects.data) == (42_000, None, b"")
    call = dataclasses.replace(PLAIN, data=bytes.fromhex("a9059cbb") + bytes(64)).effects()
    assert (call.selector, len(call.data)) == (bytes.fromhex("a9059cbb"), 68)
    assert dataclasses.replace(PLAIN, data=b"abcd").effects().selector == b"abcd"


@pytest.mark.parametrize("size", [1, 2, 3])
def test_data_without_a_whole_selector_cannot_be_judged(size: int) -> None:
    refused("unsupported_transaction", dataclasses.replace(PLAIN, data=bytes(size)).effects)


def test_the_fee_ceiling_is_not_cut_to_a_machine_word() -> None:
    huge = dataclasses.replace(PLAIN, gas_limit=2**64 - 1, max_fee=2**256 - 1, max_priority_fee=0)
    assert huge.effects().fee_ceiling == (2**64 - 1) * (2**256 - 1)


# --- Addresses ---

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
    assert evm.parse_address(text) == evm.parse_address(text.lower()) == evm.parse_address(text[2:].lower()) == raw


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
    ["", "0x", EIP_55[2][:-1], EIP_55[2] + "0", EIP_55[2][:-1] + "g", "0x " + EIP_55[2][2:], "0X" + EIP_55[2][2:],
     "0x0x" + EIP_55[2][4:], "0x" + " 11" * 20, "0x" + "１" * 40],
    ids=range(10),
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
