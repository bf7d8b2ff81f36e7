"""What a transaction would do: all that a policy may see. A new chain is a new decoder that gives these.

Assets and addresses are canonical text, so that a rule, a screen and a log name the same thing alike:

    chain     evm:1, bitcoin:mainnet, solana:mainnet
    asset     evm:1/native, evm:1/token:0x…, evm:1/token:0x…/7 (one of ERC-1155's or ERC-721's), bitcoin:mainnet/native,
              solana:mainnet/native, solana:mainnet/token:<mint>
    address   as the chain's own tools print it, EVM in lower case

Amounts are integers of the asset's smallest unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Transfer:
    """The wallet's own asset leaves for `to`. sender: whose, where a contract moves what others hold; else None."""

    asset: str
    to: str
    amount: int
    sender: str | None = None


@dataclass(frozen=True)
class Allowance:
    """Somebody may take from the wallet later. amount: None for all of it, now and in future.

    expires: Unix seconds after which it lapses; None for never. A deadline for handing a permit in is none: what was
    handed in stays. added: on top of what the spender may take already, instead of in its place.
    """

    asset: str
    spender: str
    amount: int | None
    expires: int | None = None
    added: bool = False


@dataclass(frozen=True)
class Call:
    """A call that is not understood further: a rule must allow contract and method by name.

    method: EVM: the selector, 0x and eight digits; Solana: the instruction's tag, as long as the program's tags are.
    Bitcoin: the first four bytes of what an OP_RETURN carries. data: what follows the method; Bitcoin: all that is
    carried. accounts: Solana alone: whom the program is shown, in its order.
    """

    contract: str
    method: str
    data: bytes
    value: int = 0
    accounts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Signing:
    """A message that no chain executes by itself, but that somebody may act on.

    kind: `text`, or `typed` (EIP-712). domain: the contract that it is for, where it names one. what: the text's first
    words, or the primary type.
    """

    kind: Literal["text", "typed"]
    domain: str | None
    what: str


@dataclass(frozen=True)
class Delegation:
    """The wallet's address is to act by the code at another one (EIP-7702). code: that address; zeros for none.

    Beyond the signers' judgement: what such code then moves, nobody asks them about.
    """

    code: str


@dataclass(frozen=True)
class Effects:
    """fee_ceiling: the most that the network may take, of fee_asset.

    once: what this transaction uses up, so that no two of it can both happen: an account's nonce, an outpoint. Empty
    where the bytes alone do not prove such a thing, as on Solana.
    """

    chain: str
    transfers: tuple[Transfer, ...] = ()
    allowances: tuple[Allowance, ...] = ()
    calls: tuple[Call, ...] = ()
    signings: tuple[Signing, ...] = ()
    fee_asset: str = ""
    fee_ceiling: int = 0
    once: tuple[str, ...] = ()
    delegations: tuple[Delegation, ...] = ()


@dataclass(frozen=True)
class ToSign:
    """One signature that the transaction wants: what the scheme signs, and the derivation path of the key."""

    message: bytes
    path: tuple[int, ...] = ()
