"""A Bitcoin transaction in the place of another one that shares an input with it, through signers and a witness."""

from __future__ import annotations

import dataclasses

import pytest

from strongroom.chains.bitcoin.transaction import Transaction
from strongroom.chains.effects import ToSign
from strongroom.intent.finishing import finish
from strongroom.intent.intent import Intent
from strongroom.intent.replacing import require_replacement
from strongroom.policy.terms import Window
from tests.chains.bitcoin_cases import PAID, Coin, Paid, coin, draft
from tests.chains.bitcoin_chain import interpreter_takes
from tests.journal.world import refused
from tests.signer.wide import BITCOIN, asked, policy
from tests.signer.witnessed import Witnessed
from tests.wallet.orders import TAPROOT

PAIR, OTHER_PAIR = ("a", "b"), ("b", "c")


@pytest.fixture
def cluster() -> Witnessed:
    """Two payments may go in an hour."""
    return Witnessed(TAPROOT, policy=dataclasses.replace(policy(), windows=(Window(3600, count=2),)))


def paying(cluster: Witnessed, coins: list[Coin], *outputs: Paid, replaces: Intent | None = None) -> Intent:
    payload = draft(cluster.keys, coins, list(outputs)).payload()
    named = None if replaces is None else replaces.request
    return asked(cluster, "bitcoin-psbt", payload, BITCOIN, replaces=named)


def signed(cluster: Witnessed, intent: Intent, names: tuple[str, ...], coins: list[Coin]) -> Transaction:
    """Which Bitcoin Core's own interpreter takes."""
    signing = cluster.reserving(intent, names).reserve("w")
    signing.turn()
    to_sign: tuple[ToSign, ...] = cluster.to_sign(intent)
    signatures = cluster.all_combined(signing.run.finish(), to_sign)
    done = Transaction.decode(finish(intent, cluster.keys, signatures).raw)
    assert interpreter_takes(done, [each.output for each in coins])
    return done


def test_the_same_with_more_of_a_fee_from_the_change_counted_once(cluster: Witnessed) -> None:
    """By another pair, with one coin more: it shares an input with what it replaces."""
    first, second = coin(cluster.keys, 1000, (), 0), coin(cluster.keys, 500, (), 1)
    old = paying(cluster, [first], (700, PAID), (280, ()))
    faster = paying(cluster, [first, second], (700, PAID), (700, ()), replaces=old)
    require_replacement(faster, old, cluster.order, cluster.keys)
    before = signed(cluster, old, PAIR, [first])
    cluster.level()
    after = signed(cluster, faster, OTHER_PAIR, [first, second])
    assert before.inputs[0].outpoint == after.inputs[0].outpoint and before.outputs[0] == after.outputs[0]
    cluster.level()
    third = coin(cluster.keys, 1000, (), 3)
    signed(cluster, paying(cluster, [third], (700, PAID)), PAIR, [third])
    cluster.level()
    with refused("policy_velocity"):
        cluster.reserving(paying(cluster, [coin(cluster.keys, 1000, (), 4)], (1, PAID)), PAIR)


def test_all_of_it_back_to_the_wallet_cancels(cluster: Witnessed) -> None:
    spent = coin(cluster.keys, 1000, (), 0)
    old = paying(cluster, [spent], (700, PAID), (280, ()))
    signed(cluster, old, PAIR, [spent])
    cluster.level()
    cancel = paying(cluster, [spent], (900, ()), replaces=old)
    require_replacement(cancel, old, cluster.order, cluster.keys)
    (output,) = signed(cluster, cancel, OTHER_PAIR, [spent]).outputs
    assert output.script == cluster.keys.script(())


def test_what_replaces_nothing_and_what_pays_too_little(cluster: Witnessed) -> None:
    spent, other = (coin(cluster.keys, 1000, (), seed) for seed in (0, 1))
    old = paying(cluster, [spent], (700, PAID), (280, ()))
    signed(cluster, old, PAIR, [spent])
    cluster.level()
    for intent in (
        paying(cluster, [spent], (700, PAID), (250, ())),
        paying(cluster, [spent], (700, PAID), (280, ()), replaces=old),
        paying(cluster, [spent], (701, PAID), (200, ()), replaces=old),
        paying(cluster, [other], (700, PAID), (200, ()), replaces=old),
    ):
        with refused("journal_conflict"):
            cluster.reserving(intent, OTHER_PAIR)
        if intent.replaces is not None:
            # Whoever asks knows before.
            with refused("journal_conflict"):
                require_replacement(intent, old, cluster.order, cluster.keys)
