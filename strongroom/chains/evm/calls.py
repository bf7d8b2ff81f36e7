"""Calls that every signer understands: token transfers and approvals. Others are named by contract and selector.

ERC-20 and ERC-721 share the selectors of `transferFrom` and `approve`; which of the two a contract is, the bytes do not
say. Their effect is given as ERC-20's, an amount of the contract's token: a policy gives a contract's token a limit
only where it knows the contract.

A multicall is a call like any other: nothing inside it is looked at, so a rule must name contract and selector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from strongroom.chains.effects import Allowance, Call, Transfer
from strongroom.chains.evm import abi
from strongroom.chains.evm.address import text
from strongroom.errors import Refusal

UNLIMITED: Final = 1 << 255
"""Allowances from here on count as unlimited."""

_LARGEST: Final = frozenset(((1 << 96) - 1, (1 << 160) - 1))
"""So do these, the largest numbers of tokens that count in 96 bits (COMP, UNI) and of Permit2."""


@dataclass(frozen=True)
class Understood:
    transfers: tuple[Transfer, ...] = ()
    allowances: tuple[Allowance, ...] = ()
    calls: tuple[Call, ...] = ()


def understand(chain: str, contract: bytes, value: int, data: bytes, owner: bytes | None) -> Understood:
    """What call data would do. Raises Refusal `malformed_transaction` or `unsupported_transaction`."""
    known = _KNOWN.get(data[:4])
    if known is None or value:
        # A token's methods take no ether: with some, it is another contract than it seems.
        return Understood(calls=(Call(text(contract), text(data[:4]), data[4:], value),))
    types, effect = known
    done = effect(f"{chain}/token:{text(contract)}", abi.decode(types, data[4:]))
    own = None if owner is None else text(owner)
    mine = tuple(replace(each, sender=None) if each.sender == own else each for each in done.transfers)
    return replace(done, transfers=mine)


def limited(amount: int) -> int | None:
    """An allowance's amount; None for what means "everything"."""
    return None if amount >= UNLIMITED or amount in _LARGEST else amount


Arguments = list[Any]


def _transfer(asset: str, arguments: Arguments) -> Understood:
    to, amount = arguments
    return Understood(transfers=(Transfer(asset, text(to), amount),))


def _transfer_from(asset: str, arguments: Arguments) -> Understood:
    sender, to, amount = arguments
    return Understood(transfers=(Transfer(asset, text(to), amount, text(sender)),))


def _approve(asset: str, arguments: Arguments) -> Understood:
    spender, amount = arguments
    return Understood(allowances=(Allowance(asset, text(spender), limited(amount)),))


def _increase(asset: str, arguments: Arguments) -> Understood:
    spender, amount = arguments
    return Understood(allowances=(Allowance(asset, text(spender), limited(amount), added=True),))


def _permit(asset: str, arguments: Arguments) -> Understood:
    """EIP-2612's `permit`, sent by the wallet: it only carries a signature, yet says who may spend what.

    The deadline is for this transaction; the allowance has no end.
    """
    _owner, spender, amount, _deadline, *_signature = arguments
    return Understood(allowances=(Allowance(asset, text(spender), limited(amount)),))


def _one_item(asset: str, arguments: Arguments) -> Understood:
    """ERC-721's `safeTransferFrom`, with or without data."""
    sender, to, item, *_data = arguments
    return Understood(transfers=(Transfer(f"{asset}/{item}", text(to), 1, text(sender)),))


def _some_items(asset: str, arguments: Arguments) -> Understood:
    """ERC-1155's `safeTransferFrom`."""
    sender, to, item, amount, _data = arguments
    return Understood(transfers=(Transfer(f"{asset}/{item}", text(to), amount, text(sender)),))


def _many_items(asset: str, arguments: Arguments) -> Understood:
    """ERC-1155's `safeBatchTransferFrom`."""
    sender, to, items, amounts, _data = arguments
    if len(items) != len(amounts) or not items:
        raise Refusal("malformed_transaction", "a batch has as many amounts as items, and at least one")
    pairs = zip(items, amounts, strict=True)
    return Understood(
        transfers=tuple(Transfer(f"{asset}/{item}", text(to), amount, text(sender)) for item, amount in pairs)
    )


def _approve_all(asset: str, arguments: Arguments) -> Understood:
    """`setApprovalForAll`: everything that the wallet holds there, or nothing any more."""
    spender, granted = arguments
    return Understood(allowances=(Allowance(f"{asset}/*", text(spender), None if granted else 0),))


_Effect = Callable[[str, Arguments], Understood]

_KNOWN: Final[Mapping[bytes, tuple[Sequence[abi.Type], _Effect]]] = {
    bytes.fromhex("a9059cbb"): (("address", "uint256"), _transfer),
    bytes.fromhex("23b872dd"): (("address", "address", "uint256"), _transfer_from),
    bytes.fromhex("095ea7b3"): (("address", "uint256"), _approve),
    bytes.fromhex("39509351"): (("address", "uint256"), _increase),
    bytes.fromhex("d505accf"): (
        ("address", "address", "uint256", "uint256", "uint256", "uint256", "uint256"),
        _permit,
    ),
    bytes.fromhex("42842e0e"): (("address", "address", "uint256"), _one_item),
    bytes.fromhex("b88d4fde"): (("address", "address", "uint256", "bytes"), _one_item),
    bytes.fromhex("f242432a"): (("address", "address", "uint256", "uint256", "bytes"), _some_items),
    bytes.fromhex("2eb2c2d6"): (("address", "address", "uint256[]", "uint256[]", "bytes"), _many_items),
    bytes.fromhex("a22cb465"): (("address", "bool"), _approve_all),
}
