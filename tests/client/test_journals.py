"""What officers are shown of journals, and what they do not sign a waiver for."""

from __future__ import annotations

import dataclasses

import pytest

from strongroom.errors import Refusal
from strongroom.journal.quorum import Quorum
from strongroom.journal.waiver import Presence
from strongroom_client import journals
from strongroom_client.journals import Head, Heads
from tests.client.custody import Custody, FakeSigner

ONE, TWO, THREE = "enclave-1", "enclave-2", "enclave-3"
DAY = 86_400


def head(name: str, *, there: bool = True, joined: bool = True) -> Head:
    presence = Presence(name.encode().ljust(16), 1, bytes(32)) if there else None
    return Head(name, False, presence, there and joined, 0, None, "" if there else "cannot connect")


def heads(*rows: Head) -> Heads:
    """Of three journals all three must acknowledge."""
    return Heads(Quorum(3, 2), rows)


LEFT = heads(head(ONE), head(TWO), head(THREE, there=False))


def refused(custody: Custody, seen: Heads, seconds: int = DAY, *without: str) -> str:
    with pytest.raises(Refusal) as raised:
        journals.waiver(seen, custody.body, seconds, without)
    assert raised.value.code == "waiver_refused"
    return raised.value.reason


def test_it_is_for_those_that_are_there_with_a_fraction_of_the_limits(custody: Custody) -> None:
    made = journals.waiver(LEFT, custody.body, DAY)
    assert made.present == {row.name: row.presence for row in LEFT.rows[:2]}
    assert (made.divisor, made.order, made.epoch) == (2, custody.order.order_id, 1)
    assert "2 of 3 have joined, 3 must acknowledge" in LEFT.sentence()


def test_of_no_use_or_not_needed(custody: Custody) -> None:
    whole = heads(*map(head, (ONE, TWO, THREE)))
    assert "enough journals" in refused(custody, whole)
    assert set(journals.waiver(whole, custody.body, DAY, [THREE]).present) == {ONE, TWO}
    assert "2 must sign" in refused(custody, heads(head(ONE), head(TWO, there=False), head(THREE, there=False)))
    assert "2 must sign" in refused(custody, LEFT, DAY, TWO)
    assert "nobody-1" in refused(custody, LEFT, DAY, "nobody-1")


def test_started_and_not_joined_is_there_and_does_not_acknowledge(custody: Custody) -> None:
    seen = heads(head(ONE), head(TWO, joined=False), head(THREE))
    assert not seen.enough and set(journals.waiver(seen, custody.body, DAY).present) == {ONE, TWO, THREE}


@pytest.mark.parametrize("seconds", [0, -1, 7 * DAY + 1])
def test_for_a_bounded_time(custody: Custody, seconds: int) -> None:
    assert "7 days" in refused(custody, LEFT, seconds)


def test_what_changed_since_it_was_made(custody: Custody) -> None:
    made = journals.waiver(LEFT, custody.body, DAY)
    assert journals.changed(made, LEFT) == []
    first = LEFT.rows[0]
    assert first.presence is not None
    for changed in (
        dataclasses.replace(first, presence=dataclasses.replace(first.presence, digest=bytes([1]) * 32)),
        dataclasses.replace(first, presence=None),
    ):
        assert journals.changed(made, heads(changed, *LEFT.rows[1:])) == [ONE]


def test_nonsense_of_a_host(ethereum: Custody) -> None:
    witness = FakeSigner(4, ethereum.root).member
    order = dataclasses.replace(ethereum.order.order, witnesses=(witness,))
    signed = dataclasses.replace(ethereum.order, order=order)
    body = dataclasses.replace(ethereum.body, order=signed)
    good = {"joined": True, "incarnation": 1, "entries": 0, "digest": "00" * 32, "waived": None}
    row = {"name": ONE, "reachable": True, "reason": None, "boot": "00" * 16, "journal": good}
    first = journals.read({"journals": [row]}, body).rows[0]
    assert first.joined and first.presence == Presence(bytes(16), 1, bytes(32))
    for nonsense in (
        None,
        [1],
        [{**row, "boot": "zz"}],
        [{**row, "journal": {**good, "digest": 7}}],
        [{**row, "journal": {**good, "incarnation": "1"}}],
        [{**row, "journal": {**good, "entries": None}}],
    ):
        with pytest.raises(Refusal) as raised:
            journals.read({"journals": nonsense}, body)
        assert raised.value.code == "malformed_message"


def test_a_wallet_without_witnesses_has_none(custody: Custody) -> None:
    with pytest.raises(Refusal) as raised:
        journals.read({"journals": []}, custody.body)
    assert raised.value.code == "no_witnesses"
