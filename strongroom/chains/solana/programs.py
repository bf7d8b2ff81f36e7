"""The programs whose instructions are understood: system, SPL tokens, associated accounts, compute budget.

An instruction of another program, or one that is not listed here, is a call that a rule must allow by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from strongroom.chains.effects import Allowance, Call, Effects, Transfer
from strongroom.chains.solana.base58 import decode, encode
from strongroom.chains.solana.message import Instruction, Message
from strongroom.errors import Refusal

SYSTEM: Final = bytes(32)
TOKEN: Final = decode("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", 32)
TOKEN_2022: Final = decode("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb", 32)
ASSOCIATED: Final = decode("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL", 32)
BUDGET: Final = decode("ComputeBudget111111111111111111111111111111", 32)

PRECOMPILES: Final = frozenset(
    decode(name, 32)
    for name in (
        "Ed25519SigVerify111111111111111111111111111",
        "KeccakSecp256k11111111111111111111111111111",
        "Secp256r1SigVerify1111111111111111111111111",
    )
)
"""They check signatures, as many as the first byte of their data says, each paid like the transaction's own."""

TAGS: Final[Mapping[bytes, int]] = {SYSTEM: 4, TOKEN: 1, TOKEN_2022: 1, ASSOCIATED: 1, BUDGET: 1}
"""Bytes of instruction data that name the method; 8 for other programs, as Anchor has it."""

SIGNATURE_FEE: Final = 5000
"""Lamports for each signature."""

UNITS_EACH: Final = 200_000
MOST_UNITS: Final = 1_400_000
"""Compute units of an instruction where no limit is set, and of a transaction at most."""

BUILTIN_UNITS: Final = 3_000
"""Compute units that an instruction of the compute budget program itself adds, where no limit is set (SIMD-0170)."""

MOST_TOKENS: Final = (1 << 64) - 1
"""No account holds more: as an allowance it means everything."""

RENT: Final = 2_500_000
"""Lamports: more than the rent of an associated token account, which its creation takes from the payer."""


def _bad(reason: str) -> Refusal:
    return Refusal("malformed_transaction", f"Solana instruction: {reason}")


@dataclass
class _Found:
    """What the instructions add up to."""

    chain: str
    wallet: bytes
    transfers: list[Transfer] = field(default_factory=list)
    allowances: list[Allowance] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    owners: dict[bytes, tuple[bytes, bytes]] = field(default_factory=dict)
    created: int = 0
    units: int | None = None
    price: int = 0

    def token(self, mint: bytes) -> str:
        return f"{self.chain}/token:{encode(mint)}"

    def authorised(self, authority: bytes) -> str | None:
        return None if authority == self.wallet else encode(authority)


def effects(message: Message, wallet: bytes, cluster: str) -> Effects:
    """wallet: the signing key. Raises Refusal where others would have to sign too, or somebody else pays.

    cluster: what the policy calls the chain, as in `mainnet`: a message names none.

    Nothing is used up. Two messages with one recent blockhash can both happen; and whether 32 bytes are a recent
    blockhash or a durable nonce's value is on the chain alone, so that advancing a nonce account proves nothing either.
    """
    if message.keys[0] != wallet or message.signatures != 1:
        raise Refusal("unsupported_transaction", "the wallet must be the payer and the only signer")
    found = _Found(f"solana:{cluster}", wallet)
    for number, instruction in enumerate(message.instructions):
        _understand(found, instruction, number)
    return Effects(
        found.chain,
        tuple(found.transfers),
        tuple(found.allowances),
        tuple(found.calls),
        fee_asset=f"{found.chain}/native",
        fee_ceiling=_fee(found, message),
    )


def _fee(found: _Found, message: Message) -> int:
    """Signatures, priority and the rent of accounts that are created: all that leaves the payer beside transfers."""
    asked = sum(BUILTIN_UNITS if each.program == BUDGET else UNITS_EACH for each in message.instructions)
    units = min(MOST_UNITS, asked) if found.units is None else found.units
    priority = -(-units * found.price // 1_000_000)
    checked = sum(each.data[0] for each in message.instructions if each.program in PRECOMPILES and each.data)
    return SIGNATURE_FEE * (message.signatures + checked) + priority + RENT * found.created


def _understand(found: _Found, instruction: Instruction, number: int) -> None:
    known = _KNOWN.get(instruction.program)
    if known is None or not known(found, instruction, number):
        tag = TAGS.get(instruction.program, 8)
        method, data = f"0x{instruction.data[:tag].hex()}", instruction.data[tag:]
        accounts = tuple(encode(each) for each in instruction.accounts)
        found.calls.append(Call(encode(instruction.program), method, data, accounts=accounts))


def _u64(raw: bytes) -> int:
    if len(raw) != 8:
        raise _bad("an amount has eight bytes")
    return int.from_bytes(raw, "little")


def _accounts(instruction: Instruction, count: int) -> tuple[bytes, ...]:
    """Exactly so many: with more, a token program would look for several signatures."""
    if len(instruction.accounts) != count:
        raise _bad(f"it has {len(instruction.accounts)} accounts, not {count}")
    return instruction.accounts


def _system(found: _Found, instruction: Instruction, number: int) -> bool:
    tag, rest = instruction.data[:4], instruction.data[4:]
    if tag == b"\x02\0\0\0":
        source, target = _accounts(instruction, 2)
        transfer = Transfer(f"{found.chain}/native", encode(target), _u64(rest), found.authorised(source))
        found.transfers.append(transfer)
        return True
    if tag == b"\x04\0\0\0" and not rest:
        _account, _sysvar, authority = _accounts(instruction, 3)
        if number != 0 or authority != found.wallet:
            raise _bad("a durable nonce is advanced first, by the wallet")
        return True
    return False


def _token(found: _Found, instruction: Instruction, _number: int) -> bool:
    tag, rest = instruction.data[:1], instruction.data[1:]
    if tag == b"\x0c":
        source, mint, target, authority = _accounts(instruction, 4)
        amount = _checked(rest)
        owner = found.owners.get(target)
        to = owner[0] if owner is not None and owner[1] == mint else target
        sender = None if authority == found.wallet else encode(source)
        found.transfers.append(Transfer(found.token(mint), encode(to), amount, sender))
        return True
    if tag == b"\x0d":
        _source, mint, delegate, _authority = _accounts(instruction, 4)
        amount = _checked(rest)
        found.allowances.append(
            Allowance(found.token(mint), encode(delegate), None if amount == MOST_TOKENS else amount)
        )
        return True
    if tag in (b"\x03", b"\x04"):
        raise Refusal("unsupported_transaction", "an unchecked token transfer names no mint: use TransferChecked")
    return False


def _checked(rest: bytes) -> int:
    """Amount and decimals, of TransferChecked and ApproveChecked."""
    if len(rest) != 9:
        raise _bad("a checked amount has nine bytes")
    return _u64(rest[:8])


def _associated(found: _Found, instruction: Instruction, _number: int) -> bool:
    """Creates the token account of an owner. The program itself checks that the account follows from owner and mint,
    and fails otherwise with all of the transaction; so what follows may count on it."""
    if instruction.data not in (b"", b"\x00", b"\x01"):
        return False
    payer, account, owner, mint, system, token = _accounts(instruction, 6)
    if payer != found.wallet or system != SYSTEM or token not in (TOKEN, TOKEN_2022):
        raise _bad("an associated account is paid by the wallet and belongs to a token program")
    found.owners[account] = (owner, mint)
    found.created += 1
    return True


def _budget(found: _Found, instruction: Instruction, _number: int) -> bool:
    tag, rest = instruction.data[:1], instruction.data[1:]
    if tag == b"\x02" and len(rest) == 4 and found.units is None:
        found.units = min(MOST_UNITS, int.from_bytes(rest, "little"))
        return True
    if tag == b"\x03" and len(rest) == 8 and not found.price:
        found.price = int.from_bytes(rest, "little")
        return True
    return tag == b"\x04" and len(rest) == 4


_KNOWN: Final[Mapping[bytes, Callable[[_Found, Instruction, int], bool]]] = {
    SYSTEM: _system,
    TOKEN: _token,
    TOKEN_2022: _token,
    ASSOCIATED: _associated,
    BUDGET: _budget,
}
