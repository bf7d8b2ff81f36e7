"""What a rule, and the policy as a whole, bound: amounts, fees, arguments, hours, cool-downs, velocity, sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from strongroom.approval.demand import Demand
from strongroom.chains.effects import Effects
from strongroom.errors import Refusal
from strongroom.policy.arguments import require_arguments
from strongroom.policy.document import Policy
from strongroom.policy.history import History, Spend
from strongroom.policy.items import Item
from strongroom.policy.lists import Proof
from strongroom.policy.matching import listed
from strongroom.policy.rules import Rule
from strongroom.policy.terms import Window


def require_not_denied(policy: Policy, found: Sequence[Item]) -> None:
    """Raises Refusal `policy_denied`."""
    for item in found:
        accounts = () if item.call is None else item.call.accounts
        for address in (item.to, *accounts):
            entry = listed(policy, policy.deny, address, ())
            if entry is not None:
                raise Refusal("policy_denied", f"{address} ({entry.label}) is denied, whatever a rule allows")


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
    if rule.hours and not any(hours.hold(now) for hours in rule.hours):
        raise Refusal("policy_hours", f"rule {rule.name} allows nothing at this hour")
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
        raise Refusal("policy_source", f"rule {rule.name} is not for requests from {where}")


def demands(rule: Rule, found: Sequence[Item]) -> tuple[Demand, ...]:
    """Of each asset's tier: the highest that its total is over."""
    wanted: list[Demand] = []
    for amount in totals(found).values():
        reached = [tier for tier in rule.tiers if tier.above is None or amount is None or amount > tier.above]
        if reached:
            wanted += reached[-1].demands
    return tuple(wanted)


# --- Velocity ---


def require_velocity(
    policy: Policy,
    rules: Sequence[Rule],
    found: Sequence[Item],
    spends: Sequence[Spend],
    now: int,
    history: History,
) -> None:
    """Raises Refusal `policy_velocity`."""
    endless = {item.asset for item in found if item.amount is None}
    for rule in rules:
        own = [spend for spend in spends if spend.rule == rule.name]
        for window in rule.windows:
            _require_window(window, f"rule {rule.name}", rule.name, own, endless, now, history)
    for window in policy.windows:
        _require_window(window, "the wallet", None, spends, endless, now, history)


def _require_window(
    window: Window,
    whose: str,
    rule: str | None,
    spends: Sequence[Spend],
    endless: set[str],
    now: int,
    history: History,
) -> None:
    counted = [spend for spend in spends if window.asset in (None, spend.asset)]
    since = now - window.seconds + 1
    for to in dict.fromkeys(spend.to if window.each else None for spend in counted):
        now_to = [spend for spend in counted if to in (None, spend.to)]
        place = f"{whose}, {window.seconds} s" + ("" if to is None else f", to {to}")
        if window.count is not None:
            _, before = history.spent(window.asset, rule, to, since)
            if before + len(now_to) > window.count:
                raise Refusal("policy_velocity", f"{place}: {before} payments were made and {window.count} may be")
        if window.amount is None:
            continue
        for asset in dict.fromkeys(spend.asset for spend in now_to if spend.asset):
            amount = sum(spend.amount for spend in now_to if spend.asset == asset)
            _require_sum(
                window.amount, amount, asset in endless, asset, place, history.spent(asset, rule, to, since)[0]
            )


def _require_sum(most: int, amount: int, endless: bool, asset: str, place: str, before: int) -> None:
    if endless:
        raise Refusal("policy_velocity", f"{place}: an allowance without end cannot be counted against {most}")
    if before + amount > most:
        left = max(most - before, 0)
        raise Refusal(
            "policy_velocity", f"{place}: {before} of {most} of {asset} are spent; {left} may go now, not {amount}"
        )
