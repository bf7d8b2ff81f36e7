"""Links that fail between two signers and nobody else: signing goes on with the sets that are left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from strongroom import schemes
from strongroom.chains.effects import ToSign
from strongroom.errors import Refusal
from strongroom_host.relay.rounds import Message, Route
from strongroom_host.relay.signing import SigningFailed
from strongroom_host.storage.wallets import Wallet
from strongroom_simulator.adversary import Adversary, Call, Drop, Forward, Rule
from tests.attacks.custody import ECDSA, ED25519, Custody
from tests.attacks.hand import flipped

A, B, C = "enclave-1", "enclave-2", "hsm-1"


def between(*cut: set[str], trip: int | None = None) -> Route:
    """What two signers of a cut pair say to each other is lost: in one trip's messages, or in all."""

    def route(number: int, messages: list[Message]) -> list[Message]:
        if trip not in (None, number):
            return messages
        return [(sender, to, sealed) for sender, to, sealed in messages if {sender, to} not in cut]

    return route


@pytest.mark.parametrize("cut", [{A, B}, {A, C}, {B, C}], ids=lambda pair: "-".join(sorted(pair)))
@pytest.mark.parametrize("scheme", [ECDSA, ED25519])
def test_one_pair_cut_in_each_round(custody: Custody, scheme: str, cut: set[str]) -> None:
    wallet = custody.wallet(scheme)
    for trip in range(1, schemes.suite(scheme).trips):
        signed = custody.sign(wallet, sorted(cut), route=between(cut, trip=trip))
        assert set(signed.signers) != cut and signed.attempt == 2
    custody.require_intact(wallet)


def test_two_pairs_cut(custody: Custody, ecdsa: Wallet) -> None:
    signed = custody.sign(ecdsa, (A, B), route=between({A, B}, {A, C}))
    assert signed.signers == (B, C)


def test_all_pairs_cut(custody: Custody, ecdsa: Wallet) -> None:
    """Then nothing is signed, nobody is excluded, and no last request has left."""
    intent = custody.intent(ecdsa)
    with pytest.raises(SigningFailed) as failed:
        custody.send(ecdsa, intent, [ToSign(bytes(32))], route=between({A, B}, {A, C}, {B, C}))
    assert (failed.value.cause.code, failed.value.cause.culprits) == ("missing_message", ())
    assert not failed.value.last_left
    custody.sign(ecdsa, intent=intent)


def test_one_direction_garbled(custody: Custody, ecdsa: Wallet) -> None:
    """C hears A, A does not understand C: the link is blamed, another set signs."""

    def route(_: int, messages: list[Message]) -> list[Message]:
        return [(sender, to, flipped(raw, -1) if (sender, to) == (C, A) else raw) for sender, to, raw in messages]

    assert custody.sign(ecdsa, (A, C), route=route).signers == (A, B)


def losing(peer: str) -> Rule:
    """Whatever is of a handshake with `peer`."""

    def rule(call: Call, forward: Forward) -> bytes:
        if call.operation.startswith("channel.") and call.body["peer"] == peer:
            raise Drop
        return forward(call.request)

    return rule


@pytest.fixture
def cut_off(breakable: Custody) -> Iterator[Custody]:
    """The same signers, through links on which A and C can shake no hands."""
    with ExitStack() as links:
        sockets = {}
        for name, peer in ((A, C), (C, A)):
            sockets[name] = breakable.cluster.plan.sockets / f"{name}.cut"
            links.enter_context(Adversary(sockets[name], breakable.cluster.socket(name), (losing(peer),)))
        yield links.enter_context(Custody(breakable.cluster, sockets))


def test_a_wallet_cannot_be_made_across_a_cut(breakable: Custody, cut_off: Custody) -> None:
    """A DKG needs everybody. It fails cleanly, and the order is of use once the link is back."""
    order = breakable.signed(breakable.order(ED25519))
    with pytest.raises(Refusal) as failed:
        cut_off.create(order)
    assert failed.value.code == "signer_unreachable" and failed.value.retryable
    breakable.require_intact(breakable.create(order))


def test_a_restarted_signer_that_reaches_one_of_two(breakable: Custody, cut_off: Custody) -> None:
    """C comes back without its channels and pairings: with B it has them again, with A only after the cut."""
    wallet = breakable.wallet(ECDSA)
    breakable.cluster.restart(C)
    assert cut_off.sign(wallet, (A, C)).signers != (A, C)
    for names in ((B, C), (A, B)):
        assert cut_off.sign(wallet, names).signers == names
    breakable.require_intact(wallet)
