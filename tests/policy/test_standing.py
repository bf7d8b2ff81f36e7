"""Which policy is in force, since when, and that nothing which officers took back comes back."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.errors import Refusal
from strongroom.policy.directives import (
    Directive,
    Freeze,
    Kind,
    NextOfficers,
    Renewal,
    body_of,
    directive_signing_bytes,
)
from strongroom.policy.document import Policy
from strongroom.policy.standing import MAX_WAITING, Standing, View
from strongroom.wallet.order import order_signing_bytes
from strongroom.wire import cbor
from strongroom.wire.fields import Fields
from tests.policy.directing import QUORUM, next_officers, sign, successor
from tests.wallet.orders import OFFICER_KEYS, OFFICERS, POLICY
from tests.wire.refused import refused

NOW = POLICY.issued + 1000
WALLET = b"\5" * 32
KEYS = tuple(OFFICER_KEYS)
FIRST = dataclasses.replace(POLICY, lease=86400, timelock=100)
SECOND = successor(FIRST, WALLET)
THIRD = successor(SECOND, WALLET)


def standing(policy: Policy = FIRST) -> Standing:
    return Standing.first(WALLET, policy, OFFICERS)


def versions(made: Standing, now: int) -> tuple[int, list[int]]:
    view = made.view(now)
    return view.version, [version for version, _, _ in view.waiting]


def test_a_successor_takes_effect_after_the_timelock() -> None:
    made = standing()
    made.take(sign(SECOND), NOW)
    assert versions(made, NOW + 99) == (1, [2])
    assert made.policy(NOW + 99) == FIRST
    assert versions(made, NOW + 100) == (2, [])
    assert made.policy(NOW + 100) == SECOND


def test_what_was_replaced_does_not_come_back_with_a_clock() -> None:
    made = standing()
    made.take(sign(SECOND), NOW)
    assert made.policy(NOW + 100) == SECOND
    assert made.policy(NOW - 5000) == SECOND
    refused("policy_version", made.take, sign(successor(FIRST, WALLET, lease=61)), NOW)


def test_without_a_timelock_it_is_at_once() -> None:
    first = dataclasses.replace(FIRST, timelock=0)
    made = standing(first)
    made.take(sign(successor(first, WALLET)), NOW)
    assert made.view(NOW).version == 2


def test_the_same_one_again_changes_nothing() -> None:
    """A host that repeats it neither delays nor hastens it."""
    made = standing()
    made.take(sign(SECOND), NOW)
    before = made.encode()
    made.take(sign(SECOND), NOW + 50)
    assert made.encode() == before and made.policy(NOW + 100) == SECOND


def test_an_older_or_a_foreign_one_is_refused() -> None:
    made = standing()
    made.take(sign(SECOND), NOW)
    made.policy(NOW + 100)
    for policy, code in (
        (successor(FIRST, WALLET, lease=61), "policy_version"),
        (successor(FIRST, WALLET, version=9), "policy_version"),
        (successor(SECOND, WALLET, version=2), "policy_version"),
        (successor(SECOND, WALLET, previous=bytes(32)), "policy_version"),
        (successor(SECOND, bytes(32)), "directive_mismatch"),
    ):
        before = made.encode()
        refused(code, made.take, sign(policy), NOW + 200)
        assert made.encode() == before
    made.take(sign(successor(SECOND, WALLET, version=9)), NOW + 200)
    assert versions(made, NOW + 300) == (9, [])


def test_successors_wait_in_line() -> None:
    """One whose own timelock is shorter does not pass the one before it; and the line is bounded."""
    made = standing()
    hasty = successor(FIRST, WALLET, timelock=0)
    made.take(sign(hasty), NOW)
    following = successor(hasty, WALLET)
    made.take(sign(following), NOW + 10)
    assert versions(made, NOW + 99) == (1, [2, 3])
    assert versions(made, NOW + 100) == (2, [3])
    assert versions(made, NOW + 110) == (3, [])
    line = [following]
    for _ in range(MAX_WAITING):
        line.append(successor(line[-1], WALLET, timelock=100))
    # The first of them is at once, since the one in force has no timelock; those after it wait.
    made = standing()
    made.policies = [(line[1], 0)]
    for policy in line[2:]:
        made.take(sign(policy), NOW)
    made.take(sign(successor(line[-1], WALLET)), NOW)
    assert len(made.view(NOW).waiting) == MAX_WAITING
    refused("policy_version", made.take, sign(successor(made.policies[-1][0], WALLET)), NOW)


def test_officers_withdraw_what_waits() -> None:
    """A stolen quorum's policy is seen while it waits; the officers replace it before it counts."""
    made = standing()
    made.take(sign(SECOND), NOW)
    made.take(sign(THIRD), NOW)
    better = successor(FIRST, WALLET, version=4, requesters=())
    made.take(sign(better), NOW + 50)
    assert versions(made, NOW + 149) == (1, [4])
    assert made.policy(NOW + 150) == better
    refused("policy_version", made.take, sign(SECOND), NOW + 150)


# --- Who signed ---


@pytest.mark.parametrize("kind", ["policy", "renewal", "officers"])
def test_a_quorum_of_the_officers_in_office(kind: Kind) -> None:
    documents: dict[Kind, Policy | Renewal | NextOfficers] = {
        "policy": SECOND,
        "renewal": Renewal(WALLET, FIRST.digest(), NOW + 100),
        "officers": next_officers(WALLET, KEYS[:1], 1),
    }
    made = standing()
    signed = sign(documents[kind])
    (one, first), (two, second) = signed.signatures
    for signatures in (
        (),
        ((one, first),),
        ((one, first), (one, first)),
        ((two, second), (one, first)),
        ((one, first), (two, first)),
        ((one, first), (bytes(32), second)),
    ):
        refused("directive_not_signed", made.take, dataclasses.replace(signed, signatures=signatures), NOW)
    changed = dataclasses.replace(signed, body=signed.body[:-1] + bytes((signed.body[-1] ^ 1,)))
    with pytest.raises(Refusal):
        made.take(changed, NOW)
    assert made.encode() == standing().encode()
    made.take(signed, NOW)


def test_a_signature_is_for_one_kind_alone() -> None:
    """Not for a directive of another kind with the same bytes, and not for an order."""
    _, body = body_of(SECOND)
    messages = {directive_signing_bytes(kind, body) for kind in ("policy", "renewal", "freeze", "officers")}
    assert len({*messages, order_signing_bytes(body)}) == 5
    signed = sign(Freeze(WALLET, 1))
    refused("directive_not_signed", standing().take, Directive("renewal", *_renewed(signed)), NOW)


def _renewed(signed: Directive) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
    _, body = body_of(Renewal(WALLET, FIRST.digest(), NOW + 100))
    return body, signed.signatures


def test_bytes_that_are_not_canonical_are_refused() -> None:
    """Officers signed these bytes; what is hashed later are the policy's own."""
    value: Any = {**SECOND.value(), "v": 1}
    refused("malformed_message", Directive.of("policy", cbor.encode(value), {}).policy)


# --- Leases ---


def test_a_renewal_lengthens_the_lease_of_its_policy() -> None:
    made = standing()
    assert made.view(NOW).leased == FIRST.issued + 86400
    made.take(sign(Renewal(WALLET, FIRST.digest(), NOW + 86400)), NOW)
    assert made.renewed_until(NOW) == made.view(NOW).leased == NOW + 86400
    made.take(sign(Renewal(WALLET, FIRST.digest(), NOW + 10)), NOW)
    assert made.view(NOW).leased == NOW + 86400


def test_no_renewal_is_longer_than_a_lease_from_now() -> None:
    """However far ahead officers sign: a host that keeps it back cannot use it later than they said, either."""
    made = standing()
    far = sign(Renewal(WALLET, FIRST.digest(), NOW + 10**9))
    made.take(far, NOW)
    assert made.view(NOW).leased == NOW + 86400
    made.take(far, NOW + 50)
    assert made.view(NOW).leased == NOW + 50 + 86400
    refused("policy_lease", made.take, sign(Renewal(WALLET, FIRST.digest(), NOW)), NOW)


def test_a_renewal_is_of_one_policy() -> None:
    made = standing()
    made.take(sign(SECOND), NOW)
    made.take(sign(Renewal(WALLET, SECOND.digest(), NOW + 80_000)), NOW)
    assert made.renewed_until(NOW) == 0
    assert made.renewed_until(NOW + 100) == NOW + 80_000
    refused("directive_mismatch", made.take, sign(Renewal(WALLET, FIRST.digest(), NOW + 500)), NOW + 100)
    refused("directive_mismatch", made.take, sign(Renewal(bytes(32), SECOND.digest(), NOW + 500)), NOW + 100)


# --- Freezes ---


def test_one_officer_freezes_at_once() -> None:
    made = standing()
    made.take(sign(Freeze(WALLET, 1), KEYS[2:]), NOW)
    assert made.is_frozen(NOW) and made.view(NOW).frozen


def test_or_as_many_as_the_policy_says_but_never_more_than_the_quorum() -> None:
    for freezers, needed in ((2, 2), (9, 2)):
        made = standing(dataclasses.replace(FIRST, freezers=freezers))
        refused("directive_not_signed", made.take, sign(Freeze(WALLET, 1), KEYS[:1]), NOW)
        made.take(sign(Freeze(WALLET, 1), KEYS[:needed]), NOW)
        assert made.is_frozen(NOW)


def test_only_a_later_policy_thaws() -> None:
    made = standing()
    made.take(sign(SECOND), NOW)
    made.take(sign(Freeze(WALLET, 2), KEYS[:1]), NOW)
    assert made.is_frozen(NOW) and made.is_frozen(NOW + 100)
    made.take(sign(Freeze(WALLET, 1), KEYS[:1]), NOW)
    assert made.is_frozen(NOW + 100)
    made.take(sign(THIRD), NOW + 100)
    assert made.is_frozen(NOW + 199) and not made.is_frozen(NOW + 200)


def test_a_freeze_reaches_one_version_that_is_not_known_yet_and_no_more() -> None:
    """So that a host gains nothing by keeping back the version that is frozen; and one officer cannot end a wallet."""
    made = standing()
    refused("policy_version", made.take, sign(Freeze(WALLET, 3), KEYS[:1]), NOW)
    made.take(sign(Freeze(WALLET, 2), KEYS[:1]), NOW)
    made.take(sign(SECOND), NOW)
    assert made.is_frozen(NOW + 100)
    refused("directive_mismatch", made.take, sign(Freeze(bytes(32), 1), KEYS[:1]), NOW)


def test_a_policy_may_be_frozen_itself() -> None:
    made = standing()
    made.take(sign(successor(FIRST, WALLET, frozen=True)), NOW)
    assert not made.is_frozen(NOW + 99) and made.is_frozen(NOW + 100)


# --- Officers ---


def test_officers_succeed_each_other_after_the_timelock() -> None:
    made = standing()
    made.take(sign(next_officers(WALLET, KEYS[2:], 1)), NOW)
    refused("directive_not_signed", made.take, sign(SECOND, KEYS[2:]), NOW + 99)
    made.take(sign(SECOND, KEYS[2:]), NOW + 100)
    refused("directive_not_signed", made.take, sign(THIRD), NOW + 100)


@pytest.mark.parametrize("changes", [{"previous": bytes(32)}, {"wallet": bytes(32)}])
def test_officers_of_another_line_are_refused(changes: dict[str, Any]) -> None:
    refused("directive_mismatch", standing().take, sign(next_officers(WALLET, KEYS[2:], 1, **changes)), NOW)


def test_officers_do_not_come_back() -> None:
    made = standing()
    first = sign(next_officers(WALLET, KEYS[2:], 1))
    made.take(first, NOW)
    made.take(first, NOW + 50)
    assert made.officers(NOW + 100).keys == KEYS[2:]
    refused("directive_not_signed", made.take, first, NOW + 100)
    assert made.officers(NOW - 100).keys == KEYS[2:]


# --- At rest ---


def test_what_is_kept_is_read_back() -> None:
    made = standing()
    made.take(sign(SECOND), NOW)
    made.take(sign(next_officers(WALLET, KEYS[2:], 1)), NOW)
    made.take(sign(Renewal(WALLET, FIRST.digest(), NOW + 100)), NOW)
    made.take(sign(Freeze(WALLET, 1), KEYS[:1]), NOW)
    again = Standing.decode(made.encode())
    assert again == made and again.view(NOW) == made.view(NOW)
    view = made.view(NOW)
    assert View.parse(Fields.decode(cbor.encode(view.value()), "view")) == view


def test_what_is_older_is_known_as_such() -> None:
    base = standing()
    for document in (SECOND, Freeze(WALLET, 1), next_officers(WALLET, KEYS[2:], 1)):
        later = standing()
        later.take(sign(document), NOW)
        assert base.precedes(later) and not later.precedes(base)
    assert not base.precedes(standing())


STEPS = st.lists(
    st.tuples(st.sampled_from(["policy", "skip", "withdraw", "freeze", "renew", "old"]), st.integers(0, 150)),
    max_size=12,
)


@given(STEPS)
def test_versions_never_go_back_and_freezes_hold(steps: list[tuple[str, int]]) -> None:
    """Whatever is directed in whatever order, at a clock that only runs forward."""
    made, now, seen, frozen = standing(), NOW, 1, 0
    old = sign(SECOND)
    for what, passed in steps:
        now += passed
        newest, current = made.policies[-1][0], made.policy(now)
        directive = {
            "policy": lambda: sign(successor(newest, WALLET)),  # noqa: B023
            "skip": lambda: sign(successor(newest, WALLET, version=newest.version + 3)),  # noqa: B023
            "withdraw": lambda: sign(successor(current, WALLET, version=newest.version + 1)),  # noqa: B023
            "freeze": lambda: sign(Freeze(WALLET, newest.version), QUORUM[:1]),  # noqa: B023
            "renew": lambda: sign(Renewal(WALLET, current.digest(), now + 10**6)),  # noqa: B023
            "old": lambda: old,
        }[what]()
        try:
            made.take(directive, now)
        except Refusal as refusal:
            assert refusal.code == "policy_version"
        else:
            frozen = max(frozen, newest.version if what == "freeze" else 0)
        made = Standing.decode(made.encode())
        view = made.view(now)
        assert view.version >= seen and view.frozen == (view.version <= frozen)
        assert view.leased <= max(made.policy(now).issued, now) + FIRST.lease
        assert all(since > now for _, _, since in view.waiting) and len(view.waiting) <= MAX_WAITING
        seen = view.version
