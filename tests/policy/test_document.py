"""The policy's form: one encoding, bounded, and nothing in it that could mean two things, or nothing."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.approval import Approver, Demand, Key
from strongroom.policy.document import MAX_LEASE, MAX_RULES, Fee, Policy
from strongroom.policy.lists import MAX_ENTRIES, Entry, Recipients
from strongroom.policy.names import LARGEST
from strongroom.policy.rules import Kind, Rule
from strongroom.policy.terms import Bound, Domain, Hours, Method, Source, Tier, Window
from strongroom.wire import cbor
from strongroom.wire.fields import Fields
from tests.policy.made import entries
from tests.wallet.orders import POLICY
from tests.wire.refused import refused

COIN, TOKEN = "evm:1/native", "evm:1/token:0x" + "aa" * 20
A, B = "0x" + "11" * 20, "0x" + "22" * 20
PEOPLE = tuple(
    Approver(name, "person", ("treasury",), 1, Key("ed25519", hashlib.sha256(name.encode()).digest()))
    for name in ("ada", "bo")
)

EVERYTHING = Policy(
    issued=1_800_000_000,
    requesters=(bytes(32), b"\1" * 32),
    chains=("bitcoin:regtest", "evm:1"),
    lists=(Recipients("banks", (Entry(A, "Bank", 5), Entry(B, "Other bank"))), Recipients("many", (), b"\7" * 32, 9)),
    deny=("banks",),
    fees=(Fee(COIN, 10**15, 5),),
    windows=(Window(86400, count=9), Window(3600, amount=LARGEST, each=True, asset=COIN)),
    approvers=PEOPLE,
    wallet=b"\2" * 32,
    version=2,
    previous=b"\3" * 32,
    lease=3600,
    expires=1_900_000_000,
    timelock=60,
    freezers=2,
    rules=(
        Rule("pay", "transfer", assets=(COIN, TOKEN), to=("banks", "many"), most=5, cooldown=60),
        Rule("collect", "collect", assets=(TOKEN,), to=None, most=None, hours=(Hours((0, 6), 60, 1440, -60),)),
        Rule("allow", "allowance", assets=(TOKEN + "/*",), to=("banks",), source=Source(("10.0.0.0/8",), ("CH",))),
        Rule(
            "call",
            "call",
            chains=("evm:1",),
            methods=(Method(A, "0x12345678", (Bound(0, 32, 1, 2), Bound(32, 32, to=("banks",)), Bound(64, 8, 1))),),
            windows=(Window(60, amount=1, asset=COIN),),
            tiers=(Tier(None, ()), Tier(0, (Demand((("treasury", 2),)),))),
        ),
        Rule("text", "text", chains=("evm:1",)),
        Rule("typed", "typed", chains=("evm:1",), domains=(Domain(A, "Order"), Domain(None, None))),
        Rule("message", "message", windows=(Window(60, count=1),)),
    ),
)


def decode(value: cbor.Value) -> Policy:
    return Policy.parse(Fields.decode(cbor.encode(value), "policy"))


@pytest.mark.parametrize("policy", [POLICY, EVERYTHING, Policy(0, ())], ids=["payments", "everything", "nothing"])
def test_what_is_written_is_read_back(policy: Policy) -> None:
    assert decode(policy.value()) == policy
    assert policy.digest() == hashlib.sha256(b"strongroom/policy/v2" + cbor.encode(policy.value())).digest()


NAMES = st.text("abc-", min_size=1, max_size=4).filter(lambda name: name[0] != "-" and name[-1] != "-")
ADDRESSES = st.binary(min_size=20, max_size=20)


@given(
    st.sets(st.binary(min_size=32, max_size=32), max_size=4),
    st.sets(ADDRESSES, max_size=6),
    st.lists(NAMES, max_size=4, unique=True),
    st.integers(0, LARGEST),
    st.none() | st.integers(0, LARGEST),
    st.integers(60, MAX_LEASE),
)
def test_any_is_read_back(
    requesters: set[bytes], known: set[bytes], names: list[str], fee: int, most: int | None, lease: int
) -> None:
    rules = tuple(Rule(name, "transfer", assets=(COIN,), to=("known",), most=most) for name in names)
    lists = (Recipients("known", entries(known)),)
    policy = Policy(7, tuple(sorted(requesters)), ("evm:1",), rules, lists, fees=(Fee(COIN, fee),), lease=lease)
    assert decode(policy.value()) == policy


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Of everything inside."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [path] * bool(path) + [each for key, item in inner for each in paths(item, (*path, key))]


def with_changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = with_changed(value[path[0]], path[1:], new)
    return copy


NEW: tuple[Any, ...] = (True, b"\0", -1, "x", None, [], {})


def test_every_field_is_in_the_digest() -> None:
    """Nothing can be changed and still be what officers signed; and a float, a tag or a flag is no number."""
    value = EVERYTHING.value()
    for path in paths(value):
        for new in NEW:
            try:
                changed = decode(with_changed(value, path, new))
            except Exception as error:
                assert getattr(error, "kind", None) in ("malformed", "refused"), (path, new, error)
            else:
                assert changed.digest() != EVERYTHING.digest() or changed == EVERYTHING, (path, new)


@pytest.mark.parametrize("path", [path for path in paths(EVERYTHING.value()) if isinstance(path[-1], str)], ids=str)
def test_every_field_is_needed_and_no_other_is_taken(path: tuple[Any, ...]) -> None:
    *outside, key = path
    holder: Any = EVERYTHING.value()
    for step in outside:
        holder = holder[step]
    without = {name: item for name, item in holder.items() if name != key}
    for wrong in (without, {**holder, "more": 1}):
        refused("malformed_message", decode, with_changed(EVERYTHING.value(), tuple(outside), wrong))


def changed(**changes: Any) -> Policy:
    return dataclasses.replace(EVERYTHING, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"requesters": (bytes(31),)},
        {"requesters": (bytes(32), bytes(32))},
        {"requesters": (b"\1" * 32, bytes(32))},
        {"version": 0, "previous": None},
        {"version": 1},
        {"previous": None},
        {"wallet": None},
        {"lease": 59},
        {"lease": MAX_LEASE + 1},
        {"timelock": 91 * 86400},
        {"expires": EVERYTHING.issued},
        {"freezers": 0},
        {"chains": ("evm:1", "bitcoin:regtest")},
        {"chains": ("evm:01",)},
        {"chains": ("bitcoin:regtest",)},
        {"chains": ("bitcoin:mainnet", "bitcoin:regtest", "evm:1")},
        {"chains": ("evm:1", "solana:devnet", "solana:mainnet")},
        {"lists": ()},
        {"lists": EVERYTHING.lists[::-1]},
        {"deny": ("many",)},
        {"deny": ("nobody",)},
        {"fees": (Fee(COIN, 1), Fee(COIN, 2))},
        {"windows": (Window(60, amount=1),)},
        {"rules": (*EVERYTHING.rules, EVERYTHING.rules[0])},
        {"rules": (Rule("pay", "transfer", assets=("evm:2/native",), to=None),)},
    ],
    ids=range(25),
)
def test_a_policy_that_means_nothing_is_refused(changes: dict[str, Any]) -> None:
    refused("malformed_policy", changed, **changes)


def test_demands_that_nobody_can_meet_are_refused() -> None:
    refused("bad_demand", changed, approvers=PEOPLE[:1])
    refused("bad_approver", changed, approvers=PEOPLE[::-1])


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("transfer", {"assets": (COIN,)}),
        ("transfer", {"to": None}),
        ("transfer", {"assets": (COIN,), "to": None, "chains": ("evm:1",)}),
        ("transfer", {"assets": ("evm:1",), "to": None}),
        ("transfer", {"assets": ("evm:1/token:0xAA" + "aa" * 19,), "to": None}),
        ("transfer", {"assets": ("evm:1/token:So11111111111111111111111111111111111111112",), "to": None}),
        ("transfer", {"assets": ("solana:mainnet/token:0x" + "aa" * 20,), "to": None}),
        ("transfer", {"assets": (TOKEN, COIN), "to": None}),
        ("transfer", {"assets": (COIN,), "to": ("b", "a")}),
        ("transfer", {"assets": (COIN,), "to": None, "most": LARGEST + 1}),
        ("transfer", {"assets": (COIN,), "to": None, "cooldown": 1}),
        ("transfer", {"assets": (COIN,), "to": None, "windows": (Window(1, amount=1, asset=TOKEN),)}),
        ("transfer", {"assets": (COIN,), "to": None, "tiers": (Tier(5, ()), Tier(5, ()))}),
        ("transfer", {"assets": (COIN,), "to": None, "tiers": (Tier(0, ()), Tier(None, ()))}),
        ("allowance", {"chains": ("evm:1",), "to": None}),
        ("call", {"chains": ("evm:1",)}),
        ("call", {"methods": (Method(A, "0x"),)}),
        ("call", {"chains": ("evm:1",), "methods": (Method(A, "0x"),), "to": None}),
        ("typed", {"chains": ("evm:1",)}),
        ("text", {}),
        ("text", {"chains": ("evm:1",), "most": 1}),
        ("text", {"chains": ("evm:1",), "most": None}),
        ("message", {"chains": ("evm:1",)}),
        ("message", {"windows": (Window(1, amount=1),)}),
        ("message", {"tiers": (Tier(1, ()),)}),
    ],
    ids=range(25),
)
def test_a_rule_says_what_its_kind_needs_and_nothing_else(kind: Kind, fields: dict[str, Any]) -> None:
    refused("malformed_policy", Rule, "rule", kind, **fields)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Window(0, count=1),
        lambda: Window(93 * 86400, count=1),
        lambda: Window(60),
        lambda: Window(60, amount=-1),
        lambda: Window(60, amount=1, asset=TOKEN + "/*"),
        lambda: Hours((), 0, 1),
        lambda: Hours((7,), 0, 1),
        lambda: Hours((1, 0), 0, 1),
        lambda: Hours((0,), 5, 5),
        lambda: Hours((0,), 0, 1441),
        lambda: Hours((0,), 0, 1, 841),
        lambda: Bound(0, 32),
        lambda: Bound(0, 33, 1),
        lambda: Bound(0, 0, 1),
        lambda: Bound(0, 32, 1, to=("a",)),
        lambda: Bound(0, 20, to=("a",)),
        lambda: Bound(0, 32, to=()),
        lambda: Method("A contract", "0x"),
        lambda: Domain("0xAA", None),
        lambda: Source(),
        lambda: Source(("10.0.0.1/8",)),
        lambda: Source(("10.0.0.0/33",)),
        lambda: Source((), ("ch",)),
        lambda: Fee(COIN, 1, 1001),
        lambda: Fee("ether", 1),
        lambda: Entry("0xAB" + "00" * 19, "upper case"),
        lambda: Entry("0x" + "11" * 19, "short"),
        lambda: Entry("two words", "x"),
        lambda: Entry(A, ""),
        lambda: Entry(A, " x"),
        lambda: Entry(A, "x" * 65),
        lambda: Entry(A, "B\u0430nk"),
        lambda: Entry(A, "Bank\u200b"),
        lambda: Recipients("Banks"),
        lambda: Recipients("banks", (Entry(A, "a"), Entry(A, "b"))),
        lambda: Recipients("banks", (), None, 1),
        lambda: Recipients("banks", (Entry(A, "a"),), bytes(32), 1),
        lambda: Recipients("banks", (), bytes(31), 1),
        lambda: Recipients("banks", (), bytes(32), 0),
    ],
    ids=range(39),
)
def test_terms_that_mean_nothing_are_refused(make: Any) -> None:
    """Labels too: a Cyrillic letter in a bank's name, or one that nobody sees, makes a name that only looks like it."""
    refused("malformed_policy", make)


def test_lists_are_bounded() -> None:
    many = entries(index.to_bytes(20, "big") for index in range(MAX_ENTRIES))
    policy = Policy(0, (), lists=(Recipients("many", many),))
    assert decode(policy.value()) == policy
    refused("malformed_policy", Recipients, "many", (*many, Entry("0x" + "ff" * 20, "one more")))
    rules = tuple(Rule(f"r{index}", "message") for index in range(MAX_RULES + 1))
    decode(Policy(0, (), rules=rules[:-1]).value())
    refused("malformed_message", decode, Policy(0, (), rules=rules).value())
