"""A host between officers and signers: it keeps back, repeats, reorders, swaps and rewinds what they directed.

What it gains is written down with each attack. Never a signature under a policy that officers did not sign, nor
one by a set of which a single signer knows better.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest

from strongroom.chains.effects import ToSign
from strongroom.errors import Refusal
from strongroom.policy.directives import Directive, Freeze, Renewal
from strongroom.policy.document import Policy
from strongroom.policy.standing import View
from strongroom.wire.fields import Fields
from strongroom_client import directing, orders
from strongroom_host.relay.signing import SigningFailed
from strongroom_host.relay.wallets import OPERATIONS
from strongroom_host.storage.wallets import Wallet
from tests.attacks.custody import ED25519, Custody
from tests.attacks.hand import flipped, refused
from tests.policy.directing import successor

Document = Policy | Freeze | Renewal


def signed(custody: Custody, document: Document, officers: int = 2) -> Directive:
    return directing.sign(directing.unsigned(document), custody.officer_keys[:officers])


def give(custody: Custody, name: str, wallet: Wallet, directive: Directive, **changed: Any) -> Fields:
    body = {"wallet": wallet.body.wallet, "directive": directive.encode(), **changed}
    return custody.ask(name, OPERATIONS[directive.kind], body)


def view(fields: Fields) -> View:
    return View.parse(Fields.decode(fields.blob("standing"), "standing"))


def policy_of(wallet: Wallet) -> Policy:
    return wallet.signed_order.order.policy


def next_policy(wallet: Wallet, **changes: Any) -> Policy:
    return successor(policy_of(wallet), wallet.body.wallet, **changes)


def signs(custody: Custody, wallet: Wallet, names: tuple[str, ...], policy: Policy) -> bool:
    """Whether exactly this set signs what was asked for under this policy."""
    body = custody.sign_body(wallet, names, custody.intent(wallet, policy=policy.digest()))
    try:
        run = custody.begin("sign.start", dict.fromkeys(names, body))
    except Refusal as refusal:
        assert refusal.code in ("intent_mismatch", "policy_frozen"), refusal
        return False
    with run:
        return True


@pytest.fixture
def wallet(custody: Custody) -> Wallet:
    """Of one test alone: what officers direct stays."""
    return custody.make(ED25519)


A, B, C = "enclave-1", "enclave-2", "hsm-1"


def test_a_freeze_kept_from_some(custody: Custody, wallet: Wallet) -> None:
    """Whoever heard of it signs nothing any more; the others sign until their lease ends."""
    frozen = signed(custody, Freeze(wallet.body.wallet, 1), 1)
    assert view(give(custody, A, wallet, frozen)).frozen
    policy = policy_of(wallet)
    assert not signs(custody, wallet, (A, B), policy) and not signs(custody, wallet, (A, C), policy)
    assert signs(custody, wallet, (B, C), policy)
    give(custody, B, wallet, frozen)
    assert not signs(custody, wallet, (B, C), policy)


def test_two_signers_told_two_policies(custody: Custody, wallet: Wallet) -> None:
    """Both by the officers, as they changed their minds: no set of one and the other signs under either."""
    first, second = next_policy(wallet), next_policy(wallet, lease=86400)
    give(custody, A, wallet, signed(custody, first))
    give(custody, B, wallet, signed(custody, second))
    for policy in (first, second, policy_of(wallet)):
        assert not signs(custody, wallet, (A, B), policy)
    assert not signs(custody, wallet, (A, C), first) and not signs(custody, wallet, (B, C), second)


def test_out_of_order_and_again(custody: Custody, wallet: Wallet) -> None:
    second = next_policy(wallet)
    third = successor(second, wallet.body.wallet, lease=86400)
    with refused("policy_version", by=A):
        give(custody, A, wallet, signed(custody, third))
    give(custody, A, wallet, signed(custody, second))
    give(custody, A, wallet, signed(custody, third))
    for old in (second, next_policy(wallet, version=9)):
        with refused("policy_version", by=A):
            give(custody, A, wallet, signed(custody, old))
    assert view(give(custody, A, wallet, signed(custody, third))).version == 3


def test_a_renewal_of_what_was_replaced(custody: Custody, wallet: Wallet) -> None:
    """Kept back until its policy is gone, it is worth nothing."""
    renewal = signed(custody, Renewal(wallet.body.wallet, policy_of(wallet).digest(), int(time.time()) + 600))
    new = next_policy(wallet)
    give(custody, A, wallet, signed(custody, new))
    with refused("directive_mismatch", by=A):
        give(custody, A, wallet, renewal)
    assert view(give(custody, A, wallet, signed(custody, new))).leased == new.issued + new.lease


def test_a_directive_for_another_wallet(custody: Custody, wallet: Wallet) -> None:
    other = custody.make(ED25519)
    for document in (next_policy(wallet), Freeze(wallet.body.wallet, 1)):
        directive = signed(custody, document)
        with refused("directive_mismatch", by=A):
            give(custody, A, other, directive)
    with refused("directive_mismatch", by=A):
        give(custody, A, wallet, signed(custody, dataclasses.replace(next_policy(wallet), wallet=bytes(32))))


def test_a_changed_byte(custody: Custody, wallet: Wallet) -> None:
    """Anywhere in the policy: it is another document, or none."""
    directive = signed(custody, next_policy(wallet))
    for at in range(0, len(directive.body), 37):
        for name in (A, C):
            with pytest.raises(Refusal) as caught:
                give(custody, name, wallet, dataclasses.replace(directive, body=flipped(directive.body, at)))
            assert caught.value.kind in ("malformed", "refused")
    assert view(give(custody, A, wallet, directive)).version == 2


def test_too_few_officers_and_strangers(custody: Custody, wallet: Wallet) -> None:
    new = next_policy(wallet)
    one = signed(custody, new, 1)
    strangers = directing.sign(directing.unsigned(new), [custody.requester, custody.officer_keys[0]])
    orders_signature = orders.sign(custody.order(ED25519), custody.officer_keys[:2]).signatures
    for directive in (one, strangers, dataclasses.replace(one, signatures=orders_signature)):
        with refused("directive_not_signed", by=A):
            give(custody, A, wallet, directive)


def test_one_signer_is_given_its_older_record(breakable: Custody) -> None:
    """Restarted, it believes the order's policy in force: whoever signs with it knows better."""
    wallet = breakable.make(ED25519)
    new = next_policy(wallet, requesters=policy_of(wallet).requesters)
    older = give(breakable, A, wallet, signed(breakable, new)).blob("record")
    newest = successor(new, wallet.body.wallet)
    for name in (A, B, C):
        if name != A:
            give(breakable, name, wallet, signed(breakable, new))
        give(breakable, name, wallet, signed(breakable, newest))
    breakable.cluster.kill(A)
    breakable.cluster.restart(A)
    breakable.ask(A, "wallet.load", {"record": breakable.record(wallet, A), "body": wallet.body_bytes})
    loaded = breakable.ask(A, "policy.load", {"wallet": wallet.body.wallet, "record": older})
    assert view(loaded).version == 2
    intent = breakable.intent(wallet, policy=new.digest())
    for peer in (B, C):
        with pytest.raises(SigningFailed) as failed:
            breakable.send(wallet, intent, [ToSign(b"")], (A, peer))
        assert {each.code for each in failed.value.refusals.values()} >= {"intent_mismatch"}
    record = give(breakable, A, wallet, signed(breakable, newest)).blob("record")
    with refused("sealed_mismatch", by=B):
        breakable.ask(B, "policy.load", {"wallet": wallet.body.wallet, "record": record})
    signature = breakable.intent(wallet, policy=newest.digest())
    assert breakable.sign(wallet, intent=signature).signers
