"""What only time ends: connections in which nothing follows, and a ceremony that nobody feeds. The last module of the
session's, since it waits for what was begun with the first."""

from __future__ import annotations

import select
import time

import pytest

from strongroom.errors import Refusal
from strongroom.signer.ceremonies import MAX_IDLE
from strongroom_host.storage.wallets import Wallet
from tests.attacks.custody import Custody
from tests.attacks.lingering import A, C, Lingering


@pytest.mark.parametrize("kind", ["no greeting", "half a greeting", "half a header", "half a frame"])
def test_a_connection_in_which_nothing_follows(lingering: Lingering, kind: str) -> None:
    """It is closed, and frees its place."""
    for wire in lingering.wires[kind]:
        assert wire.answer() is None


def test_messages_after_a_ceremonys_end(custody: Custody, ed25519: Wallet, lingering: Lingering) -> None:
    """Late ones, honest ones: whoever gets them has ended the ceremony, and no contribution comes of it."""
    while any(custody.status(name).clock <= lingering.since + MAX_IDLE + 1 for name in (A, C)):
        select.select([], [], [], 0.2)
    for name in (A, C):
        with pytest.raises(Refusal) as caught:
            lingering.run.feed(name)
        # Another ceremony's start may have swept it away already.
        assert caught.value.code in ("ceremony_expired", "unknown_ceremony")
        with pytest.raises(Refusal) as caught:
            lingering.run.feed(name)
        assert caught.value.code == "unknown_ceremony"


def test_an_intent_that_expires_before_it_is_signed(custody: Custody, ed25519: Wallet) -> None:
    """Good for two seconds: then refused, by the signers' own clocks."""
    intent = custody.intent(ed25519, expiry=int(time.time()) + 2)
    body = custody.sign_body(ed25519, (A, C), intent)
    while any(custody.status(name).clock < intent.expiry for name in (A, C)):
        select.select([], [], [], 0.1)
    for name in (A, C):
        with pytest.raises(Refusal) as caught:
            custody.start(name, "sign.start", body | {"tickets": list(custody.tickets((A, C))), "attempt": 1})
        assert caught.value.code == "intent_expired"
