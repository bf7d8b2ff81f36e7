"""What is signed: BIP-143's and BIP-341's vectors, and embit."""

from __future__ import annotations

from typing import Any

import pytest
from embit.psbt import PSBT as Oracle  # type: ignore[import-untyped]
from embit.transaction import SIGHASH  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.chains.bitcoin.effects import decode
from strongroom.chains.bitcoin.hashing import sha256d
from strongroom.chains.bitcoin.keys import WalletKeys
from strongroom.chains.bitcoin.sighash import ALL, DEFAULT, Commitments
from strongroom.chains.bitcoin.transaction import MAX_MONEY, Output, Transaction
from tests.chains.bitcoin_cases import ECDSA, PAID, SCHNORR, VECTORS, WALLETS, coin, draft, number
from tests.wire.refused import refused

# BIP-143, "Native P2WPKH".
BIP143 = Transaction.decode(
    bytes.fromhex(
        "0100000002fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f0000000000eeffffffef51e1b804cc89d1"
        "82d279655c3aa89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a9148280b37df378db99"
        "f66f85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac11000000"
    )
)
BIP143_KEY_HASH = bytes.fromhex("1d0f172a0ecb48aee1be1f2687d2963ae33f71a1")


def test_bip143_native_p2wpkh() -> None:
    spent = [Output(625000000, b""), Output(600000000, b"\0\x14" + BIP143_KEY_HASH)]
    common = Commitments.of(BIP143, spent)
    digest = common.p2wpkh(1, BIP143_KEY_HASH, spent[1].amount)
    assert digest.hex() == "c37af31116d1b27caf68aae9e3ac82f1477929014d5b917657d0eb49478cb670"
    assert sha256d(b"".join(each.outpoint.encode() for each in BIP143.inputs)).hex() == (
        "96b827c8483d4e9b96712b6713a7b68d6e8003a781feba36c31143470b4efd37"
    )


SPENDING: dict[str, Any] = VECTORS["bip341"]["spending"]
BIP341 = Transaction.decode(bytes.fromhex(SPENDING["unsigned"]))
BIP341_COMMON = Commitments.of(BIP341, [Output(amount, bytes.fromhex(script)) for amount, script in SPENDING["spent"]])


def test_bip341_what_all_inputs_share() -> None:
    assert {
        "hashAmounts": BIP341_COMMON.amounts.hex(),
        "hashOutputs": BIP341_COMMON.outputs.hex(),
        "hashPrevouts": BIP341_COMMON.prevouts.hex(),
        "hashScriptPubkeys": BIP341_COMMON.scripts.hex(),
        "hashSequences": BIP341_COMMON.sequences.hex(),
    } == SPENDING["hashes"]


@pytest.mark.parametrize("row", SPENDING["inputs"], ids=lambda row: f"{row['hash_type']:#04x}")
def test_bip341_key_path(row: dict[str, Any]) -> None:
    if row["hash_type"] in (DEFAULT, ALL):
        assert BIP341_COMMON.p2tr_message(row["index"], row["hash_type"]).hex() == row["message"]
        assert BIP341_COMMON.p2tr(row["index"], row["hash_type"]).hex() == row["digest"]
    else:
        with pytest.raises(ValueError, match="less than the whole"):
            BIP341_COMMON.p2tr(row["index"], row["hash_type"])


@settings(max_examples=30)
@given(
    st.sampled_from([ECDSA, SCHNORR]),
    st.lists(st.integers(1, MAX_MONEY // 8), min_size=1, max_size=4),
    st.lists(st.integers(0, MAX_MONEY // 8), min_size=1, max_size=3),
    st.integers(0, 2**32 - 1),
    st.integers(1, 2**32 - 1),  # embit takes a sequence of zero for none, and writes 0xffffffff
    st.sampled_from([0, 2]),
    st.booleans(),
)
def test_digests_are_embits(
    wallet: WalletKeys, ins: list[int], outs: list[int], locktime: int, sequence: int, version: int, explicit: bool
) -> None:
    coins = [coin(wallet, amount + sum(outs), seed=seed) for seed, amount in enumerate(ins)]
    made = draft(wallet, coins, [(out, PAID) for out in outs], version=version, locktime=locktime, sequence=sequence)
    if explicit:
        made.inputs[0][b"\3"] = number(ALL)
    payload = made.payload()
    decoded = decode(payload, wallet, "regtest")
    theirs = Oracle.parse(payload)
    assert decoded.psbt.transaction.encode() == theirs.tx.serialize()
    assert decoded.effects.fee_ceiling == theirs.fee()
    for place, signing in enumerate(decoded.to_sign):
        # embit says ALL unless told otherwise, for Taproot too.
        kind = SIGHASH.ALL if wallet is ECDSA or (explicit and place == 0) else SIGHASH.DEFAULT
        assert signing.message == theirs.sighash(place, sighash=kind)


@pytest.mark.parametrize("kind", ["p2wpkh", "p2tr"])
@pytest.mark.parametrize("asked", [2, 3, 0x80, 0x81, 0x82, 0x83, 4, 0x100, 0x101, 0x01000000, 2**32 - 1])
def test_signatures_over_less_than_the_whole_are_not_made(kind: str, asked: int) -> None:
    wallet = WALLETS[kind]
    made = draft(wallet, [coin(wallet, 9), coin(wallet, 9, seed=1)], [(5, PAID)])
    made.inputs[1][b"\3"] = number(asked)
    refused("unsupported_transaction", decode, made.payload(), wallet, "regtest")


def test_default_is_taproots_alone() -> None:
    for wallet in (ECDSA, SCHNORR):
        made = draft(wallet, [coin(wallet, 9)], [(5, PAID)])
        made.inputs[0][b"\3"] = number(DEFAULT)
        if wallet is ECDSA:
            refused("unsupported_transaction", decode, made.payload(), wallet, "regtest")
        else:
            assert decode(made.payload(), wallet, "regtest").to_sign


@pytest.mark.parametrize("place", range(5))
def test_every_part_that_bip341_names_changes_the_digest(place: int) -> None:
    """A signature of one input depends on the amounts and scripts of the others: why a witness UTXO is enough."""
    spent = [Output(amount, bytes.fromhex(script)) for amount, script in SPENDING["spent"]]
    whole = [BIP341_COMMON.p2tr(number) for number in range(len(spent))]
    spent[place] = Output(spent[place].amount + 1, spent[place].script)
    changed = Commitments.of(BIP341, spent)
    assert all(changed.p2tr(number) != before for number, before in enumerate(whole))
