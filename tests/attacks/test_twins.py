"""One sealed state that is booted twice: both starts are measured alike and hold the same share, and the host asks now
the one and now the other. Each takes a number of its own when it joins, and the lower one is not believed any more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from strongroom.errors import Refusal
from strongroom_client.cluster.process import Process
from strongroom_host.relay.signing import SigningFailed
from strongroom_host.storage.wallets import Wallet
from tests.attacks.custody import ECDSA, ED25519, Ask
from tests.attacks.hand import refused
from tests.attacks.twin import twin, twin_socket
from tests.attacks.witnessed import COUNT, A, B, C, W, Witnessed


@pytest.fixture(scope="module")
def second(witnessed: Witnessed) -> Iterator[Process]:
    witnessed.revive()
    with twin(witnessed.cluster, A) as process:
        yield process
    witnessed.rest()


@pytest.fixture
def other(witnessed: Witnessed, second: Process) -> Iterator[Witnessed]:
    """The same host, when it asks the second start: wallets, journals and all other signers are the same."""
    with Witnessed(witnessed.cluster, {A: twin_socket(witnessed.cluster, A)}) as custody:
        yield custody
        custody.rest()


@pytest.fixture
def wallet(witnessed: Witnessed, second: Process) -> Wallet:
    witnessed.revive()
    return witnessed.make(ED25519)


def attempts(hosts: Sequence[Witnessed], wallet: Wallet) -> list[str]:
    """Twice as many payments as the limit allows, of now the one and now the other with another peer each time; what
    became of each."""
    became = []
    for number in range(2 * COUNT):
        names = (A, (B, C)[number // 2 % 2])
        try:
            hosts[number % 2].sign(wallet, names)
            became.append("signed")
        except SigningFailed as failed:
            became.append(failed.cause.code)
    return became


def test_the_first_start_is_not_believed_once_the_second_has_joined(
    witnessed: Witnessed, other: Witnessed, wallet: Wallet
) -> None:
    """Whatever channels the host gives it. And it learns of the second from whomever it asks, and steps down."""
    first = witnessed.journal(wallet, A)["incarnation"]
    group = witnessed.group(wallet)
    other.relay.load(group, A)
    other.relay.keeper.open(group, A)
    other.relay.keeper.join(group, A)
    assert other.journal(wallet, A)["incarnation"] > first == witnessed.journal(wallet, A)["incarnation"]
    order = wallet.signed_order.order_id
    witnessed.relay.handshakes.open(order, [(A, peer) for peer in (B, C, W)])
    intent = witnessed.intent(wallet)
    with witnessed.reserving(wallet, (B, C), intent) as begun:
        begun.reserve(A)
        with refused("journal_superseded", by=B, culprits=(A,)):
            begun.feed(B)
    with witnessed.reserving(wallet, (A, B), intent) as begun:
        begun.reserve(W)
        with refused("journal_superseded", by=B, culprits=(A,)):
            begun.feed(B)
    asked: Ask = {"wallet": wallet.body.wallet, "peer": W}
    question = witnessed.ask(A, "journal.ask", asked).blob("message")
    told = witnessed.ask(W, "journal.tell", {**asked, "peer": A, "message": question}).blob("message")
    assert not witnessed.ask(A, "journal.hear", {**asked, "message": told}).flag("heard")
    with refused("not_joined", by=A):
        witnessed.reserving(wallet, (A, B))


def test_two_starts_spend_what_one_may(witnessed: Witnessed, other: Witnessed, wallet: Wallet) -> None:
    """The host mends whatever stands in the way: so each is believed in turn, and has heard of all before."""
    became = attempts((witnessed, other), wallet)
    assert became == ["signed"] * COUNT + ["policy_velocity"] * COUNT


def test_a_copy_of_an_older_state(witnessed: Witnessed, other: Witnessed, wallet: Wallet) -> None:
    """The second start is given the disk as it was, while the first runs and knows better."""
    before = witnessed.all_blocks(wallet)
    intent = witnessed.intent(wallet)
    witnessed.sign(wallet, (A, B), intent=intent)
    for _ in range(COUNT - 1):
        witnessed.sign(wallet, (A, C))
    witnessed.journals.cut(wallet.signed_order.order_id, A, before[A])
    assert other.failed(wallet, (A, C), replace(intent, payload=b"another")).code == "request_conflict"
    assert other.failed(wallet, (A, B)).code == "policy_velocity"
    assert other.sign(wallet, (A, C), intent=intent).signatures


def test_two_starts_that_join_at_once(witnessed: Witnessed, other: Witnessed, wallet: Wallet) -> None:
    """Both are restarts of one disk, and propose one number: whoever noted the one start does not note the other."""
    peers = (B, C, W)
    hosts = (witnessed, other)
    witnessed.rest()
    witnessed.cluster.restart(A)
    group = witnessed.group(wallet)
    for host in hosts:
        host.relay.load(group, A)
        host.relay.keeper.open(group, A)
    for number in range(12):
        host, peer = hosts[number % 2], peers[number // 2 % 3]
        try:
            host.relay.keeper.exchange(group, A, peer)
        except Refusal as refusal:
            assert refusal.code in ("not_joined", "channel_link", "channel_missing", "journal_behind"), refusal
    joined = [host.journal(wallet, A) for host in hosts]
    numbers = [each["incarnation"] for each in joined if each["joined"]]
    assert len(set(numbers)) == len(numbers)
    became = attempts(hosts, wallet)
    assert became.count("signed") == COUNT and set(became[-2:]) == {"policy_velocity"}


def test_two_starts_pair_anew_and_nobody_is_accused(witnessed: Witnessed, other: Witnessed) -> None:
    """What a pair set up is never sealed: each start has its own, and a peer that was paired with the other one says so
    before anything is computed. A ban would be for ever."""
    wallet = witnessed.make(ECDSA)
    intent = witnessed.intent(wallet)
    for host in (witnessed, other, witnessed):
        # By A and B, or with C where the channels of the two starts crossed: B may have to do without A then.
        assert host.sign(wallet, (A, B), intent=intent).signatures
    # With one start left to itself the pair signs again, which it never would after a ban.
    assert any(witnessed.sign(wallet, (A, B), intent=intent).signers == (A, B) for _ in range(4))
