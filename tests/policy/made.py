"""Policies as tests want them: a few chains, recipients, a limit, a fee ceiling, and what else is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from strongroom.chains import evm
from strongroom.policy.document import MAX_LEASE, Fee, Policy
from strongroom.policy.lists import Entry, Recipients
from strongroom.policy.rules import Rule
from strongroom.policy.terms import Method

Calls = Iterable[tuple[bytes, bytes]]


def entries(recipients: Iterable[bytes]) -> tuple[Entry, ...]:
    return tuple(Entry(evm.text(each), f"Recipient {each.hex()[:8]}") for each in sorted(recipients))


def payments(
    requesters: Iterable[bytes],
    chain_ids: Iterable[int],
    recipients: Iterable[bytes],
    limit: int,
    fee: int,
    calls: Calls = (),
    *,
    issued: int,
    **changes: Any,
) -> Policy:
    """Rules `payments`, `calls` and `messages`, in this order. limit, fee: wei. Leased for as long as can be."""
    chains = tuple(sorted(f"evm:{each}" for each in chain_ids))
    coins = tuple(f"{chain}/native" for chain in chains)
    methods = tuple(Method(evm.text(contract), evm.text(selector)) for contract, selector in calls)
    rules = [Rule("payments", "transfer", assets=coins, to=("known",), most=limit)]
    if methods:
        rules.append(Rule("calls", "call", chains=chains, methods=methods, most=limit))
    fields: dict[str, Any] = {
        "issued": issued,
        "requesters": tuple(sorted(requesters)),
        "chains": chains,
        "rules": (*rules, Rule("messages", "message")),
        "lists": (Recipients("known", entries(recipients)),),
        "fees": tuple(Fee(coin, fee) for coin in coins),
        "lease": MAX_LEASE,
    }
    return Policy(**{**fields, **changes})
