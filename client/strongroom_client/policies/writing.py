"""Writes a policy as a policy file has it: to look at, and to make the next version from."""

from __future__ import annotations

from typing import Any

from strongroom.approval.approver import Approver
from strongroom.approval.demand import Demand
from strongroom.policy.document import Fee, Policy
from strongroom.policy.lists import Entry, Recipients
from strongroom.policy.rules import Rule
from strongroom.policy.terms import DAYS, Bound, Domain, Hours, Method, Tier, Window
from strongroom_client.policies import units

Json = dict[str, Any]


def document(policy: Policy) -> Json:
    """`read` gives the same policy back."""
    return _without_nothing(
        {
            "wallet": None if policy.wallet is None else policy.wallet.hex(),
            "version": policy.version,
            "previous": None if policy.previous is None else policy.previous.hex(),
            "issued": units.moment_text(policy.issued),
            "lease": units.duration_text(policy.lease),
            "expires": None if policy.expires is None else units.moment_text(policy.expires),
            "timelock": units.duration_text(policy.timelock),
            "frozen": policy.frozen,
            "freezers": policy.freezers,
            "requesters": [key.hex() for key in policy.requesters],
            "approvers": [_approver(each) for each in policy.approvers],
            "chains": [*policy.chains],
            "lists": {each.name: _list(each) for each in policy.lists},
            "deny": [*policy.deny],
            "rules": [_rule(rule) for rule in policy.rules],
            "windows": [_window(window) for window in policy.windows],
            "fees": [_fee(fee) for fee in policy.fees],
        }
    )


def _without_nothing(value: Json) -> Json:
    """What is null or an empty list is the same left out."""
    return {key: each for key, each in value.items() if each is not None and each not in ([], {})}


def _list(found: Recipients) -> list[Json] | Json:
    if found.root is not None:
        return {"root": found.root.hex(), "size": found.size}
    return [_entry(entry) for entry in found.entries]


def _entry(entry: Entry) -> Json:
    since = units.moment_text(entry.since) if entry.since else None
    return _without_nothing({"address": entry.address, "label": entry.label, "since": since})


def _rule(rule: Rule) -> Json:
    source = rule.source and {"networks": [*rule.source.networks], "countries": [*rule.source.countries]}
    return _without_nothing(
        {
            "name": rule.name,
            "kind": rule.kind,
            "assets": [*rule.assets],
            "to": "anyone" if rule.to is None else [*rule.to],
            "chains": [*rule.chains],
            "methods": [_method(method) for method in rule.methods],
            "domains": [_domain(domain) for domain in rule.domains],
            "most": "any" if rule.most is None else str(rule.most),
            "windows": [_window(window) for window in rule.windows],
            "hours": [_hours(hours) for hours in rule.hours],
            "cooldown": rule.cooldown or None,
            "source": source,
            "tiers": [_tier(tier) for tier in rule.tiers],
        }
    )


def _window(window: Window) -> Json:
    return _without_nothing(
        {
            "within": units.duration_text(window.seconds),
            "amount": _amount(window.amount),
            "count": window.count,
            "each": "destination" if window.each else None,
            "asset": window.asset,
        }
    )


def _hours(hours: Hours) -> Json:
    return {
        "days": [DAYS[day] for day in hours.days],
        "from": units.clock_text(hours.start),
        "to": units.clock_text(hours.end),
        "offset": units.offset_text(hours.offset),
    }


def _method(method: Method) -> Json:
    bounds = [_bound(bound) for bound in method.arguments]
    return _without_nothing({"contract": method.contract, "method": method.method, "arguments": bounds})


def _bound(bound: Bound) -> Json:
    place = {"at": bound.at, "size": bound.size} if bound.size else {"account": bound.at}
    to = None if bound.to is None else [*bound.to]
    more = {"least": _amount(bound.least), "most": _amount(bound.most), "to": to, "little": bound.little or None}
    return _without_nothing(place | more)


def _domain(domain: Domain) -> Json:
    return _without_nothing({"contract": domain.contract, "type": domain.primary})


def _tier(tier: Tier) -> Json:
    return {"above": _amount(tier.above), "demands": [_demand(each) for each in tier.demands]}


def _demand(each: Demand) -> str | Json:
    return {"of": str(each), "requester": True} if each.requester else str(each)


def _fee(fee: Fee) -> Json:
    return _without_nothing({"asset": fee.asset, "most": str(fee.most), "permille": fee.permille})


def _approver(approver: Approver) -> Json:
    passkey = approver.passkey and {
        "rp": approver.passkey.rp,
        "origins": [*approver.passkey.origins],
        "credential": approver.passkey.credential.hex(),
    }
    return _without_nothing(
        {
            "name": approver.name,
            "kind": approver.kind,
            "groups": [*approver.groups],
            "weight": approver.weight,
            "key": {"algorithm": approver.key.algorithm, "public": approver.key.public.hex()},
            "passkey": passkey,
            "requests_as": [key.hex() for key in approver.requests_as],
        }
    )


def _amount(amount: int | None) -> str | None:
    return None if amount is None else str(amount)
