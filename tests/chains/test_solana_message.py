"""Solana messages: solders' bytes read as solders means them, written again to the byte, and all else refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import Message as Legacy
from solders.message import MessageV0, from_bytes_versioned, to_bytes_versioned
from solders.pubkey import Pubkey

from strongroom.chains.solana import MAX_SIZE, Message, base58, programs
from strongroom.errors import Refusal
from tests.chains.solana_cases import BLOCKHASH, TO, WALLET, message, transfer
from tests.wire.refused import refused

ACCOUNTS = [bytes((value,)) * 32 for value in range(1, 7)]
INSTRUCTIONS = st.lists(
    st.builds(
        lambda program, metas, data: Instruction(Pubkey.from_bytes(program), data, metas),
        st.sampled_from([programs.SYSTEM, programs.TOKEN, b"\x77" * 32]),
        st.lists(
            st.builds(lambda key, *flags: AccountMeta(Pubkey.from_bytes(key), *flags), st.sampled_from(ACCOUNTS),
                      st.booleans(), st.booleans()),
            max_size=5,
        ),
        st.binary(max_size=20) | st.just(bytes(130)),
    ),
    max_size=4,
)  # fmt: skip
BLOCKHASHES = st.binary(min_size=32, max_size=32)


def compiled(instructions: list[Instruction], blockhash: bytes, version: int | None) -> Legacy | MessageV0:
    payer, recent = Pubkey.from_bytes(WALLET), Hash.from_bytes(blockhash)
    if version is None:
        return Legacy.new_with_blockhash(instructions, payer, recent)
    return MessageV0.try_compile(payer, instructions, [], recent)


@settings(max_examples=80)
@given(INSTRUCTIONS, BLOCKHASHES, st.sampled_from([None, 0]))
def test_what_solders_builds_reads_the_same(
    instructions: list[Instruction], blockhash: bytes, version: int | None
) -> None:
    theirs = compiled(instructions, blockhash, version)
    raw = bytes(to_bytes_versioned(theirs))
    ours = Message.decode(raw)
    assert ours.encode() == raw
    header = theirs.header
    assert (ours.version, ours.blockhash) == (version, blockhash)
    assert (ours.signatures, ours.readonly_signers, ours.readonly_others) == (
        header.num_required_signatures,
        header.num_readonly_signed_accounts,
        header.num_readonly_unsigned_accounts,
    )
    assert list(ours.keys) == [bytes(key) for key in theirs.account_keys]
    assert [(each.program, each.accounts, each.data) for each in ours.instructions] == [
        (bytes(each.program_id), tuple(bytes(account.pubkey) for account in each.accounts), bytes(each.data))
        for each in instructions
    ]
    assert all(
        ours.signs(bytes(account.pubkey)) for each in instructions for account in each.accounts if account.is_signer
    )


@settings(max_examples=150)
@given(INSTRUCTIONS, st.sampled_from([None, 0]), st.data())
def test_whatever_is_read_is_written_again_byte_for_byte(
    instructions: list[Instruction], version: int | None, data: st.DataObject
) -> None:
    raw = bytearray(to_bytes_versioned(compiled(instructions, BLOCKHASH, version)))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(raw)) | st.integers(0, 6))
        raw[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    judge(bytes(raw))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_written_again(raw: bytes) -> None:
    judge(raw)


def judge(raw: bytes) -> None:
    try:
        read = Message.decode(raw)
        assert read.encode() == raw
        programs.effects(read, read.keys[0], "mainnet")
    except Refusal as refusal:
        assert refusal.code in ("malformed_transaction", "unsupported_transaction")


# --- Form ---

PLAIN = message(transfer(5))
HEADER, KEYS = 1, 5
"""Where the header's counts and the first key begin, of version 0."""


def test_the_plain_one_is_read() -> None:
    read = Message.decode(PLAIN)
    assert read.keys == (WALLET, TO, programs.SYSTEM)
    assert PLAIN[:KEYS] == b"\x80\1\0\1\3"
    assert PLAIN[-1:] == b"\0"


@pytest.mark.parametrize("version", [None, 0])
@pytest.mark.parametrize("more", [b"\0", b"\1", PLAIN])
def test_trailing_bytes_are_refused(version: int | None, more: bytes) -> None:
    """solders accepts them: it would show one message, and another would be signed."""
    raw = message(transfer(5), version=version)
    theirs: Any = from_bytes_versioned(raw + more if version == 0 else b"\x80" + raw + b"\0" + more)
    assert theirs.recent_blockhash == Hash.from_bytes(BLOCKHASH)
    assert "trailing" in refused("malformed_transaction", Message.decode, raw + more).reason


@pytest.mark.parametrize("version", [None, 0])
def test_every_shorter_one_is_refused(version: int | None) -> None:
    raw = message(transfer(5), version=version)
    for size in range(len(raw)):
        refused("malformed_transaction", Message.decode, raw[:size])


@pytest.mark.parametrize("first", [0x81, 0x82, 0xFE, 0xFF])
def test_other_versions_are_refused(first: int) -> None:
    """0xff begins an off-chain message."""
    refused("unsupported_transaction", Message.decode, bytes((first,)) + PLAIN[1:])


def test_lookup_tables_are_refused() -> None:
    """What an index of a table means is on the chain alone."""
    table = PLAIN[:-1] + b"\1" + b"\x55" * 32 + b"\1\0" + b"\0"
    theirs: Any = from_bytes_versioned(table)
    assert len(theirs.address_table_lookups) == 1
    assert "lookup" in refused("unsupported_transaction", Message.decode, table).reason


@pytest.mark.parametrize("length", [b"\x83\0", b"\x83\x80\0", b"\x83\x80\x80\0", b"\x83\x80\x04", b"\xff\xff\xff", b""])
def test_lengths_have_their_shortest_form(length: bytes) -> None:
    refused("malformed_transaction", Message.decode, PLAIN[: KEYS - 1] + length + PLAIN[KEYS:])


@pytest.mark.parametrize("size", [127, 128, 129, 800])
def test_longer_lengths_are_read(size: int) -> None:
    data = instruction_data(size)
    assert Message.decode(data).instructions[0].data == bytes(size)
    assert Message.decode(data).encode() == data


def instruction_data(size: int) -> bytes:
    return message(Instruction(Pubkey.from_bytes(b"\x77" * 32), bytes(size), []))


def test_size_is_bounded() -> None:
    largest = 800 + MAX_SIZE - len(instruction_data(800))
    assert len(instruction_data(largest)) == MAX_SIZE == 1232
    Message.decode(instruction_data(largest))
    assert "limit" in refused("malformed_transaction", Message.decode, instruction_data(largest + 1)).reason


@pytest.mark.parametrize(
    "header",
    [
        (0, 0, 1),  # nobody signs
        (1, 1, 1),  # the payer is read-only
        (4, 0, 0),  # more signers than keys
        (255, 0, 0),
        (1, 0, 3),  # more read-only accounts than others
        (2, 0, 2),
        (2, 2, 0),
    ],
)
def test_the_header_counts_what_is_there(header: tuple[int, int, int]) -> None:
    refused("malformed_transaction", Message.decode, PLAIN[:HEADER] + bytes(header) + PLAIN[HEADER + 3 :])


def test_a_key_stands_once() -> None:
    """Two indices of one account: signer and writer flags would be those of the first, or of the second."""
    twice = PLAIN.replace(TO, WALLET)
    assert len(twice) == len(PLAIN)
    assert "twice" in refused("malformed_transaction", Message.decode, twice).reason


@pytest.mark.parametrize("row", [b"\0\2\0\1\0", b"\3\2\0\1\0", b"\xff\2\0\1\0", b"\2\2\0\3\0", b"\2\1\xff\0"])
def test_instructions_name_accounts_that_are_there(row: bytes) -> None:
    """program ‖ accounts ‖ data; of three keys, where the payer is no program."""
    keys = PLAIN[: KEYS + 3 * 32] + BLOCKHASH + b"\1"
    assert PLAIN.startswith(keys + b"\2\2\0\1")
    Message.decode(keys + b"\2\2\0\1\0" + b"\0")
    refused("malformed_transaction", Message.decode, keys + row + b"\0")


# --- Base58 ---


@given(st.binary(min_size=32, max_size=32) | st.binary(max_size=20).map(lambda raw: raw.rjust(32, b"\0")))
def test_keys_are_written_as_solana_does(raw: bytes) -> None:
    assert base58.encode(raw) == str(Pubkey.from_bytes(raw))
    assert base58.decode(base58.encode(raw), 32) == raw


@pytest.mark.parametrize(
    "text",
    ["", "1" * 31, "1" * 33, "0" * 32, "l" * 32, "z" * 44, "1" * 65, " " + "1" * 32,
     str(Pubkey.from_bytes(b"\xff" * 32)) + "1", "é" * 32],
    ids=range(10),
)  # fmt: skip
def test_what_is_no_key_is_refused(text: str) -> None:
    refused("malformed_transaction", base58.decode, text, 32)
