"""A transaction's effects as rules see them: one item for each thing that a rule must cover."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from strongroom.chains.effects import Allowance, Call, Effects, Signing, Transfer
from strongroom.errors import Refusal
from strongroom.policy.rules import Kind

MAX_ITEMS: Final = 1024
"""Effects of one transaction that are judged."""


@dataclass(frozen=True)
class Item:
    """asset: what the amount is of, empty for what has none. to: recipient, spender, contract, domain, code, or empty.

    amount: None for everything that there is. call, signing, allowance: the effect itself, for what only its kind has.
    """

    kind: Kind
    chain: str
    asset: str
    to: str
    amount: int | None
    call: Call | None = None
    signing: Signing | None = None
    allowance: Allowance | None = None


def items(effects: Effects) -> tuple[Item, ...]:
    """Raises Refusal `unsupported_transaction` where there are too many."""
    found = tuple(_items(effects))
    if len(found) > MAX_ITEMS:
        raise Refusal("unsupported_transaction", f"{len(found)} effects are over the limit of {MAX_ITEMS}")
    return found


def _items(effects: Effects) -> Iterator[Item]:
    chain = effects.chain
    for transfer in effects.transfers:
        yield _transfer(chain, transfer)
    for allowance in effects.allowances:
        yield Item("allowance", chain, allowance.asset, allowance.spender, allowance.amount, allowance=allowance)
    for call in effects.calls:
        yield Item("call", chain, f"{chain}/native", call.contract, call.value, call=call)
    for signing in effects.signings:
        kind: Kind = "message" if not chain else "typed" if signing.kind == "typed" else "text"
        yield Item(kind, chain, "", signing.domain or "", 0, signing=signing)
    for delegation in effects.delegations:
        yield Item("delegation", chain, "", delegation.code, 0)


def _transfer(chain: str, transfer: Transfer) -> Item:
    kind: Kind = "transfer" if transfer.sender is None else "collect"
    return Item(kind, chain, transfer.asset, transfer.to, transfer.amount)
