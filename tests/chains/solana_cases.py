"""Solana messages for tests, built by solders: another implementation of what this project decodes."""

from __future__ import annotations

from collections.abc import Sequence

from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import Message as Legacy
from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.token.associated import get_associated_token_address

from strongroom.chains.solana import programs

WALLET, TO, MINT, OTHER = (bytes((value,)) * 32 for value in (1, 2, 3, 4))
BLOCKHASH = b"\xbb" * 32


def meta(key: bytes, *, signs: bool = False, writable: bool = True) -> AccountMeta:
    return AccountMeta(Pubkey.from_bytes(key), signs, writable)


def instruction(program: bytes, data: bytes, *accounts: AccountMeta) -> Instruction:
    return Instruction(Pubkey.from_bytes(program), data, list(accounts))


def message(
    *instructions: Instruction, payer: bytes = WALLET, blockhash: bytes = BLOCKHASH, version: int | None = 0
) -> bytes:
    """The bytes that are signed."""
    key, recent = Pubkey.from_bytes(payer), Hash.from_bytes(blockhash)
    if version is None:
        return bytes(Legacy.new_with_blockhash(list(instructions), key, recent))
    return bytes(to_bytes_versioned(MessageV0.try_compile(key, list(instructions), [], recent)))


def u64(number: int) -> bytes:
    return number.to_bytes(8, "little")


def transfer(amount: int, to: bytes = TO, source: bytes = WALLET) -> Instruction:
    return instruction(programs.SYSTEM, b"\2\0\0\0" + u64(amount), meta(source, signs=source == WALLET), meta(to))


def checked(
    tag: int, amount: int, *keys: bytes, decimals: int = 6, program: bytes = programs.TOKEN, owner: bytes = WALLET
) -> Instruction:
    """TransferChecked (12): source, mint, target; ApproveChecked (13): source, mint, delegate."""
    source, mint, target = keys
    accounts = (
        meta(source),
        meta(mint, writable=False),
        meta(target),
        meta(owner, signs=owner == WALLET, writable=False),
    )
    return instruction(program, bytes((tag,)) + u64(amount) + bytes((decimals,)), *accounts)


def associated(owner: bytes, mint: bytes, program: bytes = programs.TOKEN) -> bytes:
    found = get_associated_token_address(Pubkey.from_bytes(owner), Pubkey.from_bytes(mint), Pubkey.from_bytes(program))
    return bytes(found)


def create(
    owner: bytes, mint: bytes, data: bytes = b"\1", *, program: bytes = programs.TOKEN, payer: bytes = WALLET
) -> Instruction:
    """The associated account of an owner; data: 1 does nothing where it exists."""
    readonly: Sequence[bytes] = (owner, mint, programs.SYSTEM, program)
    return instruction(
        programs.ASSOCIATED,
        data,
        meta(payer, signs=payer == WALLET),
        meta(associated(owner, mint, program)),
        *(meta(key, writable=False) for key in readonly),
    )


def units(limit: int) -> Instruction:
    return instruction(programs.BUDGET, b"\2" + limit.to_bytes(4, "little"))


def price(micro_lamports: int) -> Instruction:
    return instruction(programs.BUDGET, b"\3" + u64(micro_lamports))


def advance(account: bytes, authority: bytes = WALLET) -> Instruction:
    """A durable nonce's; the sysvar is that of recent blockhashes."""
    sysvar = bytes(Pubkey.from_string("SysvarRecentB1ockHashes11111111111111111111"))
    return instruction(
        programs.SYSTEM,
        b"\4\0\0\0",
        meta(account),
        meta(sysvar, writable=False),
        meta(authority, signs=authority == WALLET, writable=False),
    )
