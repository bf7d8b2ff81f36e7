"""Bounds of a call's arguments, read out of its bytes at fixed places (the contract's ABI is not known here)."""

from __future__ import annotations

from collections.abc import Sequence

from strongroom.chains.effects import Call
from strongroom.chains.solana.base58 import encode as base58
from strongroom.errors import Refusal
from strongroom.policy.document import Policy
from strongroom.policy.lists import Proof
from strongroom.policy.matching import listed
from strongroom.policy.rules import Rule
from strongroom.policy.terms import Bound


def require_arguments(policy: Policy, rule: Rule, call: Call, chain: str, proofs: Sequence[Proof]) -> None:
    """Of one of the rule's entries for this method, every bound holds. Raises Refusal `policy_argument`."""
    entries = [each for each in rule.methods if (each.contract, each.method) == (call.contract, call.method)]
    failed = [_failing(policy, each.arguments, call, chain, proofs) for each in entries]
    if all(bound is not None for bound in failed):
        bound = failed[0]
        where = "" if bound is None else f"account {bound.at}" if not bound.size else f"the argument at byte {bound.at}"
        reason = f"rule {rule.name} does not allow {where} of method {call.method} to be what it is"
        raise Refusal("policy_argument", reason)


def _failing(policy: Policy, bounds: Sequence[Bound], call: Call, chain: str, proofs: Sequence[Proof]) -> Bound | None:
    """The first bound that does not hold."""
    for bound in bounds:
        if not (_names(policy, bound, call, chain, proofs) if bound.to is not None else _counts(bound, call)):
            return bound
    return None


def _counts(bound: Bound, call: Call) -> bool:
    raw = call.data[bound.at : bound.at + bound.size]
    number = int.from_bytes(raw, "little" if bound.little else "big")
    most = bound.most if bound.most is not None else number
    return len(raw) == bound.size and (bound.least or 0) <= number <= most


def _names(policy: Policy, bound: Bound, call: Call, chain: str, proofs: Sequence[Proof]) -> bool:
    if bound.size == 0:
        address = call.accounts[bound.at] if bound.at < len(call.accounts) else ""
    else:
        address = _address(call.data[bound.at : bound.at + 32], chain)
    return bool(address) and listed(policy, bound.to or (), address, proofs) is not None


def _address(raw: bytes, chain: str) -> str:
    """As effects write it; empty for what is no address of this chain."""
    if len(raw) != 32:
        return ""
    if chain.startswith("evm:"):
        return "" if any(raw[:12]) else "0x" + raw[12:].hex()
    return base58(raw) if chain.startswith("solana:") else ""
