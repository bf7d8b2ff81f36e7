"""PSBTs: the vectors of BIP-174, BIP-370 and BIP-371, one encoding for each, and every byte changed."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from embit.psbt import PSBT as Oracle  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.chains.bitcoin import WalletKeys, psbt
from strongroom.chains.bitcoin.effects import decode
from strongroom.chains.bitcoin.psbt import MAX_INPUTS, MAX_SIZE, Psbt
from strongroom.chains.bitcoin.transaction import FINAL, Input, Outpoint, Transaction
from strongroom.errors import Refusal
from tests.chains.bitcoin_cases import ECDSA, PAID, PUBLIC, SCHNORR, VECTORS, Draft, coin, draft, number, simple, size
from tests.chains.test_bitcoin_transactions import mutated
from tests.wire.refused import refused


def cases(standard: str, verdict: str) -> list[object]:
    rows = VECTORS[standard][verdict]
    named = ((f"{standard}-{place}-{row['case'][:50]}", row["psbt"]) for place, row in enumerate(rows))
    return [pytest.param(bytes.fromhex(payload), id=name) for name, payload in named]


@pytest.mark.parametrize("payload", cases("bip174", "valid") + cases("bip371", "valid"))
def test_valid_vectors_are_read_and_written_again(payload: bytes) -> None:
    read = Psbt.decode(payload)
    assert read.encode() == payload
    assert read.transaction.encode() == Oracle.parse(payload).tx.serialize()


@pytest.mark.parametrize(
    "payload", cases("bip174", "invalid") + cases("bip370", "invalid") + cases("bip371", "invalid")
)
def test_invalid_vectors_are_refused(payload: bytes) -> None:
    refused("malformed_transaction", Psbt.decode, payload)


@pytest.mark.parametrize("payload", cases("bip174", "valid") + cases("bip371", "valid"))
@pytest.mark.parametrize("wallet", [ECDSA, SCHNORR], ids=["p2wpkh", "p2tr"])
def test_no_vector_is_signed_by_another_wallet(payload: bytes, wallet: WalletKeys) -> None:
    with pytest.raises(Refusal) as caught:
        decode(payload, wallet, "mainnet")
    assert caught.value.code in ("unsupported_transaction", "intent_mismatch")


def test_a_psbt_without_inputs_is_refused_though_bip174_has_one() -> None:
    """Its unsigned transaction reads like one with witnesses, and there is nothing in it to sign."""
    payload = bytes.fromhex("70736274ff01002001000000000100000000000000000d6a0b68656c6c6f20776f726c64000000000000")
    refused("malformed_transaction", Psbt.decode, payload)


# BIP-370, "Test Vectors": the same cases, made here, so that each field's own refusal is seen; its bytes come below.
FIELDS_OF_VERSION_2 = {
    "common": {b"\x02": number(2), b"\x03": number(0), b"\x04": size(2), b"\x05": size(2), b"\x06": b"\0"},
    "inputs": {
        b"\x0e": bytes(32),
        b"\x0f": number(0),
        b"\x10": number(0),
        b"\x11": number(500000000),
        b"\x12": number(1),
    },
    "outputs": {b"\x03": number(1, 8), b"\x04": b"\x51"},
}
EACH = [(where, key, value) for where, fields in FIELDS_OF_VERSION_2.items() for key, value in fields.items()]


def maps(made: Draft, where: str) -> dict[bytes, bytes]:
    found = {"common": made.common, "inputs": made.inputs[0], "outputs": made.outputs[0]}
    return found[where]


@pytest.mark.parametrize(("where", "key", "value"), EACH)
def test_fields_of_version_2_in_version_0(where: str, key: bytes, value: bytes) -> None:
    made = simple()
    maps(made, where)[key] = value
    assert "version 0 has no" in refused("malformed_transaction", Psbt.decode, made.payload()).reason


def test_version_0_may_say_so_and_must_not_say_2() -> None:
    made = simple()
    made.common[b"\xfb"] = number(0)
    assert Psbt.decode(made.payload()).version == 0
    made.common[b"\xfb"] = number(2)
    refused("malformed_transaction", Psbt.decode, made.payload())
    for version in (1, 3, 2**32 - 1):
        made.common[b"\xfb"] = number(version)
        refused("unsupported_transaction", Psbt.decode, made.payload())


def test_version_2_has_no_unsigned_transaction() -> None:
    made = simple(version=2)
    made.common[b"\0"] = simple().common[b"\0"]
    refused("malformed_transaction", Psbt.decode, made.payload())


REQUIRED = [("common", b"\x02"), ("common", b"\x04"), ("common", b"\x05"), ("inputs", b"\x0e"), ("inputs", b"\x0f")]


@pytest.mark.parametrize(("where", "key"), [*REQUIRED, ("outputs", b"\x03"), ("outputs", b"\x04")])
def test_required_fields_of_version_2(where: str, key: bytes) -> None:
    made = simple(version=2)
    del maps(made, where)[key]
    assert "has no" in refused("malformed_transaction", Psbt.decode, made.payload()).reason


@pytest.mark.parametrize(
    ("key", "value"),
    [(b"\x11", 499999999), (b"\x12", 500000000), (b"\x12", 0)],
)
def test_locktimes_of_inputs_have_ranges(key: bytes, value: int) -> None:
    made = simple(version=2)
    made.inputs[0][key] = number(value)
    refused("malformed_transaction", Psbt.decode, made.payload())


def test_required_fields_alone_are_enough() -> None:
    made = simple(version=2)
    del made.common[b"\x03"], made.inputs[0][b"\x10"]
    read = Psbt.decode(made.payload()).transaction
    assert (read.locktime, read.inputs[0].sequence, read.version) == (0, FINAL, 2)


# BIP-370: (time, height) that each input requires, the fallback, and the locktime; None where none can be computed.
TIME = 1657048460
LOCKTIMES = [
    ([(None, None), (None, None)], None, 0),
    ([(None, None), (None, None)], 0, 0),
    ([(None, None), (None, None)], 77, 77),
    ([(None, 10000), (None, None)], 0, 10000),
    ([(None, 10000), (None, 9000)], 0, 10000),
    ([(None, 10000), (TIME, 9000)], 0, 10000),
    ([(TIME - 1, 10000), (TIME, 9000)], 0, 10000),
    ([(TIME - 1, None), (TIME, 9000)], 0, TIME),
    ([(TIME - 1, 10000), (TIME, None)], 0, TIME),
    ([(None, None), (TIME, None)], 0, TIME),
    ([(None, 10000), (TIME, None)], 0, None),
]


@pytest.mark.parametrize(("required", "fallback", "locktime"), LOCKTIMES)
def test_locktime_of_version_2(
    required: list[tuple[int | None, int | None]], fallback: int | None, locktime: int | None
) -> None:
    made = simple(version=2)
    del made.common[b"\x03"]
    if fallback is not None:
        made.common[b"\x03"] = number(fallback)
    for records, (time, height) in zip(made.inputs, required, strict=True):
        records |= {} if time is None else {b"\x11": number(time)}
        records |= {} if height is None else {b"\x12": number(height)}
    if locktime is None:
        assert "no locktime" in refused("malformed_transaction", Psbt.decode, made.payload()).reason
    else:
        assert Psbt.decode(made.payload()).transaction.locktime == locktime


@pytest.mark.parametrize("flags", [1, 2, 4, 8, 3, 5, 6, 7, 255])
def test_what_may_still_change_is_not_signed(flags: int) -> None:
    made = simple(version=2)
    made.common[b"\x06"] = bytes((flags,))
    payload = made.payload()
    assert Psbt.decode(payload).encode() == payload
    refused("unsupported_transaction", decode, payload, ECDSA, "regtest")
    made.common[b"\x06"] = b"\0"
    assert decode(made.payload(), ECDSA, "regtest").to_sign


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=f"bip370-{n}") for n, row in enumerate(VECTORS["bip370"]["valid"])]
)
def test_valid_vectors_of_bip370_and_the_lock_time_that_it_computes(row: dict[str, Any]) -> None:
    payload = bytes.fromhex(row["psbt"])
    read = Psbt.decode(payload)
    assert read.encode() == payload
    assert "locktime" not in row or read.transaction.locktime == row["locktime"]


def test_bip370_has_lock_times() -> None:
    assert {row["locktime"] for row in VECTORS["bip370"]["valid"] if "locktime" in row} == {0, 10_000, 1_657_048_460}


@pytest.mark.parametrize("version", [0, 2])
@pytest.mark.parametrize("where", ["common", "inputs", "outputs"])
@pytest.mark.parametrize(
    "key",
    [
        b"\xf0\1\2\3",  # unknown, as in BIP-174's vectors
        b"\xfc\5otherthing",  # proprietary
        b"\x09",  # global: BIP-322's message, input: BIP-127's commitment, output: BIP-375's silent payment
        b"\x1a" + bytes(33),  # input: BIP-373's participants
        b"\x35",  # output: BIP-353's proof
        b"\xfd\xfd\0",  # a type of three bytes
    ],
)
def test_fields_that_are_not_understood(version: int, where: str, key: bytes) -> None:
    made = simple(version=version)
    maps(made, where)[key] = b"value"
    assert "not understood" in refused("unsupported_transaction", Psbt.decode, made.payload()).reason


def test_a_type_has_one_encoding() -> None:
    made = simple()
    made.inputs[0][b"\xfd\x03\0"] = number(1)
    assert "shortest" in refused("malformed_transaction", Psbt.decode, made.payload()).reason


def test_a_key_twice() -> None:
    made = simple()
    payload = made.payload()
    record = b"\x01\x03\x04" + number(1)
    made.inputs[0][b"\x03"] = number(1)
    once = made.payload()
    assert Psbt.decode(once).encode() == once
    twice = once.replace(record, record + record)
    assert len(twice) == len(payload) + 2 * len(record)
    assert "twice" in refused("malformed_transaction", Psbt.decode, twice).reason


@pytest.mark.parametrize("version", [0, 2])
def test_ends(version: int) -> None:
    payload = simple(version=version).payload()
    for end in range(len(payload)):
        refused("malformed_transaction", Psbt.decode, payload[:end])
    for tail in (b"\0", b"\1", payload):
        refused("malformed_transaction", Psbt.decode, payload + tail)
    refused("malformed_transaction", Psbt.decode, base64.b64encode(payload))


def test_order_of_records_is_the_writers() -> None:
    made = simple()
    made.inputs[0] = dict(reversed(made.inputs[0].items()))
    payload = made.payload()
    assert Psbt.decode(payload).encode() == payload
    assert payload != simple().payload()


def test_a_signed_transaction_is_not_unsigned() -> None:
    made = simple()
    assert made.unsigned is not None
    first, second = made.unsigned.inputs
    for changed in (Input(first.outpoint, script=b"\1"), Input(first.outpoint, witness=(b"\1",))):
        unsigned = Transaction((changed, second), made.unsigned.outputs)
        made.common[b"\0"] = unsigned.encode()
        assert "signed" in refused("malformed_transaction", Psbt.decode, made.payload()).reason


def test_sizes_and_counts_are_bounded() -> None:
    refused("malformed_transaction", Psbt.decode, b"psbt\xff" + bytes(MAX_SIZE))
    made = simple(version=2)
    for key in (b"\x04", b"\x05"):
        for count in (0, MAX_INPUTS + 1, 1 << 20):
            changed = simple(version=2)
            changed.common[key] = size(count)
            refused("unsupported_transaction", Psbt.decode, changed.payload())
    many = [Input(Outpoint(bytes(32), place)) for place in range(MAX_INPUTS + 1)]
    assert made.unsigned is not None
    large = Draft({b"\0": Transaction(tuple(many), made.unsigned.outputs).encode()}, [{}] * len(many), [{}, {}])
    refused("unsupported_transaction", Psbt.decode, large.payload())
    crowded = simple()
    keys = (b"\x06\2" + place.to_bytes(32, "big") for place in range(psbt.MAX_RECORDS))
    crowded.inputs[0] |= dict.fromkeys(keys, b"four")
    assert "records" in refused("malformed_transaction", Psbt.decode, crowded.payload()).reason


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"\x03", b"\1"),
        (b"\x03", bytes(5)),
        (b"\x01", bytes(8)),
        (b"\x01", b"\xff" * 8 + b"\0"),
        (b"\x01", bytes(9) + b"\0"),
        (b"\x06" + PUBLIC, b"abc"),
        (b"\x06" + PUBLIC, bytes(7)),
        (b"\x06" + PUBLIC, bytes(4 + 4 * 256)),
        (b"\x16" + PUBLIC[1:], b"\1" + bytes(31)),
        (b"\x16" + PUBLIC[1:], b"\0" + bytes(3)),
        (b"\x02" + PUBLIC, b""),
        (b"\x08", b"\2\0"),
        (b"\x00", b"\2\0\0\0"),
    ],
)
def test_values_have_their_form(key: bytes, value: bytes) -> None:
    made = simple()
    made.inputs[0][key] = value
    refused("malformed_transaction", Psbt.decode, made.payload())


def test_a_tree_has_its_form() -> None:
    made = simple()
    for value in (b"", b"\1", b"\1\xc0", b"\1\xc0\2\1", b"\1\xc0\1\1\1"):
        made.outputs[0][b"\x06"] = value
        refused("malformed_transaction", Psbt.decode, made.payload())
    made.outputs[0][b"\x06"] = b"\1\xc0\1\x51\1\xc0\0"
    assert Psbt.decode(made.payload()).outputs[0].names == ("Taproot tree",)


SEEDS = [simple(version=version).payload() for version in (0, 2)]
SEEDS += [simple(SCHNORR, version).payload() for version in (0, 2)]
SEEDS += [bytes.fromhex(row["psbt"]) for row in VECTORS["bip174"]["valid"] + VECTORS["bip371"]["valid"]]


@settings(max_examples=300)
@given(st.sampled_from(SEEDS), st.data())
def test_whatever_is_read_is_written_again_byte_for_byte(seed: bytes, data: st.DataObject) -> None:
    payload = mutated(seed, data)
    try:
        read = Psbt.decode(payload)
    except Refusal as refusal:
        assert refusal.code in ("malformed_transaction", "unsupported_transaction")
    else:
        assert read.encode() == payload


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(tail: bytes) -> None:
    for payload in (tail, b"psbt\xff" + tail):
        try:
            Psbt.decode(payload)
        except Refusal as refusal:
            assert refusal.code in ("malformed_transaction", "unsupported_transaction")


@settings(max_examples=25)
@given(st.sampled_from([ECDSA, SCHNORR]), st.integers(1, 4), st.integers(1, 4), st.sampled_from([0, 2]))
def test_embit_reads_the_same(wallet: WalletKeys, ins: int, outs: int, version: int) -> None:
    coins = [coin(wallet, 1000 + seed, seed=seed, segwit=bool(seed % 2)) for seed in range(ins)]
    payload = draft(wallet, coins, [(100 + place, PAID) for place in range(outs)], version=version).payload()
    ours, theirs = Psbt.decode(payload), Oracle.parse(payload)
    assert (ours.version, len(ours.inputs)) == (theirs.version or 0, len(theirs.inputs))
    assert [ours.spent(place).amount for place in range(ins)] == [theirs.utxo(place).value for place in range(ins)]
    assert ours.transaction.txid[::-1] == theirs.tx.txid()
