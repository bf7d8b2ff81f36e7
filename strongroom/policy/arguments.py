"""Bounds of a call's arguments, read out of its bytes at fixed places (the contract's ABI is not known here)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from strongroom.chains.effects import Call
from strongroom.chains.solana.base58 import encode as base58
from strongroom.errors import Refusal
from strongroom.policy import words
from strongroom.policy.document import Policy
from strongroom.policy.lists import Proof
from strongroom.policy.matching import NEEDS_PROOF, listed
from strongroom.policy.rules import Rule
from strongroom.policy.terms import Bound
from strongroom.policy.words import both, either

MAX_NAMED: Final = 4
"""Sets of bounds that a refusal spells out."""


def require_arguments(policy: Policy, rule: Rule, call: Call, chain: str, proofs: Sequence[Proof]) -> None:
    """Of one of the rule's entries for this method, every bound holds. Raises Refusal `policy_argument`."""
    entries = [each for each in rule.methods if (each.contract, each.method) == (call.contract, call.method)]
    failed = [_failing(policy, each.arguments, call, chain, proofs) for each in entries]
    missed = [bound for bound in failed if bound is not None]
    if len(missed) < len(entries):
        return
    wanted = either([both([words.bound(bound) for bound in each.arguments]) for each in entries[:MAX_NAMED]])
    more = f" or {len(entries) - MAX_NAMED} more such" if len(entries) > MAX_NAMED else ""
    found = ", ".join(dict.fromkeys(f"{words.argument(bound)} is {_found(bound, call, chain)}" for bound in missed))
    rooted = any(policy.list(name).root is not None for bound in missed for name in bound.to or ())
    reason = f"rule {rule.name} allows method {call.method} where {wanted}{more}; here {found}"
    raise Refusal("policy_argument", reason + (NEEDS_PROOF if rooted else ""))


def listed_arguments(policy: Policy, call: Call, chain: str) -> tuple[str, ...]:
    """Addresses in the call that some rule wants to be on a list: proofs are about them where the list is a root."""
    wanted = (
        bound
        for rule in policy.by_kind.get("call", ())
        for method in rule.methods
        if (method.contract, method.method) == (call.contract, call.method)
        for bound in method.arguments
        if bound.to is not None
    )
    return tuple(dict.fromkeys(address for bound in wanted if (address := _addressed(bound, call, chain))))


def _failing(policy: Policy, bounds: Sequence[Bound], call: Call, chain: str, proofs: Sequence[Proof]) -> Bound | None:
    """The first bound that does not hold."""
    for bound in bounds:
        if bound.to is None:
            fits = _counts(bound, call)
        else:
            address = _addressed(bound, call, chain)
            fits = bool(address) and listed(policy, bound.to, address, proofs) is not None
        if not fits:
            return bound
    return None


def _found(bound: Bound, call: Call, chain: str) -> str:
    if bound.to is not None:
        return _addressed(bound, call, chain) or "no address"
    raw = call.data[bound.at : bound.at + bound.size]
    return str(_number(bound, raw)) if len(raw) == bound.size else "not there"


def _counts(bound: Bound, call: Call) -> bool:
    raw = call.data[bound.at : bound.at + bound.size]
    number = _number(bound, raw)
    most = bound.most if bound.most is not None else number
    return len(raw) == bound.size and (bound.least or 0) <= number <= most


def _number(bound: Bound, raw: bytes) -> int:
    return int.from_bytes(raw, "little" if bound.little else "big")


def _addressed(bound: Bound, call: Call, chain: str) -> str:
    """What a call has where the bound wants an address, as effects write it; empty where it has none."""
    if bound.size == 0:
        return call.accounts[bound.at] if bound.at < len(call.accounts) else ""
    return _address(call.data[bound.at : bound.at + 32], chain)


def _address(raw: bytes, chain: str) -> str:
    """As effects write it; empty for what is no address of this chain."""
    if len(raw) != 32:
        return ""
    if chain.startswith("evm:"):
        return "" if any(raw[:12]) else "0x" + raw[12:].hex()
    return base58(raw) if chain.startswith("solana:") else ""
