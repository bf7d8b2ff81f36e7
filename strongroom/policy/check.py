"""What an officer should know of a policy before signing it: what cannot work, has no bound, hangs on one person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from strongroom.approval.approver import Approver
from strongroom.approval.demand import Demand
from strongroom.policy.document import Policy
from strongroom.policy.names import alike, covers, ends
from strongroom.policy.rules import Rule
from strongroom.policy.words import moment
from strongroom.signer.configuration import Officers

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """error: something cannot work as written. warning: it works, and may be regretted. what: stable, for tools."""

    level: Level
    what: str
    text: str


def findings(policy: Policy, officers: Officers | None) -> tuple[Finding, ...]:
    """officers: those in office, where they are known."""
    return (
        *_dead_rules(policy),
        *_unbounded(policy),
        *_approvals(policy),
        *_lists(policy),
        *_keys(policy, officers),
        _way_out(policy),
    )


# --- Rules that can never match, or never allow ---


def _dead_rules(policy: Policy) -> Iterator[Finding]:
    for at, rule in enumerate(policy.rules):
        shadow = next((each for each in policy.rules[:at] if _shadows(each, rule)), None)
        if shadow is not None:
            text = f"rule {rule.name} can never match: rule {shadow.name} before it covers all that it covers"
            yield Finding("error", "never_matches", text)
        elif rule.to and not any(_reaches(policy, name) for name in rule.to):
            text = f"rule {rule.name} can never match: its lists are empty, or all on them are denied"
            yield Finding("error", "never_matches", text)
        yield from _never_allows(policy, rule)
    if not policy.requesters:
        yield Finding("error", "no_requester", "no key may ask for a signature: nothing can be signed")
    if policy.expires is not None and policy.expires < policy.issued + policy.lease:
        yield Finding("note", "expires_early", f"it expires at {moment(policy.expires)}, before its lease ends")


def _never_allows(policy: Policy, rule: Rule) -> Iterator[Finding]:
    if rule.kind in ("transfer", "collect", "allowance") and rule.most == 0:
        yield Finding("warning", "nothing_but_zero", f"rule {rule.name} allows an amount of zero and no more")
    if rule.kind in ("transfer", "collect", "call"):
        for chain in sorted(rule.all_chains):
            if policy.fee(f"{chain}/native") is None:
                text = f"rule {rule.name} allows nothing on {chain}: there is no fee ceiling for {chain}/native"
                yield Finding("error", "no_fee", text)
    for tier in rule.tiers:
        if tier.above is not None and rule.most is not None and tier.above >= rule.most:
            text = (
                f"a tier of rule {rule.name} is never reached: it is above {tier.above}, and at most {rule.most} may go"
            )
            yield Finding("warning", "tier_unreached", text)
    for window in rule.windows:
        if window.count == 0 or window.amount == 0:
            yield Finding("error", "never_allows", f"rule {rule.name} allows nothing: a window of it is zero")


def _shadows(first: Rule, later: Rule) -> bool:
    """Whether the first covers every effect that the later one does. By names of lists, not by what stands on them."""
    if first.kind != later.kind:
        return False
    if not all(any(_within(pattern, wide) for wide in first.assets) for pattern in later.assets):
        return False
    if not set(later.chains) <= set(first.chains):
        return False
    if first.to is not None and (later.to is None or not set(later.to) <= set(first.to)):
        return False
    methods = {(each.contract, each.method) for each in first.methods}
    if not {(each.contract, each.method) for each in later.methods} <= methods:
        return False
    return all(
        any(each.contract == wide.contract and wide.primary in (None, each.primary) for wide in first.domains)
        for each in later.domains
    )


def _within(pattern: str, wide: str) -> bool:
    return pattern == wide or covers(wide, pattern)


def _reaches(policy: Policy, name: str) -> bool:
    found = policy.list(name)
    if found.root is not None:
        return True
    denied = {entry.address for each in policy.deny for entry in policy.list(each).entries}
    return any(entry.address not in denied for entry in found.entries)


# --- What has no bound ---


def _unbounded(policy: Policy) -> Iterator[Finding]:
    whole = {window.asset for window in policy.windows if window.amount is not None}
    for rule in policy.rules:
        if rule.kind == "call" and not rule.most:
            continue
        if rule.kind not in ("transfer", "allowance", "call"):
            continue
        assets = rule.assets or tuple(f"{chain}/native" for chain in rule.chains)
        own = [window for window in rule.windows if window.amount is not None and not window.each]
        open_assets = [
            asset for asset in assets if asset not in whole and not any(window.asset in (None, asset) for window in own)
        ]
        if open_assets:
            limit = "no limit" if rule.most is None else "a limit for each transaction alone"
            text = f"rule {rule.name} has {limit} and no window for {', '.join(open_assets)}: it repeats without end"
            yield Finding("warning", "no_window", text)
        if rule.to is None and rule.kind != "call":
            yield Finding("warning", "anyone", f"rule {rule.name} is for anyone: a stolen requester's key names itself")
    yield from (
        Finding(
            "warning",
            "delegation",
            f"rule {rule.name} lets other code act as the wallet: what that moves, no signer is asked about",
        )
        for rule in policy.rules
        if rule.kind == "delegation"
    )
    counted = any(window.count is not None for window in policy.windows)
    for rule in policy.rules:
        if not counted and all(window.count is None for window in rule.windows):
            text = f"nothing counts how often rule {rule.name} is used: fees can be spent without end"
            yield Finding("note", "no_count", text)
    yield from (
        Finding(
            "note",
            "source_is_advice",
            f"rule {rule.name} asks where a request comes from: the host says so, and can lie",
        )
        for rule in policy.rules
        if rule.source is not None
    )


# --- Whose loss, or theft, ends what ---


def _approvals(policy: Policy) -> Iterator[Finding]:
    demands = {(rule.name, demand) for rule in policy.rules for tier in rule.tiers for demand in tier.demands}
    for name, demand in sorted(demands, key=lambda pair: (pair[0], str(pair[1]))):
        lost = [each.name for each in policy.approvers if not _met(demand, policy.approvers, without=each)]
        if lost:
            text = f"without {' or '.join(lost)}, nobody can meet {demand} of rule {name}: one loss stops it"
            yield Finding("warning", "one_approver", text)
        for requester in policy.requesters:
            own = [each for each in policy.approvers if each.requested(requester)]
            others = [each for each in policy.approvers if each not in own]
            if own and not demand.requester and not _met(demand, others, without=None):
                text = (
                    f"what {own[0].name} asks for under rule {name} can never be approved: {demand} needs somebody else"
                )
                yield Finding("error", "own_request", text)


def _met(demand: Demand, approvers: Sequence[Approver], *, without: Approver | None) -> bool:
    left = [each for each in approvers if each is not without]
    return demand.met(left) == tuple(need for _, need in demand.of)


def _lists(policy: Policy) -> Iterator[Finding]:
    labels: dict[str, dict[str, str]] = {}
    names: dict[str, set[str]] = {}
    for found in policy.lists:
        for entry in found.entries:
            labels.setdefault(alike(entry.label), {})[entry.address] = entry.label
            names.setdefault(entry.address, set()).add(entry.label)
    for _, labelled in sorted(labels.items()):
        if len(labelled) > 1:
            called = " or ".join(map(repr, sorted(set(labelled.values()))))
            text = f"{len(labelled)} addresses are labelled {called}: an approver cannot tell them apart by name"
            yield Finding("warning", "same_label", text)
    for address, given in sorted(names.items()):
        if len(given) > 1:
            text = f"{address} is called {' and '.join(sorted(given))}"
            yield Finding("note", "two_labels", text)
    for shape, addresses in sorted(_by_ends(names).items()):
        if len(addresses) > 1:
            text = f"{' and '.join(sorted(addresses))} begin and end alike ({shape}): is one made to be mistaken?"
            yield Finding("warning", "lookalike", text)
    used = {name for rule in policy.rules for name in rule.lists} | set(policy.deny)
    for found in policy.lists:
        if found.name not in used:
            yield Finding("note", "unused_list", f"no rule uses list {found.name}")


def _by_ends(addresses: Iterable[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for address in addresses:
        found.setdefault("…".join(ends(address)), set()).add(address)
    return found


def _keys(policy: Policy, officers: Officers | None) -> Iterator[Finding]:
    if len(policy.requesters) == 1:
        yield Finding(
            "note", "one_requester", "one key may ask for signatures: without it, officers must change the policy"
        )
    if policy.timelock == 0:
        text = "a new policy takes effect at once: nobody has time to see one that a stolen quorum signed"
        yield Finding("warning", "no_timelock", text)
    if officers is None:
        yield Finding("note", "officers_unknown", "name the officers to hear whose loss would freeze the wallet")
        return
    if officers.quorum == len(officers.keys):
        text = f"all {officers.quorum} officers are needed: the loss of one freezes the wallet when the lease ends"
        yield Finding("warning", "one_officer", text)
    if officers.quorum == 1:
        yield Finding("warning", "lone_officer", "one officer alone can change the policy: so can who steals that key")
    if policy.freezers > officers.quorum:
        text = f"{policy.freezers} officers were to freeze the wallet; a quorum of {officers.quorum} does"
        yield Finding("note", "freezers", text)


def _way_out(policy: Policy) -> Finding:
    """Of a lost quorum of officers. There is one: what the policy in force still allows, while its lease runs."""
    ways = [rule for rule in policy.rules if rule.kind == "transfer" and rule.most != 0]
    until = moment(policy.issued + policy.lease)
    lost = f"if a quorum of officers is lost, nobody can renew this policy, and nothing is signed after {until}"
    if not ways:
        return Finding("warning", "no_way_out", f"{lost}; no rule pays anything, so there is no way out")
    names = ", ".join(rule.name for rule in ways)
    text = f"{lost}; the one way out is to pay everything, until then, to recipients of {names}"
    return Finding("note", "way_out", f"{text}: have a wallet with other officers among them")
