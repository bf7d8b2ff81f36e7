"""A refusal says what it would take to pass, and it is true: asked for that, the same policy allows it."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.chains.effects import Call
from strongroom.errors import Refusal
from strongroom.journal.book import Multiplied
from strongroom.policy.document import Policy
from strongroom.policy.history import Spend
from strongroom.policy.lists import Entry, Recipients
from strongroom.policy.rules import Rule
from strongroom.policy.terms import Bound, Hours, Method, Source, Window
from tests.policy.spending import Past
from tests.policy.test_decide import (
    COIN,
    FEE,
    KNOWN,
    METHOD,
    NOW,
    PAY,
    STRANGER,
    TOKEN,
    A,
    B,
    judged,
    pay,
    policy,
    word,
)
from tests.wire.refused import refused


def waits(reason: str) -> int:
    """Seconds, as the reason has them at its end or before its next clause."""
    found = re.search(r"in (\d+) seconds", reason)
    assert found is not None, reason
    return int(found[1])


# --- Hours ---

hours = st.builds(
    lambda days, start, length, offset: Hours(tuple(sorted(days)), start, min(start + length, 1440), offset),
    st.sets(st.integers(0, 6), min_size=1),
    st.integers(0, 1439),
    st.integers(1, 1440),
    st.integers(-720, 840),
)


@given(st.lists(hours, min_size=1, max_size=3), st.integers(0, 10**10))
def test_hours_open_when_they_are_said_to(allowed: list[Hours], now: int) -> None:
    """Not a second before either, which is looked at minute by minute, since hours begin with a minute."""
    opens = min(each.opens(now) for each in allowed)
    assert now <= opens <= now + 7 * 86400 and any(each.hold(opens) for each in allowed)
    minutes = (now, *range(now - now % 60 + 60, opens, 60))
    assert opens == now or not any(each.hold(minute) for each in allowed for minute in minutes)


def test_a_refusal_says_when_the_rule_opens() -> None:
    """2027-01-15 is a Friday; 1800000000 is 08:00:00 UTC that day."""
    friday = 1_800_000_000
    office = policy(dataclasses.replace(PAY, hours=(Hours((0, 4), 9 * 60, 17 * 60, 60),)), issued=friday)
    judged(office, pay(1), now=friday)
    reason = refused("policy_hours", judged, office, pay(1), now=friday + 8 * 3600).reason
    assert "before 2027-01-18 08:00:00 UTC" in reason and "mon and fri from 09:00 to 17:00 (UTC+01:00)" in reason
    opens = friday + 8 * 3600 + waits(reason)
    judged(office, pay(1), now=opens)
    refused("policy_hours", judged, office, pay(1), now=opens - 1)


# --- Velocity ---

spends = st.lists(
    st.tuples(st.integers(-130, 30), st.builds(Spend, st.just("pay"), st.just(COIN), st.just(A), st.integers(0, 60))),
    max_size=8,
)


@given(spends, st.integers(1, 120), st.none() | st.integers(0, 100), st.integers(0, 6), st.integers(0, 100))
def test_there_is_room_when_there_is_said_to_be(
    before: list[tuple[int, Spend]], seconds: int, amount: int | None, count: int, asked: int
) -> None:
    """What others reserved may lie ahead of this judge's clock by as much as journals allow."""
    made = policy(dataclasses.replace(PAY, windows=(Window(seconds, amount, count),)))
    past = Past([(NOW + at, spend) for at, spend in before])
    try:
        judged(made, pay(asked), history=past)
        return
    except Refusal as refusal:
        assert refusal.code == "policy_velocity"
        reason = refusal.reason
    if "never" in reason:
        assert count == 0 or (amount is not None and asked > amount)
        return
    then = NOW + waits(reason)
    assert says(made, asked, past, then - 1).startswith(reason.partition(":")[0])
    # At that time this very bound has room; the other one, of amount or count, may still be full.
    assert says(made, asked, past, then).partition(";")[0] != reason.partition(";")[0]


def says(made: Policy, asked: int, past: Past, now: int) -> str:
    try:
        judged(made, pay(asked), history=past, now=now)
    except Refusal as refusal:
        return refusal.reason
    return ""


def test_a_refusal_says_when_as_much_may_go_and_how_often() -> None:
    made = policy(dataclasses.replace(PAY, windows=(Window(60, amount=150, count=3),)))
    past = Past([(NOW - 50, Spend("pay", COIN, A, 90)), (NOW - 20, Spend("pay", COIN, B, 50))])
    reason = refused("policy_velocity", judged, made, pay(70), history=past).reason
    assert "140 of 150" in reason and "10 may go now; for 70 there is room at" in reason and waits(reason) == 10
    reason = refused("policy_velocity", judged, made, pay(1), pay(1), pay(1), history=past).reason
    assert "2 payments of at most 3 were made; for 3 there is room at" in reason and waits(reason) == 40
    assert "never" in refused("policy_velocity", judged, made, pay(1), pay(1), pay(1), pay(1), history=past).reason


def test_in_the_degraded_mode_what_never_fits_is_said_never_to() -> None:
    """Each signer counts as if two had spent alike: a limit of 150 holds half."""
    made = policy(dataclasses.replace(PAY, windows=(Window(60, amount=150),)))
    asked = [Spend("pay", COIN, A, 80)]

    class View(Past):
        asked = True

    halved = Multiplied(View([(NOW, Spend("pay", COIN, A, 10))]), asked, 2)  # type: ignore[arg-type]
    assert "never" in refused("policy_velocity", judged, made, pay(80), history=halved).reason
    fits = Multiplied(View([(NOW, Spend("pay", COIN, A, 10))]), [Spend("pay", COIN, A, 70)], 2)  # type: ignore[arg-type]
    assert waits(refused("policy_velocity", judged, made, pay(70), history=fits).reason) == 60


# --- Lists, arguments, sources ---


def test_a_refusal_names_the_list_that_denies() -> None:
    bad = Recipients("bad", (Entry(STRANGER, "Thief"),))
    made = policy(PAY, lists=(bad, KNOWN), deny=("bad",))
    reason = refused("policy_denied", judged, made, pay(1, STRANGER)).reason
    assert "list bad" in reason and "(Thief)" in reason


def test_a_refusal_names_the_lists_on_which_a_recipient_would_have_to_be() -> None:
    made = policy(PAY, Rule("more", "transfer", assets=(COIN, TOKEN), to=("known",), most=1))
    assert "(pay: known, more: known)" in refused("policy_recipient", judged, made, pay(1, STRANGER)).reason


BO = word(int(B, 16))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (word(6) + BO, "here bytes 0 to 32 is 6"),
        (word(5) + word(int(STRANGER, 16)), f"here bytes 32 to 64 is {STRANGER}"),
        (word(5) + word(1 << 200), "here bytes 32 to 64 is no address"),
        (b"\1", "here bytes 0 to 32 is not there"),
    ],
    ids=["number", "stranger", "no-address", "short"],
)
def test_a_refusal_has_the_bounds_of_an_argument_and_what_it_is(data: bytes, says: str) -> None:
    bounds = (Bound(0, 32, 2, 5), Bound(32, 32, to=("known",)))
    made = policy(Rule("call", "call", chains=("evm:1",), methods=(Method(A, METHOD, bounds),)))
    reason = refused("policy_argument", judged, made, Call(A, METHOD, data)).reason
    assert "bytes 0 to 32 is from 2 to 5 and bytes 32 to 64 is on known" in reason and says in reason


def test_of_several_sets_of_bounds_each_is_named_up_to_a_number_of_them() -> None:
    methods = tuple(Method(A, METHOD, (Bound(0, 32, number, number),)) for number in range(9))
    made = policy(Rule("call", "call", chains=("evm:1",), methods=methods))
    reason = refused("policy_argument", judged, made, Call(A, METHOD, word(99))).reason
    assert "from 3 to 3" in reason and "or 5 more such" in reason and "from 4 to 4" not in reason


def test_a_long_list_of_an_argument_wants_a_proof_and_says_so() -> None:
    rooted = Recipients.rooted("known", KNOWN.entries)
    bounds = (Bound(0, 32, to=("known",)),)
    made = policy(Rule("call", "call", chains=("evm:1",), methods=(Method(A, METHOD, bounds),)), lists=(rooted,))
    assert "needs a proof" in refused("policy_argument", judged, made, Call(A, METHOD, BO)).reason


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (Source(("10.0.0.0/8", "2001:db8::/32"), ()), "from 10.0.0.0/8 or 2001:db8::/32;"),
        (Source(("10.0.0.0/8",), ("CH", "LI")), "from 10.0.0.0/8 and CH or LI;"),
    ],
    ids=["networks", "both"],
)
def test_a_refusal_says_where_a_request_would_have_to_come_from(source: Source, says: str) -> None:
    """And who says where it came from: the host, which can lie."""
    made = policy(dataclasses.replace(PAY, source=source), fees=(FEE,))
    changes: dict[str, Any] = {"address": "192.0.2.1", "country": "US"}
    reason = refused("policy_source", judged, made, pay(1), **changes).reason
    assert says in reason and "the host says 192.0.2.1 (US)" in reason
