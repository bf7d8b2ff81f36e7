"""Old disks, copies and withheld answers, against the journals of real signers and a witness; and the limit that holds.

Four journals, t = 2: w = 3 acknowledge, and a restarted one hears r = 3 others. What a corrupt journal adds to it is in
tests/journal, where one can be written.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from strongroom.chains.evm import Transaction
from strongroom.errors import Refusal
from strongroom.intent.intent import Intent
from strongroom.policy.document import Policy
from strongroom.policy.terms import Window
from strongroom_client.cluster.cluster import Cluster
from strongroom_host.relay.signing import Signed, SigningFailed
from strongroom_host.storage.wallets import Wallet
from tests.attacks.custody import CHAIN_ID, ECDSA, ED25519, RECIPIENT, Custody
from tests.journal.world import refused

A, B, C, W = "enclave-1", "enclave-2", "hsm-1", "witness-1"
ALL = (A, B, C, W)
COUNT = 4


class Witnessed(Custody):
    """Each wallet of this host's lets four messages, or payments, go in an hour."""

    def policy(self) -> Policy:
        return replace(super().policy(), windows=(Window(3600, count=COUNT),))

    def journal(self, wallet: Wallet, name: str) -> dict[str, Any]:
        rows = [row for row in self.status(name).wallets if row["wallet"] == wallet.body.wallet]
        assert len(rows) == 1 and isinstance(rows[0]["journal"], dict)
        return rows[0]["journal"]

    def blocks(self, wallet: Wallet, name: str) -> int:
        return len(self.journals.blocks(wallet.signed_order.order_id, name))

    def roll_back(self, wallet: Wallet, blocks: dict[str, int], *names: str) -> None:
        """These are started again, on the disk of that time."""
        self.rest()
        for name in names:
            self.journals.cut(wallet.signed_order.order_id, name, blocks[name])
            self.cluster.restart(name)

    def all_blocks(self, wallet: Wallet) -> dict[str, int]:
        return {name: self.blocks(wallet, name) for name in ALL}

    def failed(self, wallet: Wallet, names: Sequence[str] | None = None, intent: Intent | None = None) -> Refusal:
        with pytest.raises(SigningFailed) as caught:
            self.sign(wallet, names, intent=intent)
        return caught.value.cause


@pytest.fixture(scope="module")
def witnessed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witnessed]:
    folder = tmp_path_factory.mktemp("witnessed")
    with Cluster(folder, witnesses=1, chain=False, host=False) as cluster, Witnessed(cluster) as custody:
        yield custody


@pytest.fixture
def wallet(witnessed: Witnessed) -> Wallet:
    """A new one for each test: what is reserved stays so. All of the cluster is up."""
    for name in ALL:
        witnessed.cluster.resume(name)
        if not witnessed.cluster.process(name).running:
            witnessed.cluster.restart(name)
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


def test_both_sides_of_a_nonce(witnessed: Witnessed) -> None:
    """A payment whose signature was kept, and another one with its nonce: only a replacement that pays more and does
    the same is signed, and it is counted once."""
    wallet = witnessed.make(ECDSA)

    def intent(value: int, fee: int, nonce: int = 7, replaces: bytes | None = None) -> Intent:
        transaction = Transaction(CHAIN_ID, nonce, 10**9, fee, 21_000, RECIPIENT, value)
        return witnessed.intent(wallet, payload=transaction.encode(), request=os.urandom(16), replaces=replaces)

    first = intent(10**15, 2 * 10**9)
    witnessed.sign(wallet, (A, B), intent=first)
    for other in (
        intent(10**14, 2 * 10**9),
        intent(10**15, 3 * 10**9),
        intent(10**14, 3 * 10**9, replaces=first.request),
        intent(10**15, 2 * 10**9, replaces=first.request),
    ):
        assert witnessed.failed(wallet, (B, C), other).code == "journal_conflict"
    assert witnessed.failed(wallet, (A, C), intent(1, 2 * 10**9, nonce=9)).code == "nonce_gap"
    replaced: Signed = witnessed.sign(wallet, (A, C), intent=intent(10**15, 3 * 10**9, replaces=first.request))
    assert replaced.signers == (A, C)
