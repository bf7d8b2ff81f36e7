"""What a PSBT would do; and a host that lies about amounts, change, keys and what is signed."""

from __future__ import annotations

import dataclasses
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.chains.bitcoin import WalletKeys, address_of, decode, finalizer, hashing, keys, signed
from strongroom.chains.bitcoin.effects import MAX_INDEX
from strongroom.chains.bitcoin.fields import HARDENED
from strongroom.chains.bitcoin.psbt import MAX_INPUTS, MAX_OUTPUTS, MAX_SIZE, Psbt
from strongroom.chains.bitcoin.script import write
from strongroom.chains.bitcoin.transaction import MAX_MONEY, Input, Outpoint, Output, Transaction
from strongroom.chains.effects import Call, Effects, ToSign, Transfer
from strongroom.errors import Refusal
from tests.chains.bitcoin_cases import (
    ADDRESS,
    ECDSA,
    OTHERS,
    PAID,
    PUBLIC,
    SCHNORR,
    Coin,
    Draft,
    Paid,
    coin,
    derivation,
    draft,
    number,
    simple,
    steps,
    string,
)
from tests.chains.test_bitcoin_transactions import mutated
from tests.wire.refused import refused

WALLETS = pytest.mark.parametrize("wallet", [ECDSA, SCHNORR], ids=["p2wpkh", "p2tr"])
VERSIONS = pytest.mark.parametrize("version", [0, 2])
NATIVE = "bitcoin:regtest/native"


def effects(made: Draft, wallet: WalletKeys = ECDSA) -> Effects:
    return decode(made.payload(), wallet, "regtest").effects


def refuses(code: str, made: Draft, wallet: WalletKeys = ECDSA) -> str:
    return refused(code, decode, made.payload(), wallet, "regtest").reason


@WALLETS
@VERSIONS
def test_a_payment_with_change(wallet: WalletKeys, version: int) -> None:
    made = simple(wallet, version)
    decoded = decode(made.payload(), wallet, "regtest")
    assert made.unsigned is not None
    assert decoded.effects == Effects(
        "bitcoin:regtest",
        transfers=(Transfer(NATIVE, ADDRESS, 700),),
        fee_asset=NATIVE,
        fee_ceiling=100,
        once=tuple(f"outpoint:{each.outpoint.txid[::-1].hex()}:0" for each in made.unsigned.inputs),
    )
    assert [each.path for each in decoded.to_sign] == ([(0, 3), (1, 4)] if wallet.derives else [(), ()])
    assert len({each.message for each in decoded.to_sign}) == 2
    assert decoded.psbt.encode() == made.payload()
    assert decoded.psbt.transaction == made.unsigned


@VERSIONS
def test_both_versions_sign_the_same(version: int) -> None:
    assert decode(simple(version=version).payload(), ECDSA, "regtest").to_sign == (
        decode(simple().payload(), ECDSA, "regtest").to_sign
    )


def test_a_taproot_wallet_may_leave_its_key_out() -> None:
    made = simple(SCHNORR)
    whole = decode(made.payload(), SCHNORR, "regtest").to_sign
    made.inputs = [{key: value for key, value in each.items() if key[:1] == b"\1"} for each in made.inputs]
    assert decode(made.payload(), SCHNORR, "regtest").to_sign == whole
    made.inputs[0][b"\x17"] = SCHNORR.master
    assert decode(made.payload(), SCHNORR, "regtest").to_sign == whole


def test_every_address_is_written_as_its_network_does() -> None:
    kinds = [write("p2pkh", bytes(20)), write("p2sh", bytes(20)), write("p2wsh", bytes(32)), write("p2tr", PUBLIC[1:])]
    made = draft(ECDSA, [coin(ECDSA, 100)], [(place, kind) for place, kind in enumerate(kinds)])
    for network in ("mainnet", "testnet", "signet", "regtest"):
        found = decode(made.payload(), ECDSA, network).effects
        assert [each.to for each in found.transfers] == [address_of(kind, network) for kind in kinds]
        assert {each.asset for each in found.transfers} == {f"bitcoin:{network}/native"}
    refused("unsupported_transaction", decode, made.payload(), ECDSA, "bitcoin")


# --- Change ---


def paying(path: tuple[int, ...], spent: tuple[int, ...] = (0, 3)) -> Draft:
    return draft(ECDSA, [coin(ECDSA, 600, spent)], [(500, path)])


@pytest.mark.parametrize(
    ("path", "spent"),
    [
        ((), ()),
        ((), (0, 3)),
        ((7,), ()),
        ((0, 0), ()),
        ((1, MAX_INDEX - 1), ()),
        ((44, 0, 3, 1, 9), (44, 0, 3, 0, 2)),
        ((44, 0, 3, 0, 9), (44, 0, 3, 1, 2)),
        ((44, 0, 3, 5, 9), (44, 0, 3, 5, 2)),
    ],
)
def test_change_is_where_the_wallet_would_look(path: tuple[int, ...], spent: tuple[int, ...]) -> None:
    assert effects(paying(path, spent)).transfers == ()
    assert effects(paying(path, spent)).fee_ceiling == 100


@pytest.mark.parametrize(
    ("path", "spent"),
    [
        ((MAX_INDEX,), ()),
        ((1, MAX_INDEX), ()),
        ((2, 0), ()),
        ((2, 0), (0, 3)),
        ((0, 0, 0), ()),
        ((44, 0, 4, 1, 9), (44, 0, 3, 0, 2)),
        ((44, 0, 3, 6, 9), (44, 0, 3, 5, 2)),
        ((8, 15, 16, 23, 42), (0, 3)),
    ],
)
def test_change_where_nobody_would_look_is_a_transfer(path: tuple[int, ...], spent: tuple[int, ...]) -> None:
    """The output is the wallet's, and a host that alone knows the path could sell it."""
    paid = address_of(ECDSA.script(path), "regtest")
    assert effects(paying(path, spent)).transfers == (Transfer(NATIVE, paid, 500),)


@WALLETS
def test_an_output_that_claims_a_path_and_is_not_ours_is_a_transfer(wallet: WalletKeys) -> None:
    made = simple(wallet)
    made.outputs[0] = derivation(wallet, (), output=True)
    assert effects(made, wallet).transfers == (Transfer(NATIVE, ADDRESS, 700),)
    made.outputs[0] = derivation(wallet, (1, 6) if wallet.derives else (), output=True)
    assert effects(made, wallet).transfers == (Transfer(NATIVE, ADDRESS, 700),)


def test_an_output_of_another_key_under_our_fingerprint_is_a_transfer() -> None:
    theirs = OTHERS.key((1, 5))
    made = draft(ECDSA, [coin(ECDSA, 600)], [(500, OTHERS.script((1, 5)))])
    made.outputs[0] = {b"\x02" + theirs: steps(ECDSA, (1, 5))}
    assert len(effects(made).transfers) == 1
    made.outputs[0] = {b"\x02" + ECDSA.key((1, 5)): steps(ECDSA, (1, 5))}
    assert len(effects(made).transfers) == 1


@WALLETS
def test_our_own_output_without_its_path_is_a_transfer(wallet: WalletKeys) -> None:
    made = simple(wallet)
    change = made.outputs[1]
    for changed in (
        {},
        {key[:1] + OTHERS.public_key[-len(key) + 1 :]: value for key, value in change.items()},
        {key: value.replace(wallet.fingerprint, OTHERS.fingerprint) for key, value in change.items()},
        {key: value[:-1] + bytes((value[-1] ^ 1,)) for key, value in change.items()},
        change | {next(iter(change))[:1] + bytes(31 if wallet is SCHNORR else 32) + b"\1": next(iter(change.values()))},
    ):
        made.outputs[1] = changed
        assert [each.amount for each in effects(made, wallet).transfers] == [700, 300]


@pytest.mark.parametrize("path", [(HARDENED,), (0, HARDENED), (0, 2**32 - 1), (HARDENED, 1), (0,) * 9, (0,) * 255])
def test_paths_that_cannot_be_derived_are_no_change(path: tuple[int, ...]) -> None:
    made = simple()
    made.outputs[1] = {b"\x02" + ECDSA.key(()): steps(ECDSA, path)}
    assert [each.amount for each in effects(made).transfers] == [700, 300]


def test_a_taproot_output_with_leaves_or_a_path_is_no_change() -> None:
    for origin in (b"\1" + bytes(32) + steps(SCHNORR, ()), b"\0" + steps(SCHNORR, (0,))):
        made = simple(SCHNORR)
        made.outputs[1] = {b"\x07" + SCHNORR.master: origin}
        assert [each.amount for each in effects(made, SCHNORR).transfers] == [700, 300]


def test_one_kind_of_derivation_is_no_word_for_the_other() -> None:
    made = simple(SCHNORR)
    made.outputs[1] = {b"\x02" + PUBLIC: steps(SCHNORR, ())}
    assert len(effects(made, SCHNORR).transfers) == 2


# --- Amounts ---


def test_the_fee_is_what_is_left() -> None:
    for paid, fee in ((600, 0), (599, 1), (1, 599)):
        assert effects(draft(ECDSA, [coin(ECDSA, 600)], [(paid, PAID)])).fee_ceiling == fee


@WALLETS
def test_outputs_cannot_pay_more_than_the_inputs_have(wallet: WalletKeys) -> None:
    assert "more than the inputs" in refuses(
        "malformed_transaction", draft(wallet, [coin(wallet, 600)], [(601, PAID)]), wallet
    )


def test_inputs_cannot_have_more_than_there_is() -> None:
    coins = [coin(SCHNORR, MAX_MONEY), coin(SCHNORR, 1, seed=1)]
    refuses("malformed_transaction", draft(SCHNORR, coins, [(1, PAID)]), SCHNORR)


def test_the_bip143_fee_attack() -> None:
    """CVE-2020-14199: each of two requests shows one of two large inputs too small, so that each looks cheap, and each
    gives one signature that is good: together they are a transaction whose fee is the difference."""
    large = [coin(ECDSA, 10_000, seed=0), coin(ECDSA, 10_000, seed=1)]
    for lied in (0, 1):
        made = draft(ECDSA, large, [(9_000, PAID)])
        told = made.inputs[lied]
        told[b"\1"] = number(100, 8) + told[b"\1"][8:]
        assert "unlike" in refuses("malformed_transaction", made)
        del told[b"\0"]
        assert "BIP-143" in refuses("unsupported_transaction", made)
        told[b"\0"] = dataclasses.replace(large[lied].previous, outputs=(Output(100, ECDSA.script(())),)).encode()
        assert "does not spend" in refuses("malformed_transaction", made)


def test_a_taproot_amount_that_is_a_lie_gives_a_useless_signature() -> None:
    made = draft(SCHNORR, [coin(SCHNORR, 10_000), coin(SCHNORR, 10_000, seed=1)], [(9_000, PAID)])
    true = decode(made.payload(), SCHNORR, "regtest").to_sign
    made.inputs[0][b"\1"] = number(100, 8) + made.inputs[0][b"\1"][8:]
    lied = decode(made.payload(), SCHNORR, "regtest").to_sign
    assert all(one.message != other.message for one, other in zip(true, lied, strict=True))


@WALLETS
def test_another_previous_transaction(wallet: WalletKeys) -> None:
    for previous in (coin(wallet, 600, seed=9).previous, coin(wallet, 601, seed=0).previous):
        made = simple(wallet)
        made.inputs[0][b"\0"] = previous.encode()
        made.inputs[0].pop(b"\1")
        assert "does not spend" in refuses("malformed_transaction", made, wallet)


def test_a_witness_that_was_stripped_from_the_previous_transaction_changes_nothing() -> None:
    """Its hash does not cover it (BIP-141): both forms prove the same output."""
    made = simple()
    previous = Transaction.decode(made.inputs[1][b"\0"])
    assert previous.segwit
    bare = dataclasses.replace(previous, inputs=tuple(dataclasses.replace(i, witness=()) for i in previous.inputs))
    before = decode(made.payload(), ECDSA, "regtest")
    made.inputs[1][b"\0"] = bare.encode()
    assert decode(made.payload(), ECDSA, "regtest").to_sign == before.to_sign


@WALLETS
def test_an_output_that_the_previous_transaction_does_not_have(wallet: WalletKeys) -> None:
    spent = coin(wallet, 600)
    made = draft(wallet, [spent], [(500, PAID)], version=2)
    made.inputs[0][b"\0"] = spent.previous.encode()
    for index in (2, 2**32 - 1):
        made.inputs[0][b"\x0f"] = number(index)
        assert "does not spend" in refuses("malformed_transaction", made, wallet)
    made.inputs[0][b"\x0f"] = number(1)  # there, but somebody else's
    made.inputs[0].pop(b"\1")
    refuses("intent_mismatch", made, wallet)


@WALLETS
def test_an_input_without_an_amount(wallet: WalletKeys) -> None:
    made = simple(wallet)
    made.inputs[0].pop(b"\0", None)
    made.inputs[0].pop(b"\1")
    refuses("unsupported_transaction" if wallet is ECDSA else "malformed_transaction", made, wallet)


@WALLETS
@VERSIONS
def test_an_output_spent_twice(wallet: WalletKeys, version: int) -> None:
    made = draft(wallet, [coin(wallet, 600)] * 2, [(1100, PAID)], version=version)
    assert "twice" in refuses("malformed_transaction", made, wallet)


# --- Whose inputs ---


@WALLETS
def test_every_input_is_the_wallets(wallet: WalletKeys) -> None:
    other = dataclasses.replace(wallet, public_key=OTHERS.public_key)
    theirs = coin(other, 500, seed=1)
    made = draft(wallet, [coin(wallet, 600), theirs], [(700, PAID)])
    made.inputs[1] |= {b"\1": number(500, 8) + string(other.script(()))}
    refuses("intent_mismatch", made, wallet)
    refuses("intent_mismatch", simple(wallet), other)


@pytest.mark.parametrize(
    "changed",
    [
        {b"\x06" + ECDSA.key((0, 3)): steps(OTHERS, (0, 3))},
        {b"\x06" + ECDSA.key((0, 3)): steps(ECDSA, (0, 4))},
        {b"\x06" + ECDSA.key((0, 3)): steps(ECDSA, ())},
        {b"\x06" + ECDSA.key((0, 4)): steps(ECDSA, (0, 4))},
        {b"\x06" + OTHERS.key((0, 3)): steps(ECDSA, (0, 3))},
        {b"\x06\x04" + bytes(64): steps(ECDSA, (0, 3))},
    ],
)
def test_an_inputs_key_is_derived_and_not_believed(changed: dict[bytes, bytes]) -> None:
    made = simple()
    made.inputs[0] = {key: value for key, value in made.inputs[0].items() if key[0] != 0x06} | changed
    refuses("intent_mismatch", made)


def test_an_input_names_one_key() -> None:
    made = simple()
    made.inputs[0] |= derivation(OTHERS, (1,))
    refuses("unsupported_transaction", made)
    made.inputs[0] = {key: value for key, value in made.inputs[0].items() if key[0] != 0x06}
    refuses("unsupported_transaction", made)


@pytest.mark.parametrize("path", [(HARDENED,), (0, 1, 2, 3, 4, 5), (0, HARDENED | 1)])
def test_an_inputs_path_can_be_derived(path: tuple[int, ...]) -> None:
    made = simple()
    made.inputs[0] = {k: v for k, v in made.inputs[0].items() if k[0] != 0x06} | {b"\x06" + PUBLIC: steps(ECDSA, path)}
    refuses("unsupported_transaction", made)


@pytest.mark.parametrize(
    "changed",
    [
        {b"\x16" + SCHNORR.master: b"\0" + steps(OTHERS, ())},
        {b"\x16" + SCHNORR.master: b"\1" + bytes(32) + steps(SCHNORR, ())},
        {b"\x16" + OTHERS.public_key[1:]: b"\0" + steps(SCHNORR, ())},
        {b"\x17": OTHERS.public_key[1:]},
    ],
)
def test_a_taproot_inputs_key_is_the_wallets(changed: dict[bytes, bytes]) -> None:
    made = simple(SCHNORR)
    made.inputs[0] = {b"\1": made.inputs[0][b"\1"]} | changed
    refuses("intent_mismatch", made, SCHNORR)


@WALLETS
def test_the_other_kind_of_script_of_the_same_key_is_not_spent(wallet: WalletKeys) -> None:
    """P2WPKH and P2TR of one point are two outputs; a wallet signs one kind."""
    other = ECDSA if wallet is SCHNORR else SCHNORR
    made = draft(wallet, [Coin(coin(other, 600).previous)], [(500, PAID)])
    refuses("intent_mismatch", made, wallet)


def test_other_wallets_do_not_sign_bitcoin() -> None:
    refused("intent_mismatch", decode, simple().payload(), WalletKeys("frost-ed25519", bytes(32)), "regtest")


# --- What is not understood ---

FIELDS = [
    ("inputs", b"\x02" + PUBLIC, bytes(70)),
    ("inputs", b"\x04", b"\x51"),
    ("inputs", b"\x05", b"\x51"),
    ("inputs", b"\x07", b"\x51"),
    ("inputs", b"\x08", b"\0"),
    ("inputs", b"\x0a" + bytes(20), b""),
    ("inputs", b"\x0b" + bytes(32), b""),
    ("inputs", b"\x13", bytes(64)),
    ("inputs", b"\x14" + bytes(64), bytes(64)),
    ("inputs", b"\x15" + bytes(33), b"\xc0"),
    ("inputs", b"\x18", bytes(32)),
    ("outputs", b"\x00", b"\x51"),
    ("outputs", b"\x01", b"\x51"),
    ("outputs", b"\x06", b"\0\xc0\0"),
    ("common", b"\x01" + bytes(78), bytes(4)),
]


@WALLETS
@pytest.mark.parametrize(("where", "key", "value"), FIELDS)
def test_fields_that_this_wallets_transactions_do_not_have(
    wallet: WalletKeys, where: str, key: bytes, value: bytes
) -> None:
    made = simple(wallet)
    {"common": made.common, "inputs": made.inputs[1], "outputs": made.outputs[0]}[where][key] = value
    assert "brings a" in refuses("unsupported_transaction", made, wallet)


def test_fields_of_the_other_kind_of_wallet() -> None:
    for wallet, key, value in (
        (ECDSA, b"\x16" + PUBLIC[1:], b"\0" + steps(ECDSA, ())),
        (ECDSA, b"\x17", PUBLIC[1:]),
        (SCHNORR, b"\x06" + PUBLIC, steps(SCHNORR, ())),
    ):
        made = simple(wallet)
        made.inputs[0][key] = value
        refuses("unsupported_transaction", made, wallet)


@pytest.mark.parametrize("version", [0, 4, 2**31, 2**32 - 1])
def test_versions_that_no_node_relays(version: int) -> None:
    made = simple(version=2)
    made.common[b"\x02"] = number(version)
    refuses("unsupported_transaction", made)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_versions_that_nodes_relay(version: int) -> None:
    made = simple(version=2)
    made.common[b"\x02"] = number(version)
    assert decode(made.payload(), ECDSA, "regtest").psbt.transaction.version == version


def test_locktime_and_sequence_are_the_requesters() -> None:
    for locktime in (0, 900_000, 2**32 - 1):
        for sequence in (0, 1, 0xFFFFFFFD, 0xFFFFFFFF):
            made = [
                draft(ECDSA, [coin(ECDSA, 600)], [(500, PAID)], version=version, locktime=locktime, sequence=sequence)
                for version in (0, 2)
            ]
            read = [decode(each.payload(), ECDSA, "regtest") for each in made]
            assert read[0].psbt.transaction == read[1].psbt.transaction == made[0].unsigned
            assert read[0].effects.fee_ceiling == 100


@pytest.mark.parametrize(
    "script", [b"", b"\x51", b"\x51\x02\x4e\x73", b"\x52\x20" + bytes(32), b"\x21" + PUBLIC + b"\xac"]
)
def test_an_output_that_is_not_understood(script: bytes) -> None:
    refuses("unsupported_transaction", draft(ECDSA, [coin(ECDSA, 600)], [(100, PAID), (0, script)]))


def test_op_return_is_a_call_by_its_first_bytes() -> None:
    made = draft(ECDSA, [coin(ECDSA, 600)], [(100, PAID), (0, b"\x6a\x06=:ETH."), (0, b"\x6a\x01\x07")])
    assert effects(made).calls == (Call("op_return", "0x3d3a4554", b"=:ETH."), Call("op_return", "0x07", b"\7"))
    assert effects(made).fee_ceiling == 500


def test_op_return_with_an_amount_destroys_it() -> None:
    refuses("unsupported_transaction", draft(ECDSA, [coin(ECDSA, 600)], [(1, b"\x6a\x01\x07")]))


@WALLETS
@pytest.mark.parametrize("version", [0, 2])
def test_a_message_of_bip322_does_not_pass_for_a_transaction(wallet: WalletKeys, version: int) -> None:
    """Its to_sign spends an output of nothing, and pays nothing to a bare OP_RETURN: either alone is refused."""
    nowhere = Input(Outpoint(bytes(32), 2**32 - 1), 0, b"\0\x20" + bytes(32))
    spent = Coin(Transaction((nowhere,), (Output(0, wallet.script(())),), version=0))
    for coins, outputs in (
        ([spent], [(0, b"\x6a")]),
        ([spent], [(0, PAID)]),
        ([coin(wallet, 5)], [(0, b"\x6a")]),
        ([spent, coin(wallet, 5)], [(0, b"\x6a\x01\x01")]),
    ):
        made = draft(wallet, coins, list(outputs), version=2)
        made.common[b"\x02"] = number(version)
        refuses("unsupported_transaction", made, wallet)


# --- Signatures ---


def test_as_many_signatures_as_inputs() -> None:
    for wallet, length in ((ECDSA, 65), (SCHNORR, 64)):
        psbt = decode(simple(wallet).payload(), wallet, "regtest").psbt
        for signatures in ([], [b"\1" * length], [b"\1" * length] * 3, [b"\1" * 63] * 2, [b"\1" * (129 - length)] * 2):
            refused("malformed_transaction", signed, psbt, signatures)
        raw = signed(psbt, [b"\1" * length] * 2)
        assert Transaction.decode(raw).txid == psbt.transaction.txid


def test_witnesses() -> None:
    """BIP-143's published signature, and BIP-341's rule for the sighash byte."""
    r, s = (
        0x3609E17B84F6A7D30C80BFA610B5B4542F32A8A0D5447A12FB1366D7F01CC44A,
        0x573A954C4518331561406F90300E8F3358F51928,
    )
    found = finalizer.ecdsa(r.to_bytes(32, "big") + s.to_bytes(32, "big") + b"\1", PUBLIC)
    assert found[0].hex() == (
        "303802203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a0214573a954c4518331561406f90300e8f33"
        "58f5192801"
    )
    assert finalizer.schnorr(bytes(64)) == (bytes(64),)
    assert finalizer.schnorr(bytes(64), 1) == (bytes(64) + b"\1",)


def test_signed_takes_no_input_that_decode_refuses() -> None:
    made = simple()
    for changed in ({b"\x03": number(2)}, derivation(OTHERS, (1,))):
        copy = Draft(made.common, [made.inputs[0] | changed, made.inputs[1]], made.outputs)
        refused("unsupported_transaction", signed, Psbt.decode(copy.payload()), [bytes(65)] * 2)
    other = {key: value for key, value in made.inputs[0].items() if key[0] != 0x06} | derivation(OTHERS, (0, 3))
    payload = Draft(made.common, [other, made.inputs[1]], made.outputs).payload()
    refused("unsupported_transaction", signed, Psbt.decode(payload), [bytes(65)] * 2)
    p2pkh = draft(
        ECDSA, [Coin(Transaction(coin(ECDSA, 1).previous.inputs, (Output(9, write("p2pkh", bytes(20))),)))], [(5, PAID)]
    )
    refused("unsupported_transaction", signed, Psbt.decode(p2pkh.payload()), [bytes(65)])


# --- Any bytes ---

SEEDS = [(simple(wallet, version).payload(), wallet) for wallet in (ECDSA, SCHNORR) for version in (0, 2)]
CODES = {"malformed_transaction", "unsupported_transaction", "intent_mismatch"}


@settings(max_examples=400)
@given(st.sampled_from(SEEDS), st.data())
def test_a_changed_psbt_is_refused_or_says_what_it_does(seed: tuple[bytes, WalletKeys], data: st.DataObject) -> None:
    payload = mutated(seed[0], data)
    try:
        decoded = decode(payload, seed[1], "regtest")
    except Refusal as refusal:
        assert refusal.code in CODES
        return
    assert decoded.psbt.encode() == payload
    whole = decoded.psbt.transaction
    assert len(decoded.to_sign) == len(decoded.effects.once) == len(whole.inputs)
    assert Transaction.decode(whole.encode()) == whole
    told = sum(each.amount for each in decoded.effects.transfers) + decoded.effects.fee_ceiling
    change = told - sum(decoded.psbt.spent(place).amount for place in range(len(whole.inputs)))
    assert -change in {0, *(each.amount for each in whole.outputs), sum(each.amount for each in whole.outputs)}


@settings(max_examples=60)
@given(st.data())
def test_any_byte_of_what_is_signed_changes_what_is_signed(data: st.DataObject) -> None:
    """Two PSBTs with the same digests have the same transaction: fields beside it change no amount."""
    payload, wallet = data.draw(st.sampled_from(SEEDS))
    before = decode(payload, wallet, "regtest")
    place = data.draw(st.integers(5, len(payload) - 1))
    changed = payload[:place] + bytes((payload[place] ^ data.draw(st.integers(1, 255)),)) + payload[place + 1 :]
    try:
        after = decode(changed, wallet, "regtest")
    except Refusal:
        return
    if [each.message for each in after.to_sign] == [each.message for each in before.to_sign]:
        assert after.psbt.transaction == before.psbt.transaction
        assert after.effects.fee_ceiling == before.effects.fee_ceiling


@settings(max_examples=30)
@given(
    st.sampled_from([ECDSA, SCHNORR]),
    st.lists(st.integers(1, 10**9), min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(0, 10**6), st.booleans()), min_size=1, max_size=5),
    st.sampled_from([0, 2]),
)
def test_nothing_is_lost_between_inputs_and_effects(
    wallet: WalletKeys, ins: list[int], outs: list[tuple[int, bool]], version: int
) -> None:
    need = sum(amount for amount, _own in outs)
    coins = [coin(wallet, amount + need, seed=seed) for seed, amount in enumerate(ins)]
    made = draft(wallet, coins, [_paid(amount, own) for amount, own in outs], version=version)
    found = effects(made, wallet)
    assert [each.amount for each in found.transfers] == [amount for amount, own in outs if not own]
    assert found.fee_ceiling == sum(each.output.amount for each in coins) - need


def _paid(amount: int, own: bool) -> Paid:
    return (amount, ()) if own else (amount, PAID)


def large(wallet: WalletKeys, previous: int) -> Draft:
    """As many inputs and outputs as there may be, each with a path of its own; as much before them as fits."""
    paths = [(0, place) if wallet.derives else () for place in range(MAX_INPUTS)]
    coins = [coin(wallet, 1000, path, 0) for path in paths]
    padding = tuple(Output(0, b"") for _ in range(previous))
    coins = [
        Coin(Transaction((Input(Outpoint(place.to_bytes(32, "big"), 0)),), (each.output, *padding)), each.path)
        for place, each in enumerate(coins)
    ]
    change: list[tuple[int, ...]] = [(1, place) if wallet.derives else () for place in range(MAX_OUTPUTS)]
    return draft(wallet, coins, [(1, path) for path in change])


@pytest.mark.parametrize(("wallet", "previous"), [(ECDSA, 385), (SCHNORR, 0)], ids=["p2wpkh", "p2tr"])
def test_the_largest_is_decoded_in_bounded_time(wallet: WalletKeys, previous: int) -> None:
    payload = large(wallet, previous).payload()
    assert len(payload) <= MAX_SIZE
    assert wallet is SCHNORR or len(payload) > MAX_SIZE * 0.9
    keys._derived.cache_clear()
    hashing.hash160.cache_clear()
    started = time.process_time()
    decoded = decode(payload, wallet, "regtest")
    assert time.process_time() - started < 10
    assert len(decoded.to_sign) == MAX_INPUTS
    assert decoded.effects.transfers == ()
    assert isinstance(decoded.to_sign[0], ToSign)
