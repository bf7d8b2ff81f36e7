"""Clocks that differ by hours: who agrees signs, who does not is not believed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from strongroom.policy.directives import Renewal
from strongroom_client import directing
from strongroom_host.relay.signing import SigningFailed
from strongroom_host.storage.wallets import Wallet
from tests.attacks.custody import ECDSA, ED25519, Custody
from tests.attacks.hand import refused

A, B, C = "enclave-1", "enclave-2", "hsm-1"
HOURS = 3600


@pytest.fixture(scope="module")
def leased(breakable: Custody) -> Wallet:
    """Its policy is in force for an hour, unless officers renew it."""
    policy = replace(breakable.policy(), lease=HOURS)
    return breakable.create(breakable.signed(breakable.order(ED25519, policy=policy)))


@pytest.fixture(scope="module")
def later(breakable: Custody, leased: Wallet) -> Iterator[Custody]:
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


def test_a_freeze_that_is_kept_back_lasts_as_long_as_the_lease(later: Custody, leased: Wallet) -> None:
    """The host shows nobody what an officer signed. Once the lease is over nobody signs anyway, by the enclaves' clock;
    and a host that has nothing to show for it cannot lengthen it."""
    intent = later.intent(leased, expiry=int(time.time()) + 5 * HOURS + 600)
    with pytest.raises(SigningFailed) as failed:
        later.sign(leased, (A, B), intent=intent)
    assert failed.value.cause.code == "policy_lease"
    renewal = Renewal(leased.body.wallet, leased.policy, intent.expiry)
    for keys in ([later.requester], later.officer_keys[:1]):
        directive = directing.sign(directing.unsigned(renewal), keys).encode()
        with refused("directive_not_signed", by=A):
            later.ask(A, "policy.renew", {"wallet": leased.body.wallet, "directive": directive})
    directive = directing.sign(directing.unsigned(renewal), later.officer_keys[:2]).encode()
    for name in (A, B):
        later.ask(name, "policy.renew", {"wallet": leased.body.wallet, "directive": directive})
    assert later.sign(leased, (A, B), intent=intent).signers == (A, B)
