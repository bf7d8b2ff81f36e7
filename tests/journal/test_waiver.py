"""The degraded mode that officers sign: single use, for what they saw, with limits divided."""

from __future__ import annotations

import dataclasses

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.journal.waiver import Presence, SignedWaiver, Waiver, waiver_signing_bytes
from strongroom.signer.configuration import Officers
from tests.journal.world import LIMIT, START, Ask, World, refused

KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in range(1, 4)]
OFFICERS = Officers(tuple(sorted(key.public_key().public_bytes_raw() for key in KEYS)), 2)
ORDER = bytes(32)


def waiver(world: World, names: str, expiry: int = START + 3600) -> Waiver:
    """divisor: 2, as of 2-of-3."""
    present = {}
    for name in names:
        journal = world.starts[name].journal
        present[name] = Presence(journal.boot, journal.number, journal.book.digest())
    return Waiver(ORDER, 1, present, 2, expiry)


def signed(document: Waiver, keys: list[Ed25519PrivateKey]) -> SignedWaiver:
    raw = document.encode()
    rows = [(key.public_key().public_bytes_raw(), key.sign(waiver_signing_bytes(raw))) for key in keys]
    return SignedWaiver.decode(SignedWaiver(raw, document, tuple(sorted(rows))).encode())


@pytest.fixture
def two() -> World:
    """Of four journals two are left; nothing is signed any more."""
    world = World(4, 2)
    world.pay(Ask(1, 10))
    with refused("journal_quorum"):
        world.pay(Ask(2, 10), ["a", "b"])
    world.level()
    world.signed.clear()
    return world


def test_two_go_on_with_half_the_limit(two: World) -> None:
    document = waiver(two, "ab")
    for name in "ab":
        two.keep(two.starts[name], two.starts[name].journal.waive(document, two.now))
    # 10 and 10 were reserved before; half of 90 is 45.
    assert two.pay(Ask(3, 25), ["a", "b"]) == ("a", "b")
    with refused("policy_limit"):
        two.pay(Ask(4, 1), ["a", "b"])
    # The same bytes again are no more.
    two.pay(Ask(3, 25), ["a", "b"])
    # With the others back, and no waiver: what was spent meanwhile counts, against the whole limit.
    two.now += 3601
    two.level()
    two.pay(Ask(5, LIMIT - 45))
    with refused("policy_limit"):
        two.pay(Ask(6, 1))


def test_a_restarted_signer_goes_on_by_a_waiver_and_joins_when_others_are_back(two: World) -> None:
    two.boot("a")
    two.exchange(two.starts["a"], "b")
    with refused("not_joined"):
        two.reserve(two.starts["a"], Ask(3, 5))
    document = waiver(two, "ab")
    for name in "ab":
        two.starts[name].journal.waive(document, two.now)
    two.pay(Ask(3, 5), ["a", "b"])
    two.now += 3601
    with refused("not_joined"):
        two.reserve(two.starts["a"], Ask(4, 5))
    assert two.join("a")


def test_everyone_whom_it_names_must_acknowledge_and_nobody_else_counts(two: World) -> None:
    document = waiver(two, "abc")
    for name in "abc":
        two.starts[name].journal.waive(document, two.now)
    with refused("journal_quorum"):
        two.pay(Ask(3, 5), ["a", "b", "d"])
    two.pay(Ask(3, 5), ["a", "b", "c"])


def test_it_serves_once(two: World) -> None:
    document = waiver(two, "ab")
    journal = two.starts["a"].journal
    two.keep(two.starts["a"], journal.waive(document, two.now))
    with refused("waiver_refused"):
        journal.waive(document, two.now)
    two.reserve(two.starts["a"], Ask(3, 1))
    with refused("waiver_refused"):
        journal.waive(document, two.now)
    two.boot("a")
    with refused("waiver_refused"):
        two.starts["a"].journal.waive(document, two.now)


def test_a_state_that_officers_did_not_see(two: World) -> None:
    for change in ({"boot": bytes(16)}, {"incarnation": 77}, {"digest": bytes(32)}):
        document = waiver(two, "ab")
        present = {**document.present, "a": dataclasses.replace(document.present["a"], **change)}
        with refused("waiver_refused"):
            two.starts["a"].journal.waive(dataclasses.replace(document, present=present), two.now)
    with refused("waiver_refused"):
        two.starts["c"].journal.waive(waiver(two, "ab"), two.now)


@pytest.mark.parametrize("expiry", [START, START - 1, START + 8 * 86_400])
def test_it_runs_for_a_bounded_time(two: World, expiry: int) -> None:
    with refused("waiver_refused"):
        two.starts["a"].journal.waive(waiver(two, "ab", expiry), START)


def test_a_stranger_in_it(two: World) -> None:
    document = waiver(two, "ab")
    stranger = {**document.present, "z": Presence(bytes(16), 1, bytes(32))}
    with refused("waiver_refused"):
        two.starts["a"].journal.waive(dataclasses.replace(document, present=stranger), two.now)


def test_officers_sign_it(two: World) -> None:
    document = waiver(two, "ab")
    assert signed(document, KEYS[:2]).verify(OFFICERS, ORDER, 1, 2) == document
    outsider = Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32)
    for keys in (KEYS[:1], [KEYS[0], outsider], [KEYS[0], KEYS[0]], []):
        with refused("waiver_refused"):
            signed(document, keys).verify(OFFICERS, ORDER, 1, 2)
    for order, epoch, divisor in ((bytes([1]) * 32, 1, 2), (ORDER, 2, 2), (ORDER, 1, 1)):
        with refused("waiver_refused"):
            signed(document, KEYS[:2]).verify(OFFICERS, order, epoch, divisor)
    good = signed(document, KEYS[:2])
    other = dataclasses.replace(document, expiry=document.expiry + 1).encode()
    with refused("waiver_refused"):
        SignedWaiver.decode(SignedWaiver(other, document, good.signatures).encode()).verify(OFFICERS, ORDER, 1, 2)
