"""A policy in plain sentences, for whoever is to sign it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from strongroom.approval.demand import Demand
from strongroom.chains.explain import amount
from strongroom.policy.document import Fee, Policy
from strongroom.policy.lists import Recipients
from strongroom.policy.rules import Rule
from strongroom.policy.terms import Method, Tier, Window
from strongroom.policy.words import both, bound, duration, either, hours, moment, source


def sentences(policy: Policy) -> tuple[str, ...]:
    return tuple(_sentences(policy))


def _sentences(policy: Policy) -> Iterator[str]:
    if policy.frozen:
        yield "Frozen: nothing is signed under this policy."
    yield f"Version {policy.version}, issued {moment(policy.issued)}."
    end = f", and in any case before {moment(policy.expires)}" if policy.expires is not None else ""
    lease = f"It is in force for {duration(policy.lease)}, until {moment(policy.issued + policy.lease)}"
    yield f"{lease}, unless officers renew it{end}."
    officers = "one officer" if policy.freezers == 1 else f"{policy.freezers} officers"
    yield f"A change takes effect {_after(policy.timelock)}; {officers} can freeze the wallet at once."
    yield f"{_count(len(policy.requesters), 'key')} may ask for signatures."
    for approver in policy.approvers:
        weight = f", counting {approver.weight}" if approver.weight > 1 else ""
        yield f"{approver.name}, a {approver.kind}, approves for {both(approver.groups)}{weight}."
    yield f"Chains: {', '.join(policy.chains) or 'none'}."
    yield from (_list(each, denied=each.name in policy.deny) for each in policy.lists)
    yield from (_rule(number, rule) for number, rule in enumerate(policy.rules, 1))
    yield from (f"Over all rules: {_window(window, None)}." for window in policy.windows)
    yield from map(_fee, policy.fees)
    yield "Whatever no rule covers is refused."


def _after(seconds: int) -> str:
    return f"{duration(seconds)} after a signer first saw it" if seconds else "at once"


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def _list(found: Recipients, *, denied: bool) -> str:
    what = f"Nothing may go to list {found.name}" if denied else f"List {found.name}"
    if found.root is not None:
        return f"{what}: {_count(found.size, 'address')[:-1]}es, by the root {found.root.hex()}."
    shown = [f"{entry.label} ({entry.address})" for entry in found.entries[:16]]
    more = f", and {len(found.entries) - 16} more" if len(found.entries) > 16 else ""
    return f"{what}: {', '.join(shown) or 'nobody'}{more}."


# --- Rules ---


def _rule(number: int, rule: Rule) -> str:
    terms = [_about(rule), *_terms(rule)]
    return f"Rule {number}, {rule.name}: {'; '.join(terms)}."


def _about(rule: Rule) -> str:
    assets, chains = both(rule.assets), both(rule.chains)
    to = "anyone" if rule.to is None else both(rule.to)
    if rule.kind == "transfer":
        return f"pays {assets} to {to}"
    if rule.kind == "collect":
        return f"moves what others hold of {assets} to {to}"
    if rule.kind == "allowance":
        return f"lets {to} take {assets} later"
    if rule.kind == "call":
        return f"on {chains}, calls {both([_method(method) for method in rule.methods])}"
    if rule.kind == "delegation":
        return f"on {chains}, lets the code of {to} act as the wallet (EIP-7702)"
    if rule.kind == "typed":
        domains = [f"{each.primary or 'anything'} for {each.contract or 'no contract'}" for each in rule.domains]
        return f"on {chains}, signs typed data: {both(domains)}"
    return (
        f"signs texts of {chains}" if rule.kind == "text" else "signs Strongroom's own messages, which no chain reads"
    )


def _method(method: Method) -> str:
    bounds = f" where {both([bound(each) for each in method.arguments])}" if method.arguments else ""
    return f"{method.method} of {method.contract}{bounds}"


def _terms(rule: Rule) -> Iterator[str]:
    asset = rule.assets[0] if len(rule.assets) == 1 else f"{rule.chains[0]}/native" if len(rule.chains) == 1 else None
    if rule.kind in ("transfer", "collect", "allowance") or rule.most:
        each = "" if asset is not None else " of each"
        yield "any amount" if rule.most is None else f"at most {_amount(asset, rule.most)}{each} in a transaction"
    yield from (_window(window, asset) for window in rule.windows)
    if rule.hours:
        yield f"only {either([hours(each) for each in rule.hours])}"
    if rule.cooldown:
        yield f"only to whom the list has known for {duration(rule.cooldown)}"
    if rule.source is not None:
        yield f"only from {source(rule.source)}, which is the host's word and no more than advice"
    yield from (_tier(tier, asset) for tier in rule.tiers)


def _amount(asset: str | None, units: int) -> str:
    return f"{units} units" if asset is None else amount(asset, units)


def _window(window: Window, asset: str | None) -> str:
    limits = [] if window.amount is None else [_amount(window.asset or asset, window.amount)]
    limits += [] if window.count is None else [_count(window.count, "payment")]
    each = " to each destination" if window.each else ""
    of = f" of {window.asset}" if window.asset is not None and window.amount is None else ""
    return f"at most {both(limits)}{of}{each} in any {duration(window.seconds)}"


def _tier(tier: Tier, asset: str | None) -> str:
    above = "always" if tier.above is None else f"above {_amount(asset, tier.above)}"
    return f"{above}, {_demands(tier.demands)}"


def _demands(demands: Sequence[Demand]) -> str:
    if not demands:
        return "nobody needs to approve"
    own = " (the requester may be one of them)" if any(demand.requester for demand in demands) else ""
    return f"{both([str(demand) for demand in demands])} must approve{own}"


def _fee(fee: Fee) -> str:
    share = f", and at most {fee.permille} thousandths of what is moved" if fee.permille is not None else ""
    return f"A fee on {fee.asset.partition('/')[0]} is at most {amount(fee.asset, fee.most)}{share}."
