"""Approvals counted: who counts, for what, and once."""

from __future__ import annotations

import hashlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.approval import Approval, Approver, Decision, Demand, approval_digest, require, tally, verify
from strongroom.approval.approver import Algorithm
from tests.approval.keys import Held, held, sign_digest
from tests.wire.refused import refused

INTENT, OTHER = hashlib.sha256(b"an intent").digest(), hashlib.sha256(b"another").digest()
ALICE = held("alice")
BOB = held("bob", ["compliance", "treasury"], algorithm="p256", passkey=True)
CAROL = held("carol", ["compliance"], algorithm="p256")
ROBOT = held("robot", ["screening"], kind="machine")
ALL = (ALICE, BOB, CAROL, ROBOT)
APPROVERS = tuple(each.approver for each in ALL)
STRANGER = bytes(32)
TWO = Demand((("treasury", 2),))
MIXED = Demand((("compliance", 1), ("treasury", 1)))
SCREENED = Demand((("screening", 1),))


def counted(demands: tuple[Demand, ...], *approvals: Approval, requester: bytes = STRANGER) -> tuple[str, ...]:
    return require(demands, approvals, APPROVERS, INTENT, requester).approved


def test_demands_that_are_met() -> None:
    assert counted((TWO,), BOB.approval(INTENT), ALICE.approval(INTENT)) == ("alice", "bob")
    assert counted((TWO, MIXED, SCREENED), *(each.approval(INTENT) for each in ALL)) == (
        "alice",
        "bob",
        "carol",
        "robot",
    )
    assert counted(()) == ()


def test_demands_that_are_not_met_say_what_is_missing() -> None:
    refusal = refused("approval_missing", counted, (TWO, SCREENED), ALICE.approval(INTENT))
    assert (
        refusal.reason
        == "2 of treasury must approve, and 1 of treasury did; 1 of screening must approve, and 0 of screening did"
    )
    refused("approval_missing", counted, (TWO,))
    refused("approval_missing", counted, (TWO,), *(each.approval(INTENT) for each in (ALICE, CAROL, ROBOT)))


def test_who_is_in_two_groups_counts_for_one_of_them() -> None:
    refused("approval_missing", counted, (MIXED,), BOB.approval(INTENT))
    assert counted((MIXED,), BOB.approval(INTENT), CAROL.approval(INTENT)) == ("bob", "carol")
    assert counted((MIXED,), BOB.approval(INTENT), ALICE.approval(INTENT)) == ("alice", "bob")


def test_weights_add_up() -> None:
    director = held("director", weight=2)
    need = (Demand((("treasury", 3),)),)
    registry = (ALICE.approver, director.approver)
    approvals = (ALICE.approval(INTENT), director.approval(INTENT))
    assert require(need, approvals, registry, INTENT, STRANGER).missing == ()
    refused("approval_missing", require, need, approvals[1:], registry, INTENT, STRANGER)


@pytest.mark.parametrize("by", ALL)
def test_one_rejection_is_a_veto_whoever_it_is_of(by: Held) -> None:
    approvals = [each.approval(INTENT) for each in ALL if each is not by]
    refusal = refused("approval_rejected", counted, (), *approvals, by.approval(INTENT, "reject"))
    assert by.approver.name in refusal.reason


def test_who_rejected_does_not_count_as_one_who_approved() -> None:
    both = (ALICE.approval(INTENT), ALICE.approval(INTENT, "reject"))
    result = tally((TWO,), both, APPROVERS, INTENT, STRANGER)
    assert result.approved == () and result.rejected == ("alice",) and len(result.missing) == 1


def test_a_second_approval_by_the_same_key_is_refused() -> None:
    first, again = BOB.approval(INTENT), BOB.approval(INTENT)
    assert first != again, "ECDSA is randomised: two proofs of one approver"
    refused("approval_invalid", counted, (TWO,), first, again)


def test_who_requested_does_not_approve_unless_the_policy_says_so() -> None:
    own = ALICE.approver.key.public
    approvals = (ALICE.approval(INTENT), BOB.approval(INTENT))
    refusal = refused("approval_missing", counted, (TWO,), *approvals, requester=own)
    assert "alice made the request" in refusal.reason
    assert counted((Demand(TWO.of, requester=True),), *approvals, requester=own) == ("alice", "bob")


def test_who_requested_does_not_approve_with_another_key() -> None:
    requester = hashlib.sha256(b"dora's key for requests").digest()
    dora = held("dora", algorithm="p256", passkey=True, requests_as=[requester])
    approvals = (ALICE.approval(INTENT), dora.approval(INTENT))
    registry = (ALICE.approver, dora.approver)
    refused("approval_missing", require, (TWO,), approvals, registry, INTENT, requester)
    require((TWO,), approvals, registry, INTENT, STRANGER)


def test_who_is_not_in_the_registry_is_refused() -> None:
    refused("unknown_approver", counted, (), held("eve").approval(INTENT))
    refused("unknown_approver", require, (), [ALICE.approval(INTENT)], (BOB.approver,), INTENT, STRANGER)


def test_too_many_approvals_are_refused_before_any_is_verified() -> None:
    refused("malformed_message", counted, (), *[held("eve").approval(INTENT)] * 33)


# --- Approvals themselves ---


@pytest.mark.parametrize("one", ALL)
def test_an_approval_is_for_one_request_and_one_decision(one: Held) -> None:
    pairs: tuple[tuple[Decision, Decision], ...] = (("approve", "reject"), ("reject", "approve"))
    for decision, other in pairs:
        approval = one.approval(INTENT, decision)
        verify(approval, one.approver, INTENT)
        refused("approval_invalid", verify, approval, one.approver, OTHER)
        refused("approval_invalid", verify, Approval(approval.approver, other, approval.proof), one.approver, INTENT)


@pytest.mark.parametrize("one", [ALICE, CAROL])
def test_a_plain_signature_has_64_bytes(one: Held) -> None:
    approval = one.approval(INTENT)
    assert isinstance(approval.proof, bytes)
    for wrong in (approval.proof[:-1], approval.proof + b"\x00", b"", bytes(64), b"\xff" * 64):
        refused("approval_invalid", verify, Approval(approval.approver, "approve", wrong), one.approver, INTENT)


@pytest.mark.parametrize("algorithm", ["ed25519", "p256"])
def test_a_requesters_signature_is_no_approval(algorithm: Algorithm) -> None:
    """Each purpose has its own tag: what signs the intent, or an order, over the same id is another message."""
    one = held("alice", algorithm=algorithm)
    for tag in (b"strongroom/request/v1", b"strongroom/order-signature/v1", b"strongroom/approval/v1"):
        digest = hashlib.sha256(tag + INTENT).digest()
        approval = Approval("alice", "approve", sign_digest(one.secret, digest))
        refused("approval_invalid", verify, approval, one.approver, INTENT)


def test_what_an_approver_signs_is_what_the_specification_says() -> None:
    assert approval_digest("approve", INTENT) == hashlib.sha256(b"strongroom/approval/v1\x01" + INTENT).digest()
    assert approval_digest("reject", INTENT) == hashlib.sha256(b"strongroom/approval/v1\x00" + INTENT).digest()


@pytest.mark.parametrize("one", ALL)
def test_an_approval_has_one_encoding(one: Held) -> None:
    data = one.approval(INTENT).encode()
    assert Approval.decode(data).encode() == data
    refused("malformed_cbor", Approval.decode, data + b"\x00")
    refused("oversized_message", Approval.decode, data + bytes(4096))


@given(
    st.lists(st.tuples(st.sets(st.sampled_from("abc"), min_size=1), st.integers(1, 3)), max_size=5),
    st.dictionaries(st.sampled_from("abc"), st.integers(1, 4), min_size=1),
)
def test_the_best_assignment_is_found(people: list[tuple[set[str], int]], needs: dict[str, int]) -> None:
    """Against trying every assignment of people to the groups that they are in."""
    key = ALICE.approver.key
    approved = [
        Approver(f"p{n}", "person", tuple(sorted(groups)), weight, key) for n, (groups, weight) in enumerate(people)
    ]
    demand = Demand(tuple(sorted(needs.items())))
    possible = False
    for assignment in itertools.product(*(each.groups for each in approved)):
        sums = dict.fromkeys("abc", 0)
        for approver, group in zip(approved, assignment, strict=True):
            sums[group] += approver.weight
        possible |= all(sums[group] >= need for group, need in needs.items())
    assert (demand.met(approved) == tuple(need for _, need in demand.of)) is possible
