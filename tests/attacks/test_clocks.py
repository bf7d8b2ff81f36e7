"""Clocks that differ by hours: who agrees signs, who does not is not believed."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.attacks.custody import ECDSA, ED25519, Custody
from tests.attacks.hand import refused

A, B, C = "enclave-1", "enclave-2", "hsm-1"
HOURS = 3600


@pytest.fixture(scope="module")
def later(breakable: Custody) -> Iterator[Custody]:
    """Five hours have passed for AWS and its enclaves, which slept; the machine beside the HSM says otherwise."""
    for scheme in (ED25519, ECDSA):
        breakable.wallet(scheme)
    offset = breakable.cluster.plan.clock_offset
    offset.write_text(str(5 * HOURS))
    for name in (A, B):
        breakable.cluster.restart(name)
    yield breakable
    offset.unlink()
    for name in (A, B):
        breakable.cluster.restart(name)
    breakable.require_intact(breakable.wallet(ED25519))


def test_signers_whose_clocks_are_hours_apart(later: Custody) -> None:
    """The two that agree open their shares, shake hands and sign. The third takes no evidence from the future, and is
    not believed either."""
    now = int(time.time()) + 5 * HOURS
    for scheme in (ED25519, ECDSA):
        wallet = later.wallet(scheme)
        intent = later.intent(wallet, expiry=now + 600)
        assert later.sign(wallet, (A, B), intent=intent).signers == (A, B)
    order = later.wallet(ED25519).signed_order.order_id
    with refused("evidence_expired", by=C):
        later.relay.handshakes.open(order, [(C, A)])


def test_the_hosts_idea_of_time_is_nobodys(later: Custody) -> None:
    """An intent that is good by the host's clock is long over by the enclaves'."""
    wallet = later.wallet(ED25519)
    intent = later.intent(wallet)
    later.sign(wallet, (A, B), intent=later.intent(wallet, expiry=intent.expiry + 5 * HOURS))
    for name in (A, B):
        body = later.sign_body(wallet, (A, B), intent) | {"tickets": list(later.tickets((A, B))), "attempt": 1}
        with refused("intent_expired", by=name):
            later.start(name, "sign.start", body)
