"""Bitcoin transactions: what is written is read back, and nothing else is read. Hashes against other programs."""

from __future__ import annotations

import hashlib
import io
import string

import pytest
from embit.transaction import Transaction as Oracle  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.chains.bitcoin import encoding
from strongroom.chains.bitcoin.encoding import Reader, compact
from strongroom.chains.bitcoin.hashing import hash160, ripemd160, tagged
from strongroom.chains.bitcoin.transaction import MAX_MONEY, MAX_SIZE, Input, Outpoint, Output, Transaction
from strongroom.errors import Refusal
from tests.wire.refused import refused

NUMBERS = st.integers(0, 2**32 - 1)
INPUTS = st.builds(
    Input,
    st.builds(Outpoint, st.binary(min_size=32, max_size=32), NUMBERS),
    NUMBERS,
    st.binary(max_size=4),
    st.lists(st.binary(max_size=5), max_size=3).map(tuple),
)
OUTPUTS = st.builds(Output, st.integers(0, MAX_MONEY), st.binary(max_size=300))
TRANSACTIONS = st.builds(
    Transaction,
    st.lists(INPUTS, min_size=1, max_size=3).map(tuple),
    st.lists(OUTPUTS, min_size=1, max_size=3).map(tuple),
    NUMBERS,
    NUMBERS,
)
ONE = Transaction((Input(Outpoint(b"\1" * 32, 2)),), (Output(3, b"\x51"),))


@given(TRANSACTIONS)
def test_what_is_written_is_read_back_and_is_embits(transaction: Transaction) -> None:
    raw = transaction.encode()
    assert Transaction.decode(raw) == transaction
    theirs = Oracle.parse(raw)
    assert theirs.serialize() == raw
    assert theirs.txid() == transaction.txid[::-1]


@given(TRANSACTIONS, st.data())
def test_whatever_is_read_is_written_again_byte_for_byte(transaction: Transaction, data: st.DataObject) -> None:
    payload = mutated(transaction.encode(), data)
    try:
        read = Transaction.decode(payload)
    except Refusal as refusal:
        assert refusal.code == "malformed_transaction"
    else:
        assert read.encode() == payload


def mutated(raw: bytes, data: st.DataObject) -> bytes:
    payload = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(payload)))
        piece = data.draw(st.binary(max_size=9))
        payload[place : place + data.draw(st.integers(0, 2))] = piece
    return bytes(payload)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    try:
        Transaction.decode(payload)
    except Refusal as refusal:
        assert refusal.code == "malformed_transaction"


def test_a_transaction_that_is_cut_short_is_refused_though_embit_takes_it() -> None:
    raw = ONE.encode()
    taken = [end for end in range(len(raw)) if _embit_takes(raw[:end])]
    assert taken  # embit accepts truncated transactions: it is an oracle for what is sound alone
    for end in range(len(raw)):
        refused("malformed_transaction", Transaction.decode, raw[:end])


def _embit_takes(raw: bytes) -> bool:
    try:
        Oracle.read_from(io.BytesIO(raw))
    except Exception:
        return False
    return True


def test_trailing_bytes_are_refused() -> None:
    assert "1 bytes after" in refused("malformed_transaction", Transaction.decode, ONE.encode() + b"\0").reason


def test_one_transaction_has_one_encoding() -> None:
    raw = ONE.encode()
    stuffed = raw[:4] + b"\0\1" + raw[4:-4] + b"\0" + raw[-4:]
    assert "has none" in refused("malformed_transaction", Transaction.decode, stuffed).reason
    for flag in (0, 2, 3):
        refused("malformed_transaction", Transaction.decode, raw[:4] + bytes((0, flag)) + raw[4:])
    longer = raw[:4] + b"\xfd\1\0" + raw[5:]
    assert "shortest" in refused("malformed_transaction", Transaction.decode, longer).reason


@pytest.mark.parametrize("transaction", [Transaction((), ONE.outputs), Transaction(ONE.inputs, ())])
def test_a_transaction_has_inputs_and_outputs(transaction: Transaction) -> None:
    refused("malformed_transaction", Transaction.decode, transaction.encode())


def test_more_money_than_there_can_be_is_refused() -> None:
    most = Transaction(ONE.inputs, (Output(MAX_MONEY, b""),))
    assert Transaction.decode(most.encode()) == most
    more = Transaction(ONE.inputs, (Output(MAX_MONEY + 1, b""),))
    refused("malformed_transaction", Transaction.decode, more.encode())


def test_size_is_bounded_before_anything_is_read() -> None:
    fits = Transaction(ONE.inputs, (Output(0, bytes(MAX_SIZE - len(ONE.encode()) - 3)),))
    assert len(fits.encode()) == MAX_SIZE
    assert Transaction.decode(fits.encode()) == fits
    refused("malformed_transaction", Transaction.decode, bytes(MAX_SIZE + 1))


def test_a_huge_count_is_refused_before_a_list_is_made() -> None:
    for count in (b"\xfe\xff\xff\xff\xff", b"\xff" + b"\xff" * 8):
        refused("malformed_transaction", Transaction.decode, b"\2\0\0\0" + count + bytes(60))


@given(st.integers(0, 2**64 - 1) | st.sampled_from([0xFC, 0xFD, 0xFFFF, 1 << 16, 2**32 - 1, 1 << 32]))
def test_a_compact_size_has_one_form(number: int) -> None:
    written = compact(number)
    assert Reader(written, "it").compact() == number
    for head, length in ((0xFD, 2), (0xFE, 4), (0xFF, 8)):
        if number < 1 << 8 * length and 1 + length > len(written):
            padded = bytes((head,)) + number.to_bytes(length, "little")
            refused("malformed_transaction", Reader(padded, "it").compact)


def test_a_compact_size_ends() -> None:
    with pytest.raises(ValueError, match="64 bits"):
        encoding.compact(1 << 64)


LONGER = "b0e20b6e3116640286ed3a87a5713079b21f5189"


@pytest.mark.parametrize(
    ("data", "digest"),
    # "RIPEMD-160: A Strengthened Version of RIPEMD", appendix B.
    [
        (b"", "9c1185a5c5e9fc54612808977ee8f548b2258d31"),
        (b"a", "0bdc9d2d256b3ee9daae347be6f4dc835a467ffe"),
        (b"abc", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"),
        (b"message digest", "5d0689ef49d2fae572b881b123a85ffa21595f36"),
        (b"abcdefghijklmnopqrstuvwxyz", "f71c27109c692c1b56bbdceb5b9d2865b3708dbc"),
        (b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "12a053384a9c0c88e405a06c27dcf49ada62eb2b"),
        (string.ascii_uppercase.encode() + string.ascii_lowercase.encode() + b"0123456789", LONGER),
        (b"1234567890" * 8, "9b752e45573d4b39f4dbd3323cab82bf63326bfb"),
    ],
)
def test_ripemd160_is_the_published_one(data: bytes, digest: str) -> None:
    assert ripemd160(data).hex() == digest


@settings(max_examples=50)
@given(st.binary(max_size=300))
def test_ripemd160_is_openssls_where_it_has_one(data: bytes) -> None:
    try:
        theirs = hashlib.new("ripemd160", data)
    except ValueError:
        pytest.skip("this OpenSSL has no RIPEMD-160: the reason why ours is written out")
    assert ripemd160(data) == theirs.digest()
    assert hash160(data) == hashlib.new("ripemd160", hashlib.sha256(data).digest()).digest()


def test_a_tagged_hash_is_bip340s() -> None:
    tag = hashlib.sha256(b"TapSighash").digest()
    assert tagged("TapSighash", b"data") == hashlib.sha256(tag + tag + b"data").digest()
