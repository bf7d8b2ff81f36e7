"""Entries of the registry and demands: one encoding each, and nothing that would let one person count for two."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.approval import Approver, Demand, Key, Passkey, check_demand, check_registry
from strongroom.errors import Refusal
from strongroom.wire import cbor
from tests.approval.keys import ORIGIN, Held, held
from tests.wire.refused import refused

ALICE, BOB = held("alice"), held("bob", ["compliance", "treasury"], algorithm="p256", passkey=True)
ROBOT = held("robot", ["screening"], kind="machine")
NEGATIVE = {2: 3, 3: 2}


@pytest.mark.parametrize("one", [ALICE, BOB, ROBOT, held("carol", requests_as=[bytes(32)])])
def test_an_entry_is_read_as_it_was_written(one: Held) -> None:
    value = one.approver.value()
    assert Approver.parse(value) == one.approver
    assert cbor.encode(Approver.parse(value).value()) == cbor.encode(value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Alice"),
        ("name", ""),
        ("kind", "officer"),
        ("groups", []),
        ("groups", ["treasury", "compliance"]),
        ("groups", ["treasury", "treasury"]),
        ("groups", ["Treasury"]),
        ("weight", 0),
        ("key", {"algorithm": "rs256", "public": bytes(32)}),
        ("key", {"algorithm": "ed25519", "public": bytes(33)}),
        ("key", {"algorithm": "p256", "public": bytes(33)}),
        ("key", {"algorithm": "p256", "public": b"\x02" + b"\xff" * 32}),
        ("key", {"algorithm": "p256", "public": b"\x04" + bytes(32)}),
        ("requests_as", [bytes(31)]),
        ("requests_as", [b"\x01" * 32, bytes(32)]),
    ],
)
def test_an_entry_that_is_wrong_is_refused(field: str, value: cbor.Value) -> None:
    refused("bad_approver", Approver.parse, {**ALICE.approver.value(), field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [("weight", 9), ("weight", True), ("passkey", False), ("requests_as", [bytes(32)] * 5), ("more", 1)],
)
def test_an_entry_of_other_types_is_malformed(field: str, value: cbor.Value) -> None:
    refused("malformed_message", Approver.parse, {**ALICE.approver.value(), field: value})


@pytest.mark.parametrize(
    "origins",
    [
        (),
        ("http://example.com",),
        ("https://Example.com",),
        ("https://example.com/",),
        ("http://localhost:0",),
        ("http://localhost:47113", "http://localhost:1"),
        ('https://a","crossOrigin":false',),
        tuple(f"https://{each}" for each in "abcde"),
    ],
)
def test_an_origin_is_pinned_as_browsers_write_it(origins: tuple[str, ...]) -> None:
    refused("bad_approver", Passkey, "localhost", origins, b"credential")


def test_other_passkeys_that_are_none() -> None:
    refused("bad_approver", Passkey, "Localhost", (ORIGIN,), b"credential")
    refused("bad_approver", Passkey, "localhost", (ORIGIN,), b"")
    refused("bad_approver", Passkey, "localhost", (ORIGIN,), bytes(1024))
    refused("bad_approver", dataclasses.replace, BOB.approver, kind="machine")


def test_a_registry_is_sorted_by_name() -> None:
    check_registry([ALICE.approver, BOB.approver, ROBOT.approver])
    refused("bad_approver", check_registry, [BOB.approver, ALICE.approver])
    refused("bad_approver", check_registry, [ALICE.approver, ALICE.approver])
    refused("bad_approver", check_registry, [held(f"a{number:03}").approver for number in range(65)])


def test_a_key_stands_for_one_approver_only() -> None:
    twin = dataclasses.replace(ALICE.approver, name="zoe", weight=2)
    assert "count twice" in refused("bad_approver", check_registry, [ALICE.approver, twin]).reason


@pytest.mark.parametrize("one", [ALICE, BOB])
def test_a_key_and_its_negative_are_one_persons(one: Held) -> None:
    """Whoever has the secret of a point has the secret of its negative."""
    public = bytearray(one.approver.key.public)
    if one.approver.key.algorithm == "p256":
        public[0] = NEGATIVE[public[0]]
    else:
        public[31] ^= 0x80
    mirrored = Key(one.approver.key.algorithm, bytes(public))
    twin = dataclasses.replace(one.approver, name="zoe", key=mirrored)
    assert mirrored != one.approver.key
    refused("bad_approver", check_registry, [one.approver, twin])


def test_people_and_machines_share_no_group() -> None:
    machine = held("screen", ["treasury"], kind="machine")
    refused("bad_approver", check_registry, [ALICE.approver, machine.approver])


def test_a_requester_is_known_by_every_key_of_its_own() -> None:
    other = held("other").approver.key.public
    one = held("alice", requests_as=[other]).approver
    assert one.requested(other) and one.requested(one.key.public)
    assert not one.requested(bytes(32)) and not BOB.approver.requested(one.key.public)
    assert not BOB.approver.requested(BOB.approver.key.public[1:])


# --- Demands ---


def test_a_demand_is_read_as_it_was_written() -> None:
    demand = Demand((("compliance", 1), ("treasury", 2)), requester=True)
    assert Demand.parse(demand.value()) == demand
    assert str(demand) == "1 of compliance and 2 of treasury"


@pytest.mark.parametrize(
    "of",
    [
        (),
        (("treasury", 0),),
        (("treasury", 9),),
        (("Treasury", 1),),
        (("treasury", 1), ("compliance", 1)),
        (("treasury", 1), ("treasury", 1)),
        tuple((each, 1) for each in "abcde"),
    ],
)
def test_a_demand_that_is_wrong_is_refused(of: tuple[tuple[str, int], ...]) -> None:
    refused("bad_demand", Demand, of)


@pytest.mark.parametrize("part", [["treasury"], ["treasury", True], [1, 1], "treasury", ["treasury", 1, 1]])
def test_a_demand_of_other_types_is_malformed(part: cbor.Value) -> None:
    refused("malformed_message", Demand.parse, {"of": [part], "requester": False})


def test_a_demand_that_nobody_could_meet_is_found() -> None:
    three = Demand((("compliance", 1), ("treasury", 2)))
    refused("bad_demand", check_demand, three, [ALICE.approver, BOB.approver])
    check_demand(three, [ALICE.approver, BOB.approver, held("carol").approver])
    refused("bad_demand", check_demand, Demand((("nobody", 1),)), [ALICE.approver])


@given(st.none() | st.booleans() | st.binary() | st.lists(st.text() | st.integers(0, 99)))
def test_whatever_is_no_entry_is_refused_and_nothing_else_happens(value: cbor.Value) -> None:
    for parse in (Approver.parse, Demand.parse):
        with pytest.raises(Refusal):
            parse(value)
        with pytest.raises(Refusal):
            parse({**ALICE.approver.value(), "key": value, "of": value})
