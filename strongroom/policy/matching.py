"""Which rule an effect is covered by; and where there is none, what would have been needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from strongroom.errors import Refusal
from strongroom.policy.document import Policy
from strongroom.policy.items import Item
from strongroom.policy.lists import Entry, Proof
from strongroom.policy.names import covers
from strongroom.policy.rules import Kind, Rule
from strongroom.policy.words import either

NEEDS_PROOF: Final = "; a list that is kept as a root needs a proof with the request"


def covering(policy: Policy, item: Item, proofs: Sequence[Proof]) -> Rule:
    """The first rule that covers it. Raises Refusal."""
    for rule in policy.by_kind.get(item.kind, ()):
        if _about(rule, item) and _names_its_other_side(policy, rule, item, proofs):
            return rule
    raise _uncovered(policy, item)


def listed(policy: Policy, names: Sequence[str], address: str, proofs: Sequence[Proof]) -> Entry | None:
    """The entry of the first of these lists that has the address."""
    for name in names:
        entry = policy.list(name).find(address, proofs)
        if entry is not None:
            return entry
    return None


def _about(rule: Rule, item: Item) -> bool:
    """By what it is of: its asset, or its chain."""
    if rule.assets:
        return any(covers(pattern, item.asset) for pattern in rule.assets)
    return rule.kind == "message" or item.chain in rule.chains


def _names_its_other_side(policy: Policy, rule: Rule, item: Item, proofs: Sequence[Proof]) -> bool:
    """By whom it is for: recipient or spender, contract and method, domain."""
    if item.call is not None:
        return any((each.contract, each.method) == (item.call.contract, item.call.method) for each in rule.methods)
    if rule.kind == "typed" and item.signing is not None:
        named, primary = item.signing.domain, item.signing.what
        return any(each.contract == named and each.primary in (None, primary) for each in rule.domains)
    if rule.kind in ("text", "message") or rule.to is None:
        return True
    return listed(policy, rule.to, item.to, proofs) is not None


_CODES: Final[Mapping[Kind, str]] = {
    "transfer": "policy_recipient",
    "collect": "policy_recipient",
    "allowance": "policy_allowance",
    "call": "policy_call",
    "text": "policy_message",
    "typed": "policy_message",
    "message": "policy_message",
    "delegation": "policy_delegation",
}


def _uncovered(policy: Policy, item: Item) -> Refusal:
    about = [rule for rule in policy.by_kind.get(item.kind, ()) if _about(rule, item)]
    if item.call is not None:
        return Refusal("policy_call", f"no rule allows method {item.call.method} of {item.call.contract}")
    if item.signing is not None:
        domain = f" for {item.to}" if item.to else ""
        return Refusal("policy_message", f"no rule allows to sign {item.kind} {item.signing.what[:64]!r}{domain}")
    if item.kind == "delegation" and not about:
        return Refusal("policy_delegation", f"no rule lets other code act as the wallet on {item.chain}")
    if not about:
        what = "moving what others hold of" if item.kind == "collect" else f"a {item.kind} of"
        return Refusal("policy_asset", f"no rule is about {what} {item.asset}")
    rooted = any(policy.list(name).root is not None for rule in about for name in rule.to or ())
    names = ", ".join(f"{rule.name}: {either(rule.to or ())}" for rule in about)
    reason = f"{item.to} is on no list of the rules for {item.asset or item.kind} ({names})"
    return Refusal(_CODES[item.kind], reason + (NEEDS_PROOF if rooted else ""))
