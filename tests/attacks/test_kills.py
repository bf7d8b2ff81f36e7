"""Signers that die, fall silent or come back, in each round. A request finishes with another set or fails cleanly; a
restarted signer loads what it had sealed, shakes hands and pairs anew, and signs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from strongroom import schemes
from strongroom.errors import Refusal
from strongroom_host.relay.rounds import Message
from strongroom_host.relay.signing import SigningFailed
from strongroom_simulator.adversary import Adversary, mute, only
from tests.attacks.custody import ECDSA, ED25519, MUSIG2, TAPROOT, Custody
from tests.attacks.hand import refused

A, B, C = "enclave-1", "enclave-2", "hsm-1"


@pytest.fixture
def custody(breakable: Custody) -> Iterator[Custody]:
    """Afterwards whoever was killed or paused is back, and knows nothing but what it had sealed."""
    yield breakable
    for name in breakable.names:
        breakable.cluster.resume(name)
        if not breakable.cluster.process(name).running:
            breakable.cluster.restart(name)


class Once:
    """A route: does something when messages are on their way for the nth time, and lets them pass."""

    def __init__(self, nth: int, action: Callable[[], None]) -> None:
        self._left, self._action = nth, action
        self.done = False

    def __call__(self, trip: int, messages: list[Message]) -> list[Message]:
        self._left -= 1
        if self._left == 0:
            self._action()
            self.done = True
        return messages


def pause(custody: Custody, name: str) -> None:
    """Returns when it has stopped: the signal alone may leave it time for one more answer."""
    custody.cluster.pause(name)
    tasks = Path(f"/proc/{custody.cluster.process(name).pid}/task")
    while any((task / "stat").read_text().rpartition(")")[2].split()[0] != "T" for task in tasks.iterdir()):
        time.sleep(0.001)


# --- While signing ---


@pytest.mark.parametrize(("scheme", "victim"), [(ECDSA, A), (ECDSA, C), (ED25519, A), (TAPROOT, C)])
def test_a_signer_killed_in_each_round_of_a_signing(custody: Custody, scheme: str, victim: str) -> None:
    """Before the first, and between each two: the others sign within the same request."""
    wallet = custody.wallet(scheme)
    for nth in range(schemes.suite(scheme).trips):
        assert custody.sign(wallet, (A, C)).signers == (A, C)
        killing = Once(nth, lambda: custody.cluster.kill(victim))
        if nth == 0:
            custody.cluster.kill(victim)
        signed = custody.sign(wallet, (A, C), route=killing)
        assert victim not in signed.signers and not custody.cluster.process(victim).running
        custody.cluster.restart(victim)
    custody.require_intact(wallet)


def test_the_signer_next_asked_is_killed_too(custody: Custody) -> None:
    """A dies in the first round, and B, who would replace it. Nobody is left, nothing is signed, both are named."""
    wallet = custody.wallet(ECDSA)
    custody.sign(wallet, (A, C))
    intent = custody.intent(wallet)

    def both() -> None:
        custody.cluster.kill(A)
        custody.cluster.kill(B)

    with pytest.raises(SigningFailed) as failed:
        custody.sign(wallet, (A, C), intent=intent, route=Once(1, both))
    assert failed.value.cause.code == "quorum_unavailable" and failed.value.cause.retryable
    assert set(failed.value.cause.culprits) == {A, B} and not failed.value.last_left
    for name in (A, B):
        custody.cluster.restart(name)
    custody.sign(wallet, intent=intent)


def test_all_signers_killed_in_the_last_round(custody: Custody) -> None:
    """Then a signature may exist, and the host knows it; the same bytes may be tried again, and are."""
    wallet = custody.wallet(MUSIG2)
    custody.require_intact(wallet)
    intent = custody.intent(wallet)

    def all_of_them() -> None:
        for name in custody.names:
            custody.cluster.kill(name)

    with pytest.raises(SigningFailed) as failed:
        custody.sign(wallet, intent=intent, route=Once(1, all_of_them))
    assert failed.value.cause.code == "quorum_unavailable" and failed.value.last_left
    for name in custody.names:
        custody.cluster.restart(name)
    custody.sign(wallet, intent=intent)


def test_all_signers_restarted_between_two_signatures(custody: Custody) -> None:
    """Nothing is left of channels, pairings or tickets, at the signers; everything at the host is out of date."""
    wallets = [custody.wallet(scheme) for scheme in (ECDSA, ED25519, TAPROOT, MUSIG2)]
    for name in custody.names:
        custody.cluster.kill(name)
    for name in custody.names:
        custody.cluster.restart(name)
    for wallet in wallets:
        custody.require_intact(wallet)


def test_a_silent_signer(custody: Custody) -> None:
    """It is there, and says nothing. What it says later, when it wakes up, is nobody's answer."""
    wallet = custody.wallet(ED25519)
    custody.require_intact(wallet)
    pausing = Once(1, lambda: pause(custody, C))
    assert custody.sign(wallet, (A, C), route=pausing).signers == (A, B)
    custody.cluster.resume(C)
    custody.require_intact(wallet)


def test_a_signer_killed_while_it_is_mended(custody: Custody) -> None:
    """It comes back, is given its share, and dies again in the pairing."""
    wallet = custody.wallet(ECDSA)
    custody.cluster.restart(A)
    link = custody.cluster.plan.sockets / "killing.link"

    def rule(call: object, forward: object) -> bytes:
        custody.cluster.kill(A)
        raise ConnectionResetError

    with (
        Adversary(link, custody.cluster.socket(A), (only("pair.start", rule),)),
        Custody(custody.cluster, {A: link}) as host,
    ):
        assert host.sign(wallet, (A, C)).signers == (B, C)
    custody.cluster.restart(A)
    custody.require_intact(wallet)


def test_answers_that_are_lost(custody: Custody) -> None:
    """The signer works and the link loses what it says, once for each request of a signing: it is asked for no round
    again, and another signs."""
    wallet = custody.wallet(ED25519)
    custody.require_intact(wallet)
    for operation in ("sign.start", "ceremony.step"):
        link = custody.cluster.plan.sockets / "losing.link"
        with (
            Adversary(link, custody.cluster.socket(A), (only(operation, mute),)),
            Custody(custody.cluster, {A: link}) as host,
        ):
            assert host.sign(wallet, (A, C)).signers == (B, C)


@pytest.mark.parametrize("scheme", [ED25519, MUSIG2, ECDSA])
def test_many_requests_while_a_signer_restarts(custody: Custody, scheme: str) -> None:
    """Four at a time, before, during and after. Those that meet a dead signer are replaced or say who is missing; those
    that begin once it is back succeed, also where nobody can take its place, though all of them mend it at once."""
    wallet, back = custody.wallet(scheme), threading.Event()
    custody.require_intact(wallet)

    def requests(_: int) -> list[str]:
        codes, after = [], 0
        while after < 3:
            after += back.is_set()
            try:
                custody.sign(wallet)
            except SigningFailed as failed:
                codes.append(failed.cause.code if not after else f"{failed.cause.code} afterwards: {failed.refusals}")
        return codes

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(requests, each) for each in range(4)]
        custody.cluster.kill(A)
        custody.cluster.restart(A)
        back.set()
        codes = {code for each in running for code in each.result()}
    assert codes <= {"quorum_unavailable"}
    custody.require_intact(wallet)


# --- While a wallet is made ---


@pytest.mark.parametrize("scheme", [ECDSA, ED25519])
def test_a_signer_killed_in_each_round_of_a_wallets_making(custody: Custody, scheme: str) -> None:
    """One order, of which each attempt loses a signer a round later than the one before, through DKG and test
    signatures; the last attempt loses none. What was dealt is kept, what was not is dealt again."""
    order, attempts = custody.signed(custody.order(scheme)), 0
    while True:
        victim = custody.names[attempts % 3]
        attempts += 1
        killing = Once(attempts, lambda victim=victim: custody.cluster.kill(victim))  # type: ignore[misc]
        try:
            wallet = custody.create(order, killing)
        except Refusal as refusal:
            assert killing.done, refusal
            assert (refusal.code, refusal.culprits) == ("signer_unreachable", (victim,))
            custody.cluster.restart(victim)
        else:
            break
    assert not killing.done and attempts > 3
    custody.require_intact(wallet)


def test_a_signer_killed_before_it_answers_for_its_certificate(custody: Custody) -> None:
    order = custody.signed(custody.order(ED25519))
    link = custody.cluster.plan.sockets / "killing.link"

    def rule(call: object, forward: object) -> bytes:
        custody.cluster.kill(C)
        raise ConnectionResetError

    with (
        Adversary(link, custody.cluster.socket(C), (only("wallet.certify", rule),)),
        Custody(custody.cluster, {C: link}) as host,
        refused("signer_unreachable", culprits=(C,)),
    ):
        host.create(order)
    custody.cluster.restart(C)
    custody.require_intact(custody.create(order))
