"""What Solana instructions would do, each program's, and what only a rule may allow."""

from __future__ import annotations

from typing import Any

import pytest
from solders.compute_budget import (
    request_heap_frame,
    set_compute_unit_limit,
    set_compute_unit_price,
    set_loaded_accounts_data_size_limit,
)
from solders.instruction import Instruction
from solders.pubkey import Pubkey
from solders.system_program import TransferParams
from solders.system_program import transfer as theirs

from strongroom.chains.effects import Allowance, Call, Effects, Signing, Transfer
from strongroom.chains.solana import Message, base58, offchain, programs
from tests.chains.solana_cases import (
    BLOCKHASH,
    MINT,
    OTHER,
    TO,
    WALLET,
    advance,
    associated,
    checked,
    create,
    instruction,
    message,
    meta,
    price,
    transfer,
    u64,
    units,
)
from tests.wire.refused import refused

SOURCE, TARGET = b"\x0a" * 32, b"\x0b" * 32
TOKEN = f"solana:mainnet/token:{base58.encode(MINT)}"
NATIVE = "solana:mainnet/native"
TOKENS = [programs.TOKEN, programs.TOKEN_2022]


def text(key: bytes) -> str:
    return base58.encode(key)


def effects(*instructions: Instruction, **changes: Any) -> Effects:
    return programs.effects(Message.decode(message(*instructions, **changes)), WALLET, "mainnet")


def malformed(*instructions: Instruction, code: str = "malformed_transaction") -> str:
    return refused(code, effects, *instructions).reason


# --- System ---


@pytest.mark.parametrize("version", [None, 0])
@pytest.mark.parametrize("amount", [0, 1, 2**64 - 1])
def test_a_transfer(version: int | None, amount: int) -> None:
    built = theirs(
        TransferParams(from_pubkey=Pubkey.from_bytes(WALLET), to_pubkey=Pubkey.from_bytes(TO), lamports=amount)
    )
    expected = Effects(
        "solana:mainnet", (Transfer(NATIVE, text(TO), amount),), fee_asset=NATIVE, fee_ceiling=5000, once=()
    )
    assert effects(built, version=version) == effects(transfer(amount), version=version) == expected


def test_many_transfers_are_all_seen() -> None:
    found = effects(transfer(1), transfer(2, OTHER), transfer(3))
    assert [(each.to, each.amount) for each in found.transfers] == [(text(TO), 1), (text(OTHER), 2), (text(TO), 3)]


def test_what_another_account_pays_is_not_the_wallets() -> None:
    """It cannot happen, since only the wallet signs; were it to, it would not be counted as the wallet's own."""
    assert effects(transfer(1, TO, OTHER)).transfers == (Transfer(NATIVE, text(TO), 1, text(OTHER)),)


@pytest.mark.parametrize(
    "bent",
    [
        instruction(programs.SYSTEM, b"\2\0\0\0" + bytes(7), meta(WALLET), meta(TO)),
        instruction(programs.SYSTEM, b"\2\0\0\0" + bytes(9), meta(WALLET), meta(TO)),
        instruction(programs.SYSTEM, b"\2\0\0\0" + bytes(8), meta(WALLET)),
        instruction(programs.SYSTEM, b"\2\0\0\0" + bytes(8), meta(WALLET), meta(TO), meta(OTHER)),
        instruction(programs.SYSTEM, b"\4\0\0\0", meta(OTHER), meta(TO)),
    ],
    ids=range(5),
)
def test_bent_system_instructions_are_refused(bent: Instruction) -> None:
    malformed(bent)


# --- A durable nonce ---


def test_a_durable_nonce_is_advanced_first_and_by_the_wallet() -> None:
    assert effects(advance(OTHER), transfer(5)).transfers == (Transfer(NATIVE, text(TO), 5),)
    malformed(transfer(5), advance(OTHER))
    malformed(advance(OTHER), advance(TO))
    malformed(advance(OTHER, TO), transfer(5))


def test_neither_blockhash_nor_nonce_is_used_up() -> None:
    """Two payments with one blockhash can both happen; and the host may put a recent blockhash where a nonce's value
    belongs (tests/chains/test_solana_execution.py). Counted as replacements of each other, both would be spent."""
    assert effects(transfer(5)).once == effects(advance(OTHER), transfer(5)).once == ()


# --- Tokens ---


@pytest.mark.parametrize("program", TOKENS)
@pytest.mark.parametrize("amount", [0, 5, 2**64 - 1])
def test_a_token_transfer_goes_to_a_token_account(program: bytes, amount: int) -> None:
    found = effects(checked(12, amount, SOURCE, MINT, TARGET, program=program))
    assert found.transfers == (Transfer(TOKEN, text(TARGET), amount),)
    assert found.calls == ()


@pytest.mark.parametrize("program", TOKENS)
@pytest.mark.parametrize("data", [b"", b"\0", b"\1"])
def test_with_its_account_created_before_it_goes_to_the_owner(program: bytes, data: bytes) -> None:
    """The program fails unless the account follows from owner and mint."""
    target = associated(TO, MINT, program)
    made = create(TO, MINT, data, program=program)
    found = effects(made, checked(12, 5, SOURCE, MINT, target, program=program))
    assert found.transfers == (Transfer(TOKEN, text(TO), 5),)
    assert found.fee_ceiling == 5000 + programs.RENT
    # Not yet created, of another mint, or another account: the owner is not known.
    assert effects(checked(12, 5, SOURCE, MINT, target, program=program), made).transfers[0].to == text(target)
    assert effects(made, checked(12, 5, SOURCE, OTHER, target, program=program)).transfers[0].to == text(target)
    assert effects(made, checked(12, 5, SOURCE, MINT, TARGET, program=program)).transfers[0].to == text(TARGET)


def test_what_another_authority_moves_is_not_the_wallets() -> None:
    found = effects(checked(12, 5, SOURCE, MINT, TARGET, owner=OTHER))
    assert found.transfers == (Transfer(TOKEN, text(TARGET), 5, text(SOURCE)),)


@pytest.mark.parametrize("program", TOKENS)
@pytest.mark.parametrize(("amount", "allowed"), [(0, 0), (5, 5), (2**64 - 2, 2**64 - 2), (2**64 - 1, None)])
def test_an_approval(program: bytes, amount: int, allowed: int | None) -> None:
    found = effects(checked(13, amount, SOURCE, MINT, TO, program=program))
    assert found.allowances == (Allowance(TOKEN, text(TO), allowed),)
    assert (found.transfers, found.calls) == ((), ())


@pytest.mark.parametrize("program", TOKENS)
@pytest.mark.parametrize("tag", [3, 4])
def test_unchecked_ones_name_no_mint_and_are_refused(program: bytes, tag: int) -> None:
    bare = instruction(program, bytes((tag,)) + u64(5), meta(SOURCE), meta(TARGET), meta(WALLET, signs=True))
    assert "TransferChecked" in malformed(bare, code="unsupported_transaction")


@pytest.mark.parametrize("tag", [12, 13])
@pytest.mark.parametrize("size", [0, 8, 10])
def test_bent_amounts_are_refused(tag: int, size: int) -> None:
    malformed(instruction(programs.TOKEN, bytes((tag,)) + bytes(size), *map(meta, (SOURCE, MINT, TARGET, WALLET))))


@pytest.mark.parametrize("tag", [12, 13])
@pytest.mark.parametrize("count", [3, 5])
def test_several_signatures_and_hooks_are_refused(tag: int, count: int) -> None:
    """More accounts are the owners of a multisignature account, or what a transfer hook wants."""
    accounts = (SOURCE, MINT, TARGET, WALLET, OTHER)[:count]
    malformed(instruction(programs.TOKEN, bytes((tag,)) + bytes(9), *map(meta, accounts)))


@pytest.mark.parametrize(
    "bent",
    [
        create(TO, MINT, payer=OTHER),
        create(TO, MINT, program=OTHER),
        instruction(programs.ASSOCIATED, b"\1", *map(meta, (WALLET, TARGET, TO, MINT, programs.SYSTEM))),
        instruction(programs.ASSOCIATED, b"\1", *map(meta, (WALLET, TARGET, TO, MINT, OTHER, programs.TOKEN))),
        instruction(
            programs.ASSOCIATED, b"\1", *map(meta, (WALLET, TARGET, TO, MINT, programs.SYSTEM, programs.TOKEN, OTHER))
        ),
    ],
    ids=range(5),
)
def test_bent_creations_are_refused(bent: Instruction) -> None:
    malformed(bent)


# --- Fees ---


@pytest.mark.parametrize(
    ("instructions", "priority"),
    [
        ([price(0), transfer(1)], 0),
        ([price(1), transfer(1)], 1),  # of 203,000 units a lamport is begun
        ([price(1_000_000), transfer(1)], 203_000),
        ([price(1_000_000), units(450), transfer(1)], 450),
        ([units(450), transfer(1)], 0),
        ([price(1_000_000), units(2**32 - 1), transfer(1)], 1_400_000),
        ([price(2**64 - 1), units(1_400_000)], -(-(2**64 - 1) * 1_400_000 // 10**6)),
        ([price(1_000_000), *[transfer(1)] * 9], 1_400_000),
        # The compute budget program's own units: with a ceiling of zero, a host could burn all.
        ([price(10**12)], 3_000 * 10**6),
    ],
    ids=range(9),
)
def test_the_priority_fee(instructions: list[Instruction], priority: int) -> None:
    found = effects(*instructions)
    assert found.fee_ceiling == 5000 + priority
    assert found.calls == ()


def test_solders_budget_instructions_are_understood() -> None:
    found = effects(
        set_compute_unit_limit(1000), set_compute_unit_price(10**6), set_loaded_accounts_data_size_limit(1 << 20)
    )
    assert (found.fee_ceiling, found.calls) == (6000, ())


@pytest.mark.parametrize(
    "other",
    [
        request_heap_frame(1 << 16),
        instruction(programs.BUDGET, b"\0" + bytes(8)),
        instruction(programs.BUDGET, b""),
        instruction(programs.BUDGET, b"\2" + bytes(3)),
        instruction(programs.BUDGET, b"\3" + bytes(7)),
        instruction(programs.BUDGET, b"\4" + bytes(5)),
    ],
    ids=range(6),
)
def test_other_budget_instructions_are_calls(other: Instruction) -> None:
    assert len(effects(other).calls) == 1


def test_a_second_limit_or_price_is_a_call() -> None:
    found = effects(units(1), units(2), price(10**6), price(10**7))
    assert [each.method for each in found.calls] == ["0x02", "0x03"]
    assert found.fee_ceiling == 5001


@pytest.mark.parametrize("program", sorted(programs.PRECOMPILES))
def test_signatures_that_programs_check_are_paid(program: bytes) -> None:
    found = effects(instruction(program, b"\3\0" + bytes(20)), instruction(program, b""))
    assert found.fee_ceiling == 5000 * 4
    assert len(found.calls) == 2


# --- Calls ---


@pytest.mark.parametrize(
    ("program", "data", "method", "rest"),
    [
        (b"\x77" * 32, bytes(range(10)), "0x0001020304050607", b"\x08\x09"),
        (b"\x77" * 32, b"", "0x", b""),
        (programs.SYSTEM, b"\0\0\0\0" + bytes(48), "0x00000000", bytes(48)),  # CreateAccount
        (programs.SYSTEM, b"\4\0\0\0\1", "0x04000000", b"\1"),
        (programs.SYSTEM, b"\5\0\0\0" + u64(5), "0x05000000", u64(5)),  # WithdrawNonceAccount
        (programs.TOKEN, b"\x09", "0x09", b""),  # CloseAccount
        (programs.TOKEN, b"\x06\2\1" + TO, "0x06", b"\2\1" + TO),  # SetAuthority
        (programs.TOKEN_2022, b"\x1a\1" + bytes(17), "0x1a", b"\1" + bytes(17)),
        (programs.TOKEN, b"", "0x", b""),
        (programs.ASSOCIATED, b"\2", "0x02", b""),  # RecoverNested
        (programs.ASSOCIATED, b"\1\0", "0x01", b"\0"),
    ],
    ids=range(11),
)
def test_another_instruction_is_a_call_with_its_accounts(program: bytes, data: bytes, method: str, rest: bytes) -> None:
    """The method is what a rule names; whom it pays is among the accounts."""
    found = effects(instruction(program, data, meta(WALLET, signs=True), meta(TO)))
    assert found.calls == (Call(text(program), method, rest, 0, (text(WALLET), text(TO))),)
    assert (found.transfers, found.allowances) == ((), ())


# --- Who signs ---


def test_only_the_wallet_signs_and_pays() -> None:
    unsupported = "unsupported_transaction"
    refused(unsupported, effects, transfer(5), payer=OTHER)
    both = instruction(programs.SYSTEM, b"\2\0\0\0" + u64(5), meta(WALLET, signs=True), meta(TO, signs=True))
    refused(unsupported, effects, both)
    refused(unsupported, programs.effects, Message.decode(message(transfer(5))), TO, "mainnet")


def test_a_message_of_nothing_pays_its_fee() -> None:
    assert effects() == Effects("solana:mainnet", fee_asset=NATIVE, fee_ceiling=5000)
    assert Message.decode(message()).blockhash == BLOCKHASH


# --- Off-chain messages ---


@pytest.mark.parametrize(("written", "form"), [("Hello ~", 0), ("a\nb", 1), ("grüße", 1), ("a" * 1212, 0)])
def test_the_bytes_of_an_off_chain_message(written: str, form: int) -> None:
    """solana-sdk's OffchainMessage::serialize, version 0; its own test has "Test Message" as below."""
    raw = written.encode()
    expected = b"\xffsolana offchain" + bytes((0, form)) + len(raw).to_bytes(2, "little") + raw
    assert offchain.encode(raw) == expected
    refused("unsupported_transaction", Message.decode, expected)


def test_solana_sdks_own_vector() -> None:
    """solana-sdk, offchain-message/src/lib.rs, test_offchain_message_ascii."""
    vector = [255, 115, 111, 108, 97, 110, 97, 32, 111, 102, 102, 99, 104, 97, 105, 110, 0, 0, 12, 0]
    assert offchain.encode(b"Test Message") == bytes((*vector, 84, 101, 115, 116, 32, 77, 101, 115, 115, 97, 103, 101))


@pytest.mark.parametrize("raw", [b"", b"\xff", b"a" * 1213, "a\u200bb".encode(), b"a\0"])
def test_what_is_no_text_is_refused(raw: bytes) -> None:
    refused("malformed_transaction", offchain.encode, raw)


def test_effects_of_a_text() -> None:
    found = offchain.effects("devnet", b"a" * 65)
    assert found == Effects("solana:devnet", signings=(Signing("text", None, "a" * 64),))
    refused("malformed_transaction", offchain.effects, "devnet", b"")
