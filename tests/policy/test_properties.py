"""Whatever is asked of whatever policy: what is allowed stays within every bound, and splitting gains nothing."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from strongroom.chains.effects import Allowance, Call, Delegation, Effects, Signing, Transfer
from strongroom.errors import Refusal
from strongroom.policy.check import findings
from strongroom.policy.decide import Circumstances, Decision, decide
from strongroom.policy.document import Fee, Policy
from strongroom.policy.explain import sentences
from strongroom.policy.history import NO_HISTORY
from strongroom.policy.lists import Entry, Prover, Recipients
from strongroom.policy.merkle import Tree, included
from strongroom.policy.rules import Kind, Rule
from strongroom.policy.terms import Bound, Domain, Method, Window
from strongroom.wire import cbor
from strongroom.wire.fields import Fields
from tests.policy.spending import Past

NOW = 1_800_000_000
COIN, TOKEN, ITEMS = "evm:1/native", "evm:1/token:0x" + "aa" * 20, "evm:1/token:0x" + "bb" * 20
PEOPLE = tuple("0x" + f"{number:02x}" * 20 for number in range(1, 6))
METHOD = "0x12345678"

assets = st.sampled_from((COIN, TOKEN, ITEMS + "/1"))
people = st.sampled_from(PEOPLE)
amounts = st.integers(0, 12)
windows = st.builds(Window, st.integers(1, 100), st.none() | st.integers(0, 30), st.integers(0, 6), st.booleans())
to = st.none() | st.sets(st.sampled_from(("few", "some")), min_size=1).map(lambda names: tuple(sorted(names)))


@st.composite
def rules(draw: st.DrawFn, name: str) -> Rule:
    kind: Kind = draw(st.sampled_from(get_args(Kind)))
    own: dict[str, Any] = {"windows": tuple(draw(st.lists(windows, max_size=2)))}
    if kind in ("transfer", "collect", "allowance"):
        patterns = draw(st.sets(st.sampled_from((COIN, TOKEN, ITEMS + "/*")), min_size=1))
        own |= {"assets": tuple(sorted(patterns)), "to": draw(to), "most": draw(st.none() | amounts)}
    elif kind == "call":
        bounds = (Bound(0, 32, most=draw(amounts)),) if draw(st.booleans()) else ()
        own |= {"chains": ("evm:1",), "methods": (Method(draw(people), METHOD, bounds),), "most": draw(amounts)}
    else:
        own["windows"] = tuple(dataclasses.replace(each, amount=None) for each in own["windows"])
        own |= {"chains": ("evm:1",)} if kind != "message" else {}
        own |= {"domains": (Domain(draw(people), None),)} if kind == "typed" else {}
        own |= {"to": ("few",)} if kind == "delegation" else {}
    return Rule(name, kind, **own)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    made = tuple(draw(rules(f"rule-{number}")) for number in range(draw(st.integers(0, 4))))
    lists = tuple(
        Recipients(name, tuple(Entry(each, f"P {each[2:4]}") for each in sorted(draw(st.sets(people)))))
        for name in ("bad", "few", "some")
    )
    whole = tuple(dataclasses.replace(each, asset=COIN) for each in draw(st.lists(windows, max_size=1)))
    return Policy(
        NOW,
        (),
        ("evm:1",),
        made,
        lists,
        ("bad",),
        (Fee(COIN, draw(amounts), draw(st.none() | st.integers(0, 1000))),),
        whole,
    )


effects = st.builds(
    lambda moved, lent, called, said, fee, given: Effects(
        "evm:1", tuple(moved), tuple(lent), tuple(called), tuple(said), COIN, fee, delegations=tuple(given)
    ),
    st.lists(st.builds(Transfer, assets, people, amounts, st.none() | people), max_size=4),
    st.lists(st.builds(Allowance, assets, people, st.none() | amounts), max_size=1),
    st.lists(
        st.builds(Call, people, st.just(METHOD), st.integers(0, 12).map(lambda n: n.to_bytes(32, "big"))), max_size=1
    ),
    st.lists(st.builds(Signing, st.sampled_from(("text", "typed")), st.none() | people, st.just("x")), max_size=1),
    amounts,
    st.lists(st.builds(Delegation, people), max_size=1),
)


def judged(policy: Policy, asked: Effects, ledger: Any = NO_HISTORY, now: int = NOW) -> Decision | None:
    try:
        return decide(policy, asked, Circumstances(now), ledger)
    except Refusal as refusal:
        assert refusal.kind == "refused" and refusal.reason
        return None


@given(policies(), effects)
def test_what_is_allowed_is_within_every_bound(policy: Policy, asked: Effects) -> None:
    decision = judged(policy, asked)
    if decision is None:
        return
    fee = policy.fee(COIN)
    assert fee is not None and asked.fee_ceiling <= fee.most
    denied = {entry.address for entry in policy.list("bad").entries}
    named = {each.to for each in asked.transfers} | {each.spender for each in asked.allowances}
    assert not denied & named
    by_name = {rule.name: rule for rule in policy.rules}
    count = len(asked.transfers) + len(asked.allowances) + len(asked.calls) + len(asked.signings)
    count += len(asked.delegations)
    assert len(decision.spends) == count and set(decision.rules) == {spend.rule for spend in decision.spends}
    for name in decision.rules:
        rule, own = by_name[name], [spend for spend in decision.spends if spend.rule == name]
        for asset in {spend.asset for spend in own}:
            total = sum(spend.amount for spend in own if spend.asset == asset)
            assert rule.most is None or total <= rule.most
            assert all(window.amount is None or total <= window.amount or window.each for window in rule.windows)
        assert all(window.count is None or len(own) <= window.count or window.each for window in rule.windows)
        if rule.to is not None and rule.kind in ("transfer", "collect", "allowance", "delegation"):
            listed = {entry.address for each in rule.to for entry in policy.list(each).entries}
            assert {spend.to for spend in own} <= listed


@given(policies(), effects)
def test_an_effect_less_is_allowed_too(policy: Policy, asked: Effects) -> None:
    """Unless a fee's share is then too high: nothing is allowed only because something else goes with it."""
    free = dataclasses.replace(policy, fees=(Fee(COIN, 100),))
    if judged(free, asked) is None or len(asked.transfers) < 2:
        return
    for at in range(len(asked.transfers)):
        fewer = asked.transfers[:at] + asked.transfers[at + 1 :]
        assert judged(free, dataclasses.replace(asked, transfers=fewer)) is not None


@given(policies(), st.lists(st.tuples(st.integers(0, 40), effects), max_size=6))
def test_windows_hold_over_any_sequence(policy: Policy, asked: list[tuple[int, Effects]]) -> None:
    """At no moment was more signed within a window than it allows: split over requests or not."""
    ledger, now, signed = Past(), NOW, []
    for passed, each in asked:
        now += passed
        decision = judged(policy, each, ledger, now)
        if decision is not None:
            ledger.add(now, *decision.spends)
            signed += [(now, spend) for spend in decision.spends]
    for rule in policy.rules:
        for window in rule.windows:
            for end, _ in signed:
                inside = [s for at, s in signed if end - window.seconds < at <= end and s.rule == rule.name]
                for to in {spend.to for spend in inside} if window.each else {None}:
                    mine = [spend for spend in inside if to in (None, spend.to)]
                    assert window.count is None or len(mine) <= window.count
                    for asset in {spend.asset for spend in mine if spend.asset}:
                        spent = sum(spend.amount for spend in mine if spend.asset == asset)
                        assert window.amount is None or spent <= window.amount


@given(policies())
def test_any_policy_is_written_read_explained_and_checked(policy: Policy) -> None:
    assert Policy.parse(Fields.decode(cbor.encode(policy.value()), "policy")) == policy
    assert all(sentence.endswith(".") for sentence in sentences(policy))
    for finding in findings(policy, None):
        assert finding.text and finding.level in ("error", "warning", "note")


@given(policies(), st.lists(effects, min_size=1, max_size=8))
def test_a_rule_that_never_matches_never_did(policy: Policy, asked: list[Effects]) -> None:
    dead = {each.text.split()[1] for each in findings(policy, None) if each.what == "never_matches"}
    for each in asked:
        decision = judged(policy, each)
        assert decision is None or not dead & set(decision.rules)


# --- Merkle trees ---


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=40), st.data())
def test_a_leaf_is_included_where_it_is_and_nowhere_else(leaves: list[bytes], data: st.DataObject) -> None:
    tree = Tree(leaves)
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = tree.path(index)
    assert included(leaves[index], index, len(leaves), path, tree.root)
    assert not included(leaves[index] + b"x", index, len(leaves), path, tree.root)
    assert not included(leaves[index], index, len(leaves), (*path, bytes(32)), tree.root)
    assert not path or not included(leaves[index], index, len(leaves), path[:-1], tree.root)
    other = data.draw(st.integers(0, len(leaves) - 1))
    if leaves[other] != leaves[index]:
        assert not included(leaves[index], other, len(leaves), path, tree.root)


def test_the_tree_of_rfc_6962() -> None:
    """Vectors of Certificate Transparency's reference implementation (merkletree/merkle_tree_test.cc)."""
    hexes = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
    leaves = [bytes.fromhex(each) for each in hexes]
    roots = {
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    }
    assert {size: Tree(leaves[:size]).root.hex() for size in roots} == roots


def test_a_prover_knows_its_own_list_alone() -> None:
    entries = tuple(Entry(each, "P") for each in PEOPLE)
    prover, rooted = Prover("many", entries), Recipients.rooted("many", entries)
    for entry in entries:
        proof = prover.prove(entry.address)
        assert proof is not None and rooted.find(entry.address, (proof,)) == entry
    assert prover.prove("0x" + "99" * 20) is None and rooted.find(entries[0].address, ()) is None
