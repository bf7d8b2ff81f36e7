"""Past requests under another policy: in their order, counted by its windows, whatever its lease."""

from __future__ import annotations

import dataclasses

from strongroom.chains.effects import Effects, Transfer
from strongroom.policy.document import Fee, Policy
from strongroom.policy.lists import Entry, Prover, Recipients
from strongroom.policy.replay import Past, replay
from strongroom.policy.rules import Rule
from strongroom.policy.terms import Window

COIN, A = "evm:1/native", "0x" + "11" * 20
REQUESTER = bytes(32)
POLICY = Policy(
    issued=5_000_000,
    requesters=(REQUESTER,),
    chains=("evm:1",),
    rules=(Rule("pay", "transfer", assets=(COIN,), to=("banks",), most=50, windows=(Window(100, amount=80),)),),
    lists=(Recipients("banks", (Entry(A, "Bank"),)),),
    fees=(Fee(COIN, 10),),
)


def past(at: int, amount: int, *, to: str = A, refused: str | None = None, requester: bytes = REQUESTER) -> Past:
    effects = Effects("evm:1", (Transfer(COIN, to, amount),), fee_asset=COIN, fee_ceiling=1)
    return Past(at.to_bytes(16, "big"), at, requester, effects, refused)


def turn(at: int, amount: int, nonce: int, fee: int, *, to: str = A, replaces: int | None = None) -> Past:
    """One with a nonce; `replaces` is the time of the one whose place it takes."""
    effects = Effects("evm:1", (Transfer(COIN, to, amount),), fee_asset=COIN, fee_ceiling=fee, once=(f"nonce:{nonce}",))
    replaced = None if replaces is None else replaces.to_bytes(16, "big")
    return Past(at.to_bytes(16, "big"), at, REQUESTER, effects, replaces=replaced)


def codes(policy: Policy, *requests: Past) -> list[str | None]:
    return [None if each.refusal is None else each.refusal.code for each in replay(policy, requests)]


def test_requests_are_counted_in_their_own_time() -> None:
    """In whatever order they are given; one that the policy refuses spends nothing."""
    requests = (past(100, 50), past(150, 31), past(160, 30), past(200, 50), past(259, 1))
    assert codes(POLICY, *requests[::-1]) == [None, "policy_velocity", None, None, "policy_velocity"]


def test_what_differs() -> None:
    signed, was_refused = past(1, 60), past(2, 10, to="0x" + "99" * 20, refused="policy_recipient")
    loosened = past(3, 10, refused="policy_limit")
    again = replay(POLICY, (signed, was_refused, loosened, past(500, 1)))
    assert [each.differs for each in again] == [True, False, True, False]


def test_when_the_policy_is_in_force_does_not_matter() -> None:
    for policy in (dataclasses.replace(POLICY, frozen=True), dataclasses.replace(POLICY, expires=5_000_001)):
        assert codes(policy, past(100, 5), past(9_000_000, 5)) == [None, None]


def test_requesters_count() -> None:
    assert codes(POLICY, past(1, 1, requester=b"\1" * 32)) == ["unknown_requester"]


def test_lists_that_are_a_root_are_proven() -> None:
    entries = POLICY.lists[0].entries
    rooted = dataclasses.replace(POLICY, lists=(Recipients.rooted("banks", entries),))
    proof = Prover("banks", entries).prove(A)
    assert proof is not None and codes(rooted, past(1, 5)) == ["policy_recipient"]
    assert replay(rooted, (past(1, 5),), lambda effects: (proof,))[0].refusal is None


# --- Replacements ---


def test_a_replacement_is_counted_in_the_place_of_what_it_replaces() -> None:
    """The limit is 80 in 100 seconds: 50, and 50 again with a higher fee, are 50; the window starts anew with it."""
    stuck, faster = turn(100, 50, 0, 1), turn(150, 50, 0, 2, replaces=100)
    assert codes(POLICY, stuck, faster, turn(160, 30, 1, 1)) == [None, None, None]
    assert codes(POLICY, stuck, faster, turn(160, 31, 1, 1)) == [None, None, "policy_velocity"]
    assert codes(POLICY, stuck, faster, turn(249, 31, 1, 1)) == [None, None, "policy_velocity"]
    assert codes(POLICY, stuck, faster, turn(250, 31, 1, 1)) == [None, None, None]


def test_whichever_of_them_a_replacement_names_all_of_one_nonce_are_counted_once() -> None:
    fees = [turn(100 + fee, 50, 0, fee, replaces=None if fee == 1 else 101) for fee in range(1, 5)]
    assert codes(POLICY, *fees, turn(110, 30, 1, 1), turn(111, 1, 2, 1))[4:] == [None, "policy_velocity"]


def test_what_does_not_take_the_place_of_another_is_counted_beside_it() -> None:
    """No more in fees, another nonce, or nothing said of a replacement: journals refuse these."""
    stuck = turn(100, 50, 0, 1)
    for other in (turn(150, 50, 0, 1, replaces=100), turn(150, 50, 1, 2, replaces=100), turn(150, 50, 0, 2)):
        assert codes(POLICY, stuck, other) == [None, "policy_velocity"]


def test_a_cancel_needs_no_rule_and_gives_nothing_back() -> None:
    """What it cancels may have been mined before it."""
    cancel = turn(150, 0, 0, 2, to="0x" + "99" * 20, replaces=100)
    assert codes(POLICY, turn(100, 50, 0, 1), cancel, turn(160, 31, 1, 1)) == [None, None, "policy_velocity"]
    assert codes(POLICY, dataclasses.replace(cancel, replaces=None)) == ["policy_recipient"]


def test_a_replacement_that_spends_something_else_is_counted_beside() -> None:
    """Nothing of a token moves, so that a journal lets it take the other one's place; but it is a second payment."""
    token = "evm:1/token:0x" + "aa" * 20
    rule = dataclasses.replace(POLICY.rules[0], assets=(COIN, token), windows=(Window(100, count=1),))
    nothing = turn(160, 0, 0, 2, replaces=150)
    nothing = dataclasses.replace(
        nothing, effects=dataclasses.replace(nothing.effects, transfers=(Transfer(token, A, 0),))
    )
    made = dataclasses.replace(POLICY, rules=(rule,))
    assert codes(made, turn(150, 50, 0, 1), nothing) == [None, "policy_velocity"]
    assert codes(made, turn(150, 50, 0, 1), turn(160, 50, 0, 2, replaces=150)) == [None, None]
