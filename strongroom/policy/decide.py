"""The judgement of what a transaction would do. The rules, in the order in which they are applied:

 1. The policy is not frozen, not expired, and its lease runs         policy_frozen, policy_expired, policy_lease
 2. It names the chain                                                policy_chain
 3. Nothing goes to an address that it denies                         policy_denied
 4. The fee is under its ceiling                                      policy_fee
 5. A rule covers each effect; the first that does decides about it   policy_recipient, policy_asset, …
    A replacement that moves nothing needs none: it cancels
 6. Each rule allows all that it covers, taken together               policy_limit, policy_hours, …
 7. With what was before, no window of a rule or of the wallet is     policy_velocity
    exceeded
 8. What approvals that takes is the answer: nobody is asked here

The same code runs in every signer, where it binds, and in host and client, where it only fails early. A refusal names
the rule, and what it would take to pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from strongroom.approval.demand import Demand
from strongroom.chains.effects import Effects
from strongroom.errors import Refusal
from strongroom.policy import limits
from strongroom.policy.document import Policy
from strongroom.policy.history import History, Spend
from strongroom.policy.items import Item, items
from strongroom.policy.lists import MAX_PROOFS, Proof
from strongroom.policy.matching import covering
from strongroom.policy.rules import Rule
from strongroom.policy.velocity import require_velocity

MAX_AHEAD = 24 * 3600
"""Seconds that a policy's `issued` may lie ahead of the judge's clock: longer would be a longer lease."""


@dataclass(frozen=True)
class Circumstances:
    """now: Unix seconds of the judge's own clock. renewed: until when officers renewed the policy's lease, 0 for never.

    frozen: whether officers froze the wallet beside the policy. proofs: for lists that the policy holds as a root.
    address, country: of whoever asked, by the host's word; empty where it gives none. replaces: whether the intent
    is to take the place of an earlier one; that it conflicts with it, and pays more, is for the journal to see.
    """

    now: int
    renewed: int = 0
    frozen: bool = False
    proofs: Sequence[Proof] = ()
    address: str = ""
    country: str = ""
    replaces: bool = False


@dataclass(frozen=True)
class Decision:
    """spends: to be journalled. demands: approvals must meet all of them. rules: names of those that allowed it."""

    spends: tuple[Spend, ...]
    demands: tuple[Demand, ...]
    rules: tuple[str, ...]


@dataclass
class Taken:
    """What one rule covers of a transaction."""

    rule: Rule
    items: list[Item] = field(default_factory=list)

    def spends(self) -> Iterator[Spend]:
        for item in self.items:
            yield Spend(self.rule.name, item.asset, item.to, item.amount or 0)


def decide(policy: Policy, effects: Effects, circumstances: Circumstances, history: History) -> Decision:
    """What a transaction that the policy allows spends and demands. Raises Refusal with the rule that says no."""
    # 1, 2
    require_in_force(policy, circumstances)
    if effects.chain and effects.chain not in policy.chains:
        raise Refusal(
            "policy_chain", f"{effects.chain} is not allowed; allowed are {', '.join(policy.chains) or 'none'}"
        )
    found = items(effects)
    # 3, 4
    limits.require_not_denied(policy, found)
    limits.require_fee(policy, effects)
    if circumstances.replaces and cancels(effects):
        return Decision((), (), ())
    # 5
    taken = _cover(policy, found, circumstances)
    # 6
    for each in taken:
        limits.require_within(policy, each.rule, each.items, circumstances.now, circumstances.proofs)
        limits.require_source(each.rule, circumstances.address, circumstances.country)
    # 7
    spends = tuple(spend for each in taken for spend in each.spends())
    require_velocity(policy, [each.rule for each in taken], found, spends, circumstances.now, history)
    # 8
    demands = dict.fromkeys(demand for each in taken for demand in limits.demands(each.rule, each.items))
    return Decision(spends, tuple(demands), tuple(each.rule.name for each in taken))


def cancels(effects: Effects) -> bool:
    """Whether a transaction does nothing but use up what another one needs: a zero of the chain's own coin may move, as
    on EVM something must. Not a zero of a token, which would show in the recipient's history as a payment."""
    moves = any(each.amount or each.asset != effects.fee_asset or each.sender for each in effects.transfers)
    more = effects.delegations
    return bool(effects.fee_asset) and not (moves or effects.allowances or effects.calls or effects.signings or more)


def require_in_force(policy: Policy, circumstances: Circumstances) -> None:
    """Raises Refusal `policy_frozen`, `policy_expired` or `policy_lease`."""
    now, leased = circumstances.now, max(policy.issued + policy.lease, circumstances.renewed)
    if policy.frozen or circumstances.frozen:
        raise Refusal("policy_frozen", "officers froze this wallet; a new policy of theirs thaws it")
    if policy.expires is not None and policy.expires <= now:
        raise Refusal("policy_expired", f"the policy expired {now - policy.expires} seconds ago")
    if policy.issued > now + MAX_AHEAD:
        raise Refusal("policy_lease", "the policy is issued for a later day")
    if leased <= now:
        raise Refusal("policy_lease", f"the policy's lease ran out {now - leased} seconds ago, and nobody renewed it")


def _cover(policy: Policy, found: Sequence[Item], circumstances: Circumstances) -> list[Taken]:
    if not found:
        raise Refusal("policy_rule", "it would do nothing that a rule could be about")
    if len(circumstances.proofs) > MAX_PROOFS:
        raise Refusal("malformed_message", f"at most {MAX_PROOFS} proofs come with a request")
    taken: dict[str, Taken] = {}
    for item in found:
        rule = covering(policy, item, circumstances.proofs)
        taken.setdefault(rule.name, Taken(rule)).items.append(item)
    return list(taken.values())
