"""The host keeps a signature, says that its ceremony was aborted, and asks for the payment again: in other bytes, as
another request, with other inputs. What was signed for once is never free again, and never counted twice."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from strongroom.chains import evm
from strongroom.channel import bundle
from strongroom.intent.decoding import decode
from strongroom.intent.intent import Intent
from strongroom.policy.document import Fee, Policy
from strongroom.policy.rules import Rule
from strongroom.policy.terms import Window
from strongroom_host.storage.wallets import Wallet
from tests.attacks.custody import CONTRACT, ECDSA, RECIPIENT, TRANSACTION, verifies
from tests.attacks.witnessed import COUNT, A, B, C, W, Witnessed
from tests.chains.bitcoin_cases import PAID, Coin, coin, draft

PAIRS = ((A, B), (B, C), (A, C))
NETWORK = "bitcoin:regtest"
COIN = f"{NETWORK}/native"
SATOSHI = 2000
"""That may go within the window."""


def kept(witnessed: Witnessed, wallet: Wallet, intent: Intent) -> None:
    """A and B sign, and the host has the signature. Both are told to forget the ceremony."""
    to_sign = decode(intent, wallet.body.keys).to_sign
    order = wallet.signed_order.order
    with witnessed.reserving(wallet, (A, B), intent) as begun:
        steps = begun.reserve(C).reserve(W).finish()
    contributions = [(order.index(name), step.result or b"") for name, step in steps.items()]
    made = bundle.combine(order.scheme, wallet.body.package, begun.ceremony, to_sign, contributions)
    for each, signature in zip(to_sign, made, strict=True):
        assert verifies(wallet.body, each.message, signature, each.path)


def require_conflict(witnessed: Witnessed, wallet: Wallet, *intents: Intent) -> None:
    """Whichever signers are asked."""
    for intent in intents:
        for names in PAIRS:
            assert witnessed.failed(wallet, names, intent).code == "journal_conflict"


# --- EVM: one nonce ---


@pytest.fixture
def wallet(witnessed: Witnessed) -> Wallet:
    witnessed.revive()
    return witnessed.make(ECDSA)


def payment(witnessed: Witnessed, wallet: Wallet, replaces: bytes | None = None, **changed: object) -> Intent:
    payload = replace(TRANSACTION, **{"nonce": 7, **changed}).encode()  # type: ignore[arg-type]
    return witnessed.intent(wallet, payload=payload, request=os.urandom(16), replaces=replaces)


@pytest.mark.parametrize("how", ["replaced", "cancelled"])
def test_a_nonce_that_was_signed_for(witnessed: Witnessed, wallet: Wallet, how: str) -> None:
    first = payment(witnessed, wallet)
    kept(witnessed, wallet, first)
    dearer = TRANSACTION.max_fee + 10**9
    require_conflict(
        witnessed,
        wallet,
        payment(witnessed, wallet),
        payment(witnessed, wallet, value=TRANSACTION.value - 1),
        payment(witnessed, wallet, max_fee=dearer),
        payment(witnessed, wallet, first.request),
        payment(witnessed, wallet, first.request, value=TRANSACTION.value - 1, max_fee=dearer),
        payment(witnessed, wallet, os.urandom(16), max_fee=dearer),
    )
    stranger = payment(witnessed, wallet, first.request, to=CONTRACT, value=0, max_fee=dearer)
    assert witnessed.failed(wallet, (A, C), stranger).code == "policy_recipient"
    other = replace(first, payload=payment(witnessed, wallet, max_fee=dearer).payload)
    assert witnessed.failed(wallet, (A, C), other).code == "request_conflict"
    assert witnessed.failed(wallet, (A, C), payment(witnessed, wallet, nonce=9)).code == "nonce_gap"
    # The very bytes again, and what the chain takes in their place: both of them together count once.
    witnessed.sign(wallet, (B, C), intent=first)
    to = evm.address(wallet.body.keys.key(())) if how == "cancelled" else RECIPIENT
    value = 0 if how == "cancelled" else TRANSACTION.value
    witnessed.sign(wallet, (A, C), intent=payment(witnessed, wallet, first.request, to=to, value=value, max_fee=dearer))
    for number in range(1, COUNT):
        witnessed.sign(wallet, PAIRS[number % 3], intent=payment(witnessed, wallet, nonce=7 + number))
    for names in PAIRS:
        last = payment(witnessed, wallet, nonce=7 + COUNT)
        assert witnessed.failed(wallet, names, last).code == "policy_velocity"


# --- Bitcoin: a shared input ---


def policy(witnessed: Witnessed) -> Policy:
    usual = witnessed.policy()
    return replace(
        usual,
        chains=tuple(sorted((NETWORK, *usual.chains))),
        rules=(Rule("coins", "transfer", assets=(COIN,), to=None, most=None), *usual.rules),
        fees=tuple(sorted((Fee(COIN, 10**6), *usual.fees), key=lambda fee: fee.asset)),
        windows=(Window(3600, amount=SATOSHI, asset=COIN),),
    )


def test_an_input_that_was_signed_for(witnessed: Witnessed) -> None:
    """Two coins pay 1500 of 2000 that may go. Asked for again with one of them and another one."""
    witnessed.revive()
    wallet = witnessed.create(witnessed.signed(witnessed.order(ECDSA, policy=policy(witnessed))))
    keys = wallet.body.keys
    one, two, three, four = (coin(keys, 1000, (0, at), at) for at in range(4))

    def spend(*coins: Coin, pay: int = 1500, script: bytes = PAID, replaces: bytes | None = None) -> Intent:
        return witnessed.intent(
            wallet,
            kind="bitcoin-psbt",
            chain=NETWORK,
            payload=draft(keys, list(coins), [(pay, script)]).payload(),
            replaces=replaces,
        )

    first = spend(one, two)
    kept(witnessed, wallet, first)
    elsewhere = keys.script((9, 9))[:-1] + b"\x01"
    require_conflict(
        witnessed,
        wallet,
        spend(one, three),
        spend(one, two),
        spend(two, three, four),
        spend(one, three, replaces=first.request),
        spend(one, three, four, script=elsewhere, replaces=first.request),
        spend(three, four, replaces=first.request),
    )
    witnessed.sign(wallet, (B, C), intent=first)
    witnessed.sign(wallet, (A, C), intent=spend(one, three, four, replaces=first.request))
    five, six = (coin(keys, 1000, (0, at), at) for at in (5, 6))
    for names in PAIRS:
        assert witnessed.failed(wallet, names, spend(five, pay=SATOSHI - 1500 + 1)).code == "policy_velocity"
    witnessed.sign(wallet, (B, C), intent=spend(six, pay=SATOSHI - 1500))
