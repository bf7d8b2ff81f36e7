"""What a rule, and the policy as a whole, bound: amounts, fees, arguments, hours, cool-downs, sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from strongroom.approval.demand import Demand
from strongroom.chains.effects import Effects
from strongroom.errors import Refusal
from strongroom.policy import words
from strongroom.policy.arguments import require_arguments
from strongroom.policy.document import Policy
from strongroom.policy.items import Item
from strongroom.policy.lists import Proof
from strongroom.policy.rules import Rule
from strongroom.policy.words import either


def require_not_denied(policy: Policy, found: Sequence[Item]) -> None:
    """Raises Refusal `policy_denied`."""
    for item in found:
        accounts = () if item.call is None else item.call.accounts
        for address in (item.to, *accounts):
            for name in policy.deny:
                entry = policy.list(name).find(address, ())
                if entry is not None:
                    reason = f"{address} ({entry.label}) is on list {name}, which is denied whatever a rule allows"
                    raise Refusal("policy_denied", f"{reason}: until officers take it off, nothing goes there")


def require_fee(policy: Policy, effects: Effects) -> None:
    """Raises Refusal `policy_fee`."""
    if not effects.fee_asset:
        return
    fee, ceiling = effects.fee_ceiling, policy.fee(effects.fee_asset)
    if ceiling is None:
        raise Refusal("policy_fee", f"the policy has no fee ceiling for {effects.fee_asset}")
    if fee > ceiling.most:
        raise Refusal("policy_fee", f"the fee may reach {fee} of {fee_unit(effects)}, over the ceiling {ceiling.most}")
    moved = sum(each.amount for each in effects.transfers if each.asset == effects.fee_asset and each.sender is None)
    moved += sum(call.value for call in effects.calls)
    if ceiling.permille is not None and moved and fee * 1000 > moved * ceiling.permille:
        most = moved * ceiling.permille // 1000
        raise Refusal("policy_fee", f"the fee may reach {fee}, over {ceiling.permille} thousandths of {moved}: {most}")


def fee_unit(effects: Effects) -> str:
    return f"the smallest unit of {effects.fee_asset}"


def require_within(policy: Policy, rule: Rule, found: Sequence[Item], now: int, proofs: Sequence[Proof]) -> None:
    """All that a transaction does under one rule. Raises Refusal."""
    opens = min((hours.opens(now) for hours in rule.hours), default=now)
    if opens > now:
        when = f"its hours are {either([words.hours(each) for each in rule.hours])}"
        reason = f"rule {rule.name} allows nothing before {_in(opens, now)}: {when}"
        raise Refusal("policy_hours", reason)
    for item in found:
        _require_cooled(policy, rule, item, now, proofs)
        if item.call is not None:
            require_arguments(policy, rule, item.call, item.chain, proofs)
        if item.allowance is not None and item.allowance.added:
            _require_counted(rule, item)
    for asset, amount in totals(found).items():
        _require_amount(rule, asset, amount)


def _require_amount(rule: Rule, asset: str, amount: int | None) -> None:
    if rule.most is None:
        return
    if amount is None:
        raise Refusal("policy_limit", f"rule {rule.name} allows at most {rule.most} of {asset}, and this has no end")
    if amount > rule.most:
        raise Refusal(
            "policy_limit", f"{amount} of {asset} are over the limit of rule {rule.name}: {rule.most} per transaction"
        )


def _require_counted(rule: Rule, item: Item) -> None:
    """What a spender could take already is not in the transaction: increases under a limit would add up unseen."""
    if rule.most is not None and not any(window.amount is not None for window in rule.windows):
        reason = f"rule {rule.name} limits allowances of {item.asset}, and this one comes on top of what there is"
        raise Refusal("policy_limit", f"{reason}: approve the whole amount, or have the rule count by a window")


def _require_cooled(policy: Policy, rule: Rule, item: Item, now: int, proofs: Sequence[Proof]) -> None:
    if not rule.cooldown or not rule.to:
        return
    # On several lists, the one that knows the address longest counts.
    known = [entry for name in rule.to if (entry := policy.list(name).find(item.to, proofs)) is not None]
    ready = min((entry.since for entry in known), default=now) + rule.cooldown
    if ready > now:
        raise Refusal(
            "policy_cooldown", f"rule {rule.name} allows {item.to} only in {ready - now} seconds: it is too new"
        )


def _in(then: int, now: int) -> str:
    return f"{words.moment(then)}, in {then - now} seconds"


def totals(found: Iterable[Item]) -> Mapping[str, int | None]:
    """By asset; None where somebody could take all of it."""
    sums: dict[str, int | None] = {}
    for item in found:
        before = sums.get(item.asset, 0)
        sums[item.asset] = None if before is None or item.amount is None else before + item.amount
    return sums


def require_source(rule: Rule, address: str, country: str) -> None:
    """By the host's word. Raises Refusal `policy_source`."""
    if rule.source is not None and not rule.source.fits(address, country):
        where = f"{address or 'nowhere known'} ({country or 'no country'})"
        wanted = words.source(rule.source)
        raise Refusal("policy_source", f"rule {rule.name} is for requests from {wanted}; the host says {where}")


def demands(rule: Rule, found: Sequence[Item]) -> tuple[Demand, ...]:
    """Of each asset's tier: the highest that its total is over."""
    wanted: list[Demand] = []
    for amount in totals(found).values():
        reached = [tier for tier in rule.tiers if tier.above is None or amount is None or amount > tier.above]
        if reached:
            wanted += reached[-1].demands
    return tuple(wanted)
