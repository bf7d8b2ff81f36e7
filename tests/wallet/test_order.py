"""Orders: what officers may sign, and what of it a signer believes."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.errors import Refusal
from strongroom.evidence.statement import AWS_NITRO_ROOT
from strongroom.policy.terms import Window
from strongroom.signer.configuration import Officers
from strongroom.wallet.order import Member, Order, SignedOrder, order_id
from strongroom.wire import cbor
from tests.wallet.orders import (
    ECDSA,
    ED25519,
    MUSIG2,
    NAMES,
    OFFICER_KEYS,
    OFFICERS,
    POLICY,
    SCHEMES,
    TAPROOT,
    keys,
    labels,
    member,
    order,
    sign,
    signed,
)
from tests.wire.refused import refused

KEYS = tuple(OFFICER_KEYS)


# --- Officers' signatures ---


@pytest.mark.parametrize("signers", [KEYS[:2], KEYS[1:], KEYS])
def test_a_quorum_of_officers_is_enough(signers: tuple[bytes, ...]) -> None:
    again = SignedOrder.decode(signed(order(), signers).encode())
    assert again.verify(OFFICERS).order == order()
    assert again.order_id == order_id(again.raw) == hashlib.sha256(b"strongroom/order/v1" + again.raw).digest()


RAW = order().encode()
PAIRS = tuple(sign(RAW, KEYS).items())
STRANGER = next(iter(keys("stranger", 1).items()))
FOREIGN = (STRANGER[0], STRANGER[1].sign(b"strongroom/order-signature/v1" + order_id(RAW)))


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ((), "0 officers signed, the quorum is 2"),
        (PAIRS[:1], "1 officers signed, the quorum is 2"),
        ((PAIRS[0], PAIRS[0]), "distinct"),
        ((PAIRS[1], PAIRS[0]), "sorted"),
        (tuple(sorted((PAIRS[0], FOREIGN))), "of distinct officers"),
        (tuple(sorted((*PAIRS[:2], FOREIGN))), "of distinct officers"),
        ((PAIRS[0], (PAIRS[1][0], PAIRS[0][1])), "does not verify"),
        ((PAIRS[0], (PAIRS[1][0], bytes(64))), "does not verify"),
        # One bad signature spoils a quorum of good ones.
        ((PAIRS[0], PAIRS[1], (PAIRS[2][0], bytes(64))), "does not verify"),
    ],
    ids=range(9),
)
def test_signatures_that_are_not_a_quorums(pairs: tuple[tuple[bytes, bytes], ...], reason: str) -> None:
    again = SignedOrder.decode(SignedOrder(RAW, order(), pairs).encode())
    assert reason in refused("order_not_signed", again.verify, OFFICERS).reason


def test_signatures_are_of_this_very_order() -> None:
    """And of nothing but an order: other tags, other orders, the order itself."""
    other = order(nonce=b"\1" * 32)
    refused("order_not_signed", SignedOrder.of(other, sign(RAW, KEYS)).verify, OFFICERS)
    for message in (RAW, order_id(RAW), b"strongroom/request/v1" + order_id(RAW)):
        pairs = {key: OFFICER_KEYS[key].sign(message) for key in KEYS[:2]}
        refused("order_not_signed", SignedOrder.of(order(), pairs).verify, OFFICERS)


@pytest.mark.parametrize(
    "pinned", [Officers(KEYS, 1), Officers(KEYS, 3), Officers(KEYS[:2], 2), Officers((STRANGER[0],), 1)]
)
def test_the_officers_are_those_of_the_verifier(pinned: Officers) -> None:
    """An order cannot bring its own officers, nor lower their quorum."""
    assert "other officers" in refused("order_not_signed", signed(order(), KEYS).verify, pinned).reason


@pytest.mark.parametrize(
    "pair",
    [
        [bytes(32)],
        [bytes(31), bytes(64)],
        [bytes(32), bytes(63)],
        [bytes(32), bytes(64), b""],
        bytes(96),
        b"ab",
        {"a": bytes(32), "b": bytes(64)},
    ],
    ids=range(7),
)
def test_a_signature_is_a_key_and_64_bytes(pair: cbor.Value) -> None:
    refused("malformed_message", SignedOrder.decode, cbor.encode({"order": RAW, "signatures": [pair]}))
    refused("malformed_message", SignedOrder.decode, cbor.encode({"order": RAW, "signatures": [], "more": 1}))


# --- What officers may order ---


def decode(**changes: Any) -> Order:
    """The order as others may have written it."""
    value = cbor.decode(RAW)
    assert isinstance(value, dict)
    return Order.decode(cbor.encode({**value, **changes}))


def roster(**changes: Any) -> list[cbor.Value]:
    """The first member changed, the others as they were."""
    return [{**order().roster[0].value(), **changes}, *(each.value() for each in order().roster[1:])]


def changed_labels(**changes: cbor.Value) -> dict[str, cbor.Value]:
    return {**labels("a").value(), **changes}


MEASURED = dict(order().roster[0].measurements)


def without(register: str) -> dict[str, bytes]:
    return {name: value for name, value in MEASURED.items() if name != register}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"v": 2}, "malformed_message"),
        ({"more": 1}, "malformed_message"),
        ({"mode": "test"}, "bad_configuration"),
        ({"scheme": "gg20"}, "bad_order"),
        ({"threshold": 0}, "bad_order"),
        ({"threshold": 1}, "bad_order"),
        ({"threshold": 4}, "bad_order"),
        ({"threshold": 10}, "malformed_message"),
        ({"roster": []}, "bad_order"),
        ({"roster": [member(name).value() for name in [*NAMES, "j"]]}, "malformed_message"),
        ({"roster": [member("a").value(), member("a").value()]}, "bad_order"),
        ({"nonce": bytes(31)}, "malformed_message"),
        ({"unaudited": [1]}, "malformed_message"),
        ({"policy": {}}, "malformed_message"),
        ({"officers": {"keys": [], "quorum": 0}}, "bad_configuration"),
        ({"officers": {"keys": [KEYS[1], KEYS[0]], "quorum": 1}}, "bad_configuration"),
        ({"officers": {"keys": [KEYS[0], KEYS[0]], "quorum": 1}}, "bad_configuration"),
        ({"officers": {"keys": [KEYS[0]], "quorum": 2}}, "bad_configuration"),
        ({"officers": {"keys": [KEYS[0]], "quorum": 0}}, "bad_configuration"),
        ({"officers": {"keys": [b"\0" + KEYS[0]], "quorum": 1}}, "bad_configuration"),
        ({"roster": roster(name="")}, "bad_order"),
        ({"roster": roster(name="A")}, "bad_order"),
        ({"roster": roster(name="-a")}, "bad_order"),
        ({"roster": roster(name="a-")}, "bad_order"),
        ({"roster": roster(name="a" * 33)}, "bad_order"),
        ({"roster": roster(name="a\n")}, "bad_order"),
        ({"roster": roster(root="sgx")}, "bad_order"),
        ({"roster": roster(trust=bytes(31))}, "malformed_message"),
        ({"roster": roster(more=1)}, "malformed_message"),
        ({"roster": roster(measurements=[])}, "malformed_message"),
        ({"roster": roster(measurements={**MEASURED, "pcr0": "text"})}, "malformed_message"),
        ({"roster": roster(measurements={})}, "bad_order"),
        *(({"roster": roster(measurements=without(name))}, "bad_order") for name in ("pcr0", "pcr1", "pcr2", "pcr16")),
        # Two enclaves on one instance: whoever is root there would have both.
        (
            {
                "roster": roster(
                    measurements={**MEASURED, "pcr4": order().roster[1].measurements["pcr4"]},
                )
            },
            "bad_order",
        ),
        # A Nitro member with the measurements of an HSM's, and the other way round.
        ({"roster": roster(measurements={"configuration": bytes(48)})}, "bad_order"),
        ({"roster": roster(root="pkcs11", labels=labels("a", "pkcs11").value())}, "bad_order"),
        (
            {
                "roster": roster(
                    root="pkcs11",
                    labels=labels("a", "pkcs11").value(),
                    measurements={"configuration": bytes(48), "pcr0": bytes(48)},
                )
            },
            "bad_order",
        ),
        # Labels that claim more than the root gives.
        ({"roster": roster(labels=changed_labels(sealed_by="pkcs11"))}, "bad_order"),
        ({"roster": roster(labels=changed_labels(computes_in="process"))}, "bad_order"),
        ({"roster": roster(labels=changed_labels(code_attested_by="nobody"))}, "bad_order"),
        ({"roster": roster(labels=changed_labels(more="1"))}, "malformed_message"),
        ({"roster": roster(labels=changed_labels(operator="x" * 65))}, "malformed_message"),
    ],
    ids=range(45),
)  # fmt: skip
def test_another_order_is_refused(changes: dict[str, Any], code: str) -> None:
    refused(code, decode, **changes)


@pytest.mark.parametrize("field", [("sealed_by", "kms"), ("computes_in", "enclave"), ("code_attested_by", "nsm")])
def test_a_signer_beside_an_hsm_may_not_pose_as_an_enclave(field: tuple[str, str]) -> None:
    poser = member("c", "pkcs11", labels=labels("c", "pkcs11", **dict([field])))
    refused("bad_order", Member.parse, poser.value())


@pytest.mark.parametrize(("threshold", "parties"), [(2, 2), (2, 9), (9, 9), (5, 9), (3, 3)])
def test_any_threshold_of_2_to_9_signers(threshold: int, parties: int) -> None:
    made = order(parties, threshold=threshold)
    assert Order.decode(made.encode()) == made


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_suite_without_an_auditor_must_be_accepted_by_name(scheme: str) -> None:
    others = tuple(each for each in SCHEMES if each != scheme)
    order(scheme=scheme)
    if scheme == ED25519:
        order(scheme=scheme, unaudited=())
        return
    for accepted in ((), others, (scheme.upper(),)):
        refused("suite_not_accepted", order, scheme=scheme, unaudited=accepted)


def test_musig2_wants_every_signer() -> None:
    order(3, scheme=MUSIG2, threshold=3)
    refused("bad_order", order, 3, scheme=MUSIG2, threshold=2)
    for scheme in (ECDSA, ED25519, TAPROOT):
        order(3, scheme=scheme, threshold=2)


def test_modes_do_not_mix() -> None:
    """A production roster names AWS's root and no other for enclaves; a simulated one never does."""
    refused("mode_mismatch", order, mode="production")
    aws = tuple(member(name, trust=AWS_NITRO_ROOT) for name in "abc")
    refused("mode_mismatch", order, roster=aws)
    assert order(mode="production", roster=aws).mode == "production"
    refused("mode_mismatch", order, mode="production", roster=(*aws[:2], member("c")))
    refused("mode_mismatch", order, roster=(member("a"), aws[1]))


@given(st.data())
def test_whatever_is_read_is_written_again_byte_for_byte(data: st.DataObject) -> None:
    raw = bytearray(RAW)
    for _ in range(data.draw(st.integers(1, 2))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        made = Order.decode(bytes(raw))
    except Refusal:
        return
    assert made.encode() == bytes(raw)


def test_enclaves_are_on_different_instances() -> None:
    """One parent's root would otherwise stop two signers at once, and label them as two machines."""
    first, second = member("a"), member("b")
    twin = dataclasses.replace(second, measurements={**second.measurements, "pcr4": first.measurements["pcr4"]})
    refused("bad_order", order, roster=(first, twin, member("c")))
    # Two tokens beside each other have no such register, and rosters need not pin it.
    order(roster=(member("a", "pkcs11"), member("b", "pkcs11")))
    order(roster=tuple(dataclasses.replace(member(name), measurements=without("pcr4")) for name in "ab"))


def test_two_members_may_not_share_a_name() -> None:
    """A name is what messages are sealed for, and what blame names."""
    twins = (member("a", "pkcs11"), member("a", "pkcs11", trust=bytes(32)))
    assert "share a name" in refused("bad_order", order, roster=twins).reason


# --- Who is who ---


def test_party_numbers_are_places_in_the_roster() -> None:
    made = order(roster=(member("c"), member("a"), member("b")))
    assert made.names == ("c", "a", "b")
    assert [made.index(name) for name in ("a", "b", "c")] == [2, 3, 1]
    assert made.member("a").name == "a"
    for ask in (made.index, made.member):
        refused("not_in_roster", ask, "d")


def test_a_set_is_the_threshold_of_distinct_members_in_roster_order() -> None:
    made = order(roster=(member("c"), member("a"), member("b")))
    assert made.sorted_set(["b", "c"]) == ("c", "b")
    assert made.sorted_set(("a", "b")) == ("a", "b")
    for names in ([], ["a"], ["a", "a"], ["a", "b", "c"], ["a", "a", "b"]):
        refused("malformed_message", made.sorted_set, names)
    refused("not_in_roster", made.sorted_set, ["a", "d"])


def test_the_policy_is_part_of_what_is_signed() -> None:
    silent = order(policy=dataclasses.replace(POLICY, rules=POLICY.rules[:-1]))
    assert order_id(silent.encode()) != order_id(RAW)


# --- What is promised over time ---


def test_a_window_wants_witnesses() -> None:
    """Without any, nobody counts what other signers signed, and a start forgets the rest."""
    counting = dataclasses.replace(POLICY, windows=(Window(3600, count=3),))
    assert "witnesses" in refused("bad_order", order, policy=counting).reason
    rule = dataclasses.replace(POLICY.rules[0], windows=(Window(3600, count=3),))
    inside = dataclasses.replace(POLICY, rules=(rule, *POLICY.rules[1:]))
    refused("bad_order", order, policy=inside)
    for policy in (counting, inside):
        made = order(policy=policy, witnesses=(member("w"),))
        assert Order.decode(made.encode()) == made
