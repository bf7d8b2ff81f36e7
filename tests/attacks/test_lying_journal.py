"""One signer's disk is restored while another signer lies: w - t = 1, so the limit holds. With one more it does not.

The liar holds a share and a journal like any other. It helps the host wherever it can: it acknowledges everything,
remembers nothing, and tells whoever asks that nothing ever happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from strongroom.intent.intent import Intent
from strongroom_host.storage.wallets import Wallet
from tests.attacks.corrupt import corrupted
from tests.attacks.custody import ED25519
from tests.attacks.hand import Letter, refused
from tests.attacks.liar import Liar
from tests.attacks.witnessed import COUNT, A, B, C, W, Witnessed


@dataclass(frozen=True)
class Spent:
    """A wallet whose limit is spent: A, the witness and the liar know it, C was never asked but for the first payment.
    before: blocks of each at that time."""

    wallet: Wallet
    liar: Liar
    first: Intent
    before: dict[str, int]


@pytest.fixture
def spent(witnessed: Witnessed) -> Iterator[Spent]:
    witnessed.revive()
    wallet = witnessed.make(ED25519)
    with corrupted(witnessed, B) as corrupt:
        witnessed.sign(wallet, (A, B))
        before = witnessed.all_blocks(wallet)
        first = witnessed.intent(wallet)
        for intent in (first, *(witnessed.intent(wallet) for _ in range(COUNT - 2))):
            with witnessed.reserving(wallet, (A, B), intent) as begun:
                begun.reserve(W).finish()

        def digest(name: str) -> bytes:
            said = witnessed.journal(wallet, name)["digest"]
            assert isinstance(said, bytes)
            return said

        yield Spent(wallet, Liar(corrupt, wallet.signed_order.order_id, digest), first, before)
        witnessed.rest()


def rolled_back(witnessed: Witnessed, spent: Spent, *names: str) -> None:
    """To the first of four payments; with channels, and no joining yet."""
    spent.liar.begin()
    witnessed.roll_back(spent.wallet, spent.before, *names)
    group = witnessed.group(spent.wallet)
    for name in names:
        witnessed.relay.load(group, name)
        witnessed.relay.keeper.open(group, name)


def hears(witnessed: Witnessed, spent: Spent, name: str, *peers: str) -> bool:
    """Whether it has joined after it heard these."""
    group = witnessed.group(spent.wallet)
    return [witnessed.relay.keeper.exchange(group, name, peer) for peer in peers][-1]


def paid(witnessed: Witnessed, spent: Spent, intent: Intent) -> None:
    """By A and the liar, which acknowledges; with C or the witness, whichever helps. Raises A's Refusal."""
    with witnessed.reserving(spent.wallet, (A, B), intent) as begun:
        letter: Letter = (B, spent.liar.acknowledge(begun.ceremony, A, intent))
        begun.reserve(C)
        begun.run.feed(A, acknowledged=[*begun.box(A), letter])


def test_one_disk_and_a_liar(witnessed: Witnessed, spent: Spent) -> None:
    """A hears of what it forgot from the witness, and before that it acknowledges nothing: w - t = 1 is withstood."""
    rolled_back(witnessed, spent, A)
    assert not hears(witnessed, spent, A, B, C)
    with refused("not_joined", by=A):
        paid(witnessed, spent, witnessed.intent(spent.wallet))
    assert hears(witnessed, spent, A, W)
    assert witnessed.journal(spent.wallet, A)["entries"] == COUNT
    with refused("policy_velocity", by=A):
        paid(witnessed, spent, witnessed.intent(spent.wallet))
    with refused("request_conflict", by=A):
        paid(witnessed, spent, replace(spent.first, payload=b"another"))


def test_the_other_signer_and_a_liar(witnessed: Witnessed, spent: Spent) -> None:
    """C never heard of the payments, and nothing was rolled back: one liar is not enough to make w for it."""
    spent.liar.begin()
    intent = witnessed.intent(spent.wallet)
    with witnessed.reserving(spent.wallet, (B, C), intent) as begun:
        letter: Letter = (B, spent.liar.acknowledge(begun.ceremony, C, intent))
        for name in (A, W):
            with refused("policy_velocity", by=name):
                begun.reserve(name)
        with refused("journal_quorum", by=C):
            begun.run.feed(C, acknowledged=[letter])


def test_one_disk_more_and_a_liar(witnessed: Witnessed, spent: Spent) -> None:
    """What docs/journal-counterexample.txt shows, with real signers: w - t + 1 forgot, t - 1 lies, and nobody is left
    who knows. The limit is passed: whoever operates it must not let two be rolled back together."""
    rolled_back(witnessed, spent, A, W)
    for name, other in ((A, W), (W, A)):
        assert hears(witnessed, spent, name, B, C, other)
    assert [witnessed.journal(spent.wallet, name)["entries"] for name in (A, C, W)] == [1, 1, 1]
    for _ in range(COUNT - 1):
        witnessed.sign(spent.wallet, (A, C))
