"""Old disks, withheld answers and the host's clock, against the journals of real signers and a witness; and the limit
that holds.

Four journals, t = 2: w = 3 acknowledge, and a restarted one hears r = 3 others. One sealed state that runs twice is in
test_twins.py, a journal that lies in test_lying_journal.py.
"""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from strongroom.intent.intent import Intent
from strongroom_host.relay.signing import SigningFailed
from strongroom_host.storage.wallets import Wallet
from tests.attacks.custody import ECDSA, ED25519, TRANSACTION
from tests.attacks.witnessed import ALL, COUNT, A, B, C, Reserving, W, Witnessed
from tests.journal.world import refused


@pytest.fixture
def wallet(witnessed: Witnessed) -> Wallet:
    """A new one for each test: what is reserved stays so. All of the cluster is up."""
    witnessed.revive()
    return witnessed.make(ED25519)


def test_a_new_wallet_has_joined_everywhere(witnessed: Witnessed, wallet: Wallet) -> None:
    assert all(witnessed.journal(wallet, name)["joined"] for name in ALL)
    witnessed.require_intact(wallet)


@pytest.mark.parametrize("away", ALL)
def test_one_of_four_may_be_away(witnessed: Witnessed, wallet: Wallet, away: str) -> None:
    witnessed.cluster.kill(away)
    signed = witnessed.sign(wallet)
    assert away not in signed.signers and witnessed.sign(wallet).signers


def test_two_of_four_may_not(witnessed: Witnessed, wallet: Wallet) -> None:
    for away in (C, W):
        witnessed.cluster.kill(away)
    assert witnessed.failed(wallet).kind == "unavailable"


def test_the_limit_over_every_pair(witnessed: Witnessed, wallet: Wallet) -> None:
    """Each signer took part in fewer than four, and yet the fifth is refused whoever is asked."""
    for names in ((A, B), (B, C), (A, C), (A, B)):
        assert witnessed.sign(wallet, names).signers == names
    for names in ((A, B), (B, C), (A, C)):
        assert witnessed.failed(wallet, names).code == "policy_velocity"


def test_one_request_through_two_pairs(witnessed: Witnessed, wallet: Wallet) -> None:
    intent = witnessed.intent(wallet)
    witnessed.sign(wallet, (A, B), intent=intent)
    other = replace(intent, payload=b"pay somebody else")
    for names in ((B, C), (A, C)):
        assert witnessed.failed(wallet, names, other).code == "request_conflict"
    assert witnessed.sign(wallet, (B, C), intent=intent).signatures


@pytest.mark.parametrize("names", [(A,), (W,), (A, B)], ids=["a signer", "the witness", "two signers, nobody lying"])
def test_an_old_disk(witnessed: Witnessed, wallet: Wallet, names: tuple[str, ...]) -> None:
    before, intent = witnessed.all_blocks(wallet), witnessed.intent(wallet)
    for _ in range(COUNT - 1):
        witnessed.sign(wallet, (A, B))
    witnessed.sign(wallet, (A, B), intent=intent)
    witnessed.roll_back(wallet, before, *names)
    assert witnessed.failed(wallet, (A, B), replace(intent, payload=b"another")).code == "request_conflict"
    assert witnessed.failed(wallet, (A, C)).code == "policy_velocity"
    assert witnessed.sign(wallet, (A, B), intent=intent).signatures


def test_an_old_disk_of_all_is_not_noticed(witnessed: Witnessed, wallet: Wallet) -> None:
    """What the design says that it does not withstand: only who keeps a receipt knows better."""
    before, intent = witnessed.all_blocks(wallet), witnessed.intent(wallet)
    witnessed.sign(wallet, (A, B), intent=intent)
    witnessed.roll_back(wallet, before, *ALL)
    witnessed.sign(wallet, (A, B), intent=replace(intent, payload=b"another"))


def test_all_are_killed_and_start_on_what_they_had(witnessed: Witnessed, wallet: Wallet) -> None:
    for _ in range(COUNT):
        witnessed.sign(wallet)
    witnessed.rest()
    for name in ALL:
        witnessed.cluster.kill(name)
    for name in ALL:
        witnessed.cluster.restart(name)
    assert witnessed.failed(wallet).code == "policy_velocity"


def test_a_restarted_signer_that_cannot_hear_three_others_does_not_sign(witnessed: Witnessed, wallet: Wallet) -> None:
    """The host withholds one of them, or it is down: w are up, and not all of them have joined."""
    witnessed.sign(wallet, (A, B))
    witnessed.rest()
    witnessed.cluster.restart(A)
    witnessed.cluster.kill(C)
    with pytest.raises(SigningFailed):
        witnessed.sign(wallet)
    witnessed.cluster.restart(C)
    assert witnessed.sign(wallet, (A, B)).signatures


def test_the_journal_of_another_signer_and_a_changed_block(witnessed: Witnessed, wallet: Wallet) -> None:
    order = wallet.signed_order.order_id
    witnessed.sign(wallet, (A, B))
    witnessed.rest()
    witnessed.cluster.restart(A)
    witnessed.relay.load(witnessed.group(wallet), A)
    ask = {"wallet": wallet.body.wallet, "blocks": []}
    with refused("sealed_mismatch"):
        witnessed.ask(A, "journal.open", {**ask, "wrapped": witnessed.journals.wrapped(order, B)})
    own = [block for _, block in witnessed.journals.blocks(order, A)]
    changed = [*own[:1], own[1][:-1] + bytes([own[1][-1] ^ 1])]
    answer = witnessed.ask(
        A, "journal.open", {**ask, "wrapped": witnessed.journals.wrapped(order, A), "blocks": changed}
    )
    assert answer.optional_text("refused") == "sealed_mismatch" and answer.integer("sequence") == 1
    assert witnessed.sign(wallet, (A, B)).signatures


def test_a_clock_of_the_hosts(witnessed: Witnessed, wallet: Wallet) -> None:
    for skew in (-100, 100):
        body = {**witnessed.sign_body(wallet, (A, B)), "at": int(time.time()) + skew}
        with refused("journal_clock"):
            witnessed.begin("sign.start", dict.fromkeys((A, B), body))


def test_two_signers_shown_two_intents(witnessed: Witnessed, wallet: Wallet) -> None:
    """Of one request, or of two. Each signer computes the ceremony's id from what it was shown, so that nothing of the
    one means anything to the other; and the witness speaks for what it was shown itself."""
    first = witnessed.intent(wallet)
    for second in (witnessed.intent(wallet), replace(first, payload=b"pay somebody else")):
        bodies = {name: witnessed.at(wallet, (A, B), intent) for name, intent in ((A, first), (B, second))}
        shown = Reserving(witnessed, bodies[B], witnessed.begin("sign.start", bodies))
        with shown:
            assert shown.run.steps[A].ceremony != shown.run.steps[B].ceremony
            shown.reserve(W, ceremony=shown.run.steps[A].ceremony)
            for name in (A, B):
                with refused("channel_link"):
                    shown.feed(name)
        assert witnessed.failed(wallet, (B, C), replace(second, payload=b"and a third")).code == "request_conflict"


def test_a_signer_that_was_away_hears_of_what_it_missed(witnessed: Witnessed) -> None:
    """C was asked for nothing while the others signed for two nonces. Then A is gone, and C has to sign the next."""
    witnessed.revive()
    wallet = witnessed.make(ECDSA)

    def intent(nonce: int) -> Intent:
        payload = replace(TRANSACTION, nonce=nonce).encode()
        return witnessed.intent(wallet, payload=payload)

    witnessed.sign(wallet, (A, B), intent=intent(0))
    for nonce in (1, 2):
        with witnessed.reserving(wallet, (A, B), intent(nonce)) as begun:
            begun.reserve(W).finish()
    witnessed.rest()
    witnessed.cluster.kill(A)
    assert witnessed.failed(wallet, (B, C), intent(4)).code == "nonce_gap"
    assert witnessed.sign(wallet, (B, C), intent=intent(3)).signers == (B, C)


def test_a_replacement_of_what_a_signer_never_heard_of(witnessed: Witnessed) -> None:
    witnessed.revive()
    wallet = witnessed.make(ECDSA)
    first = witnessed.intent(wallet)
    with witnessed.reserving(wallet, (A, B), first) as begun:
        begun.reserve(W).finish()
    witnessed.rest()
    witnessed.cluster.kill(A)
    payload = replace(TRANSACTION, max_fee=TRANSACTION.max_fee + 10**9).encode()
    other = witnessed.intent(wallet, payload=payload, replaces=first.request)
    assert witnessed.sign(wallet, (B, C), intent=other).signers == (B, C)
