"""Past requests under another policy: in their order, counted by its windows, whatever its lease."""

from __future__ import annotations

import dataclasses

from strongroom.chains.effects import Effects, Transfer
from strongroom.policy.document import Fee, Policy
from strongroom.policy.lists import Entry, Recipients
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
