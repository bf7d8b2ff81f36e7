"""Transactions of types 0, 1 and 2 against eth-account, and every form that a signer must not sign."""

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
from strongroom.chains.effects import Effects, Transfer
from strongroom.chains.evm import Transaction
from strongroom.errors import Refusal
from tests.wire.refused import refused

KEY = Account.from_key(b"\1" * 32)
TO = bytes.fromhex("5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")
PLAIN = Transaction(31337, 7, 1, 2, 21_000, TO, 10**18)

NUMBERS = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 127, 128, 255, 256, 2**64 - 1])
AMOUNTS = st.integers(0, 2**256 - 1) | st.sampled_from([0, 1, 127, 128, 2**256 - 1])
ADDRESSES = st.binary(min_size=20, max_size=20)
ACCESS = st.lists(
    st.tuples(ADDRESSES, st.lists(st.binary(min_size=32, max_size=32), max_size=2).map(tuple)), max_size=2
).map(tuple)


TRANSACTIONS = st.builds(
    lambda kind, fees, access, chain, nonce, gas, to, value, data: Transaction(
        chain,
        nonce,
        min(fees) if kind == 2 else max(fees),
        max(fees),
        gas,
        to,
        value,
        data,
        access if kind else (),
        kind,
    ),
    st.sampled_from([0, 1, 2]),
    st.tuples(AMOUNTS, AMOUNTS),
    ACCESS,
    st.integers(1, 2**64 - 1),
    NUMBERS,
    NUMBERS,
    ADDRESSES,
    AMOUNTS,
    st.binary(max_size=80),
)


def as_dictionary(transaction: Transaction) -> dict[str, Any]:
    common = {
        "chainId": transaction.chain_id,
        "nonce": transaction.nonce,
        "gas": transaction.gas_limit,
        "to": evm.checksum(transaction.to),
        "value": transaction.value,
        "data": transaction.data,
    }
    if transaction.kind < 2:
        common["gasPrice"] = transaction.max_fee
    else:
        common |= {"maxPriorityFeePerGas": transaction.max_priority_fee, "maxFeePerGas": transaction.max_fee}
    if transaction.kind == 0:
        return common
    entries = [
        {"address": evm.checksum(address), "storageKeys": ["0x" + key.hex() for key in keys]}
        for address, keys in transaction.access
    ]
    return {**common, "type": transaction.kind, "accessList": entries}


@settings(max_examples=60)
@given(TRANSACTIONS)
def test_digest_and_raw_transaction_are_eth_accounts(transaction: Transaction) -> None:
    theirs = as_dictionary(transaction)
    assert transaction.digest() == serializable_unsigned_transaction_from_dict(theirs).hash()
    signed = KEY.sign_transaction(theirs)
    parity = signed.v - 35 - 2 * transaction.chain_id if transaction.kind == 0 else signed.v
    signature = signed.r.to_bytes(32, "big") + signed.s.to_bytes(32, "big") + bytes((parity,))
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


def test_a_legacy_transaction_is_eip_155s_own_example() -> None:
    """EIP-155, section "Example": its signing data, hash and signed transaction."""
    unsigned = bytes.fromhex(
        "ec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080018080"
    )
    read = Transaction.decode(unsigned)
    assert read == Transaction(1, 9, 20 * 10**9, 20 * 10**9, 21_000, b"\x35" * 20, 10**18, kind=0)
    assert read.digest().hex() == "daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53"
    r = bytes.fromhex("28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276")
    s = bytes.fromhex("67cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83")
    assert (r, s) == tuple(
        number.to_bytes(32, "big")
        for number in Account.from_key(b"\x46" * 32).sign_transaction(as_dictionary(read))[2:4]
    )
    assert read.signed(r + s + b"\0").hex() == (
        "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc21"
        "95fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b"
        "6d83"
    )


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
        ({"chain_id": b""}, "unsupported_transaction"),
        ({"access": b""}, "malformed_transaction"),
        ({"access": [[]]}, "malformed_transaction"),
        ({"access": [TO]}, "malformed_transaction"),
        ({"access": [[TO]]}, "malformed_transaction"),
        ({"access": [[TO, [], []]]}, "malformed_transaction"),
        ({"access": [[TO[1:], []]]}, "malformed_transaction"),
        ({"access": [[[TO], []]]}, "malformed_transaction"),
        ({"access": [[TO, b""]]}, "malformed_transaction"),
        ({"access": [[TO, [bytes(31)]]]}, "malformed_transaction"),
        ({"access": [[TO, [bytes(33)]]]}, "malformed_transaction"),
        ({"access": [[TO, [[bytes(32)]]]]}, "malformed_transaction"),
        ({"data": []}, "malformed_transaction"),
        ({"data": [b""]}, "malformed_transaction"),
        ({"priority": b"\3"}, "malformed_transaction"),  # over the maximal fee
        ({"more": b""}, "malformed_transaction"),
        ({"v": b"", "r": b"\1", "s": b"\1"}, "malformed_transaction"),  # signed already
    ],
    ids=range(21),
)
def test_other_contents_are_refused(changes: dict[str, rlp.Item], code: str) -> None:
    refused(code, Transaction.decode, payload(**changes))


def test_an_access_list_is_read() -> None:
    """It warms addresses up and moves nothing; its gas is within the gas limit."""
    read = Transaction.decode(payload(access=[[TO, [bytes(32), b"\1" * 32]], [TO, []]]))
    assert read.access == ((TO, (bytes(32), b"\1" * 32)), (TO, ()))
    assert read.effects() == Transaction.decode(payload()).effects()


def test_the_fees_may_be_equal() -> None:
    assert Transaction.decode(payload(priority=b"\2")).max_priority_fee == 2


@pytest.mark.parametrize(
    ("type_", "code"),
    [
        (b"", "malformed_transaction"),  # a legacy list of nine, which these are not
        (b"\0", "unsupported_transaction"),
        (b"\1", "malformed_transaction"),  # has eight fields
        (b"\3", "unsupported_transaction"),
        (b"\4", "unsupported_transaction"),
        (b"\x7f", "unsupported_transaction"),
        (b"\x80", "unsupported_transaction"),
        (b"\xbf", "unsupported_transaction"),
        (b"\xf8", "malformed_transaction"),
        (b"\x02\x02", "malformed_transaction"),
    ],
)
def test_other_types_are_refused(type_: bytes, code: str) -> None:
    refused(code, Transaction.decode, type_ + payload()[1:])


def test_a_set_code_transaction_is_refused_by_name() -> None:
    """EIP-7702: whoever signs an authorisation hands the wallet to a contract. As eth-account makes it."""
    given_away = KEY.sign_authorization({"chainId": 0, "address": evm.checksum(TO), "nonce": 0})
    signed = KEY.sign_transaction({**as_dictionary(PLAIN), "type": 4, "authorizationList": [given_away]})
    raw = bytes(signed.raw_transaction)
    assert raw[0] == 4
    assert "EIP-7702" in refused("unsupported_transaction", Transaction.decode, raw).reason


def test_a_blob_transaction_is_refused_by_name() -> None:
    blobs = b"\3" + rlp.encode([*rlp_items(PLAIN), b"\1", [b"\1" + bytes(31)]])
    assert "EIP-4844" in refused("unsupported_transaction", Transaction.decode, blobs).reason


def rlp_items(transaction: Transaction) -> list[rlp.Item]:
    items = rlp.decode(transaction.encode()[1:])
    return [] if isinstance(items, bytes) else list(items)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ([7, 1, 21_000, TO, 100, b""], "malformed_transaction"),  # before EIP-155: good on every chain
        ([7, 1, 21_000, TO, 100, b"", 0, 0, 0], "unsupported_transaction"),
        ([7, 1, 21_000, TO, 100, b"", 27, 1, 1], "malformed_transaction"),  # signed before EIP-155
        ([7, 1, 21_000, TO, 100, b"", 37, 1, 1], "malformed_transaction"),  # signed
        ([7, 1, 21_000, TO, 100, b"", 1, 0, 1], "malformed_transaction"),
        ([7, 1, 21_000, TO, 100, b"", 1, 1, 0], "malformed_transaction"),
        ([7, 1, 21_000, b"", 100, b"", 1, 0, 0], "unsupported_transaction"),
        ([7, 1, 21_000, TO, 100, b"", 1, 0, 0, 0], "malformed_transaction"),
        ([7, 1, 21_000, TO, 100, b"", 2**64, 0, 0], "malformed_transaction"),
    ],
)
def test_a_legacy_transaction_names_its_chain_and_is_unsigned(fields: list[Any], code: str) -> None:
    honest = Transaction.decode(oracle.encode([7, 1, 21_000, TO, 100, b"", 1, 0, 0]))
    assert honest == Transaction(1, 7, 1, 1, 21_000, TO, 100, kind=0)
    refused(code, Transaction.decode, oracle.encode(fields))


def test_nothing_is_no_transaction() -> None:
    refused("malformed_transaction", Transaction.decode, b"")
    refused("malformed_transaction", Transaction.decode, b"\xc0")


def test_trailing_bytes_and_too_few_fields_are_refused() -> None:
    refused("malformed_transaction", Transaction.decode, payload() + b"\0")
    refused("malformed_transaction", Transaction.decode, payload()[:-1])
    refused("malformed_transaction", Transaction.decode, b"\2" + rlp.encode([b"\1"] * 8))
    refused("malformed_transaction", Transaction.decode, b"\2" + rlp.encode(b"nine" * 3))


def test_size_is_bounded() -> None:
    largest = evm.MAX_SIZE - len(payload(data=bytes(evm.MAX_SIZE - 200))) + evm.MAX_SIZE - 200
    assert len(payload(data=bytes(largest))) == evm.MAX_SIZE == 128 * 1024
    Transaction.decode(payload(data=bytes(largest)))
    assert (
        "over the limit"
        in refused("malformed_transaction", Transaction.decode, payload(data=bytes(largest + 1))).reason
    )


# --- Effects of what needs no call data ---


def test_effects_of_a_transfer() -> None:
    effects = PLAIN.effects()
    assert effects == Effects(
        "evm:31337",
        (Transfer("evm:31337/native", "0x" + TO.hex(), 10**18),),
        fee_asset="evm:31337/native",
        fee_ceiling=42_000,
        once=("nonce:7",),
    )
    assert dataclasses.replace(PLAIN, value=0).effects().transfers[0].amount == 0


@pytest.mark.parametrize("size", [1, 2, 3])
def test_data_without_a_whole_selector_cannot_be_judged(size: int) -> None:
    refused("unsupported_transaction", dataclasses.replace(PLAIN, data=bytes(size)).effects)
    assert dataclasses.replace(PLAIN, data=b"abcd").selector == b"abcd"


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_the_fee_ceiling_is_not_cut_to_a_machine_word(kind: int) -> None:
    huge = dataclasses.replace(PLAIN, gas_limit=2**64 - 1, max_fee=2**256 - 1, max_priority_fee=0, kind=kind)
    assert huge.effects().fee_ceiling == (2**64 - 1) * (2**256 - 1)
