"""Officers' directives at a signer: judged by at once, kept over a restart, attested, and taken from nobody else."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import pytest

from strongroom.errors import Refusal
from strongroom.evidence.statement import require_binding
from strongroom.evidence.verify import verify
from strongroom.policy.directives import Freeze, NextOfficers, Renewal
from strongroom.policy.document import Policy
from strongroom.policy.standing import View, standing_user_data
from strongroom.wire.fields import Fields
from tests.policy.directing import next_officers, sign, successor
from tests.signer.cluster import NOW, Answer, Cluster, loaded
from tests.wallet.orders import OFFICER_KEYS
from tests.wire.refused import refused

PAIR = ("a", "b")
KEYS = tuple(OFFICER_KEYS)
OPERATIONS = {
    Policy: "policy.install",
    NextOfficers: "policy.install",
    Renewal: "policy.renew",
    Freeze: "policy.freeze",
}

Document = Policy | Renewal | Freeze | NextOfficers


def direct(cluster: Cluster, name: str, document: Document, **changes: Any) -> Answer:
    directive = sign(document, changes.pop("signers", KEYS[:2])).encode()
    body = {"wallet": cluster.wallet, "directive": directive, **changes}
    return cluster[name].call(OPERATIONS[type(document)], **body)


def view(answer: Answer) -> View:
    return View.parse(Fields.decode(answer["standing"], "standing"))


def under(cluster: Cluster, policy: Policy) -> Any:
    return cluster.intent(policy=policy.digest())


def test_a_new_policy_judges_what_comes_next() -> None:
    """And an intent made under the old one is not signed any more."""
    cluster = loaded()
    old = cluster.order.policy
    new = successor(old, cluster.wallet, requesters=old.requesters[:1])
    cluster.signing(under(cluster, old), PAIR).start("a")
    refused("intent_mismatch", cluster.signing(under(cluster, new), PAIR).start, "a")
    answer = view(direct(cluster, "a", new))
    assert (answer.version, answer.policy, answer.frozen) == (2, new.digest(), False)
    refused("intent_mismatch", cluster.signing(under(cluster, old), PAIR).start, "a")
    cluster.signing(under(cluster, new), PAIR).start("a")


def test_a_signer_refuses_what_is_older() -> None:
    cluster = loaded()
    old = cluster.order.policy
    second = successor(old, cluster.wallet)
    direct(cluster, "a", second)
    refused("policy_version", direct, cluster, "a", successor(old, cluster.wallet, frozen=True))
    direct(cluster, "a", successor(second, cluster.wallet))
    refused("policy_version", direct, cluster, "a", second)


def test_a_freeze_counts_at_once_and_without_a_sealer() -> None:
    """KMS may be gone when it matters most."""
    cluster = loaded()
    cluster["a"].sealer.fails = Refusal("sealer_unavailable", "KMS is gone")
    refused("sealer_unavailable", direct, cluster, "a", Freeze(cluster.wallet, 1), signers=KEYS[:1])
    refused("policy_frozen", cluster.signing(cluster.intent(), PAIR).start, "a")
    cluster["a"].sealer.fails = None
    assert view(direct(cluster, "a", Freeze(cluster.wallet, 1), signers=KEYS[:1])).frozen
    cluster.signing(cluster.intent(), PAIR).start("b")


def test_the_lease_runs_out_unless_it_is_renewed() -> None:
    cluster = loaded()
    short = successor(cluster.order.policy, cluster.wallet, issued=NOW, lease=100)
    for name in PAIR:
        direct(cluster, name, short)
    cluster["a"].clock.time += 99
    cluster.signing(under(cluster, short), PAIR).start("a")
    cluster["a"].clock.time += 1
    refused("policy_lease", cluster.signing(under(cluster, short), PAIR).start, "a")
    renewed = Renewal(cluster.wallet, short.digest(), NOW + 150)
    assert view(direct(cluster, "a", renewed)).leased == NOW + 150
    cluster.signing(under(cluster, short), PAIR).start("a")
    cluster["a"].clock.time += 50
    refused("policy_lease", cluster.signing(under(cluster, short), PAIR).start, "a")
    refused("policy_lease", direct, cluster, "a", renewed)


def test_the_timelock_is_by_the_signers_clock() -> None:
    cluster = loaded()
    slow = successor(cluster.order.policy, cluster.wallet, timelock=100)
    direct(cluster, "a", slow)
    waiting = successor(slow, cluster.wallet)
    answer = view(direct(cluster, "a", waiting))
    assert answer.version == 2 and answer.waiting == ((3, waiting.digest(), NOW + 100),)
    cluster["a"].clock.time += 100
    cluster.signing(under(cluster, waiting), PAIR).start("a")


# --- Restarts ---


def test_a_restarted_signer_goes_on_where_it_was() -> None:
    cluster = loaded()
    slow = successor(cluster.order.policy, cluster.wallet, timelock=100)
    waiting = successor(slow, cluster.wallet)
    direct(cluster, "a", slow)
    direct(cluster, "a", waiting)
    record = direct(cluster, "a", Freeze(cluster.wallet, 1))["record"]
    cluster["a"].clock.time += 50
    time = cluster["a"].clock.time
    cluster.restart("a")
    cluster["a"].clock.time = time
    answer = view(cluster["a"].call("policy.load", wallet=cluster.wallet, record=record))
    assert (answer.version, answer.waiting) == (2, ((3, waiting.digest(), NOW + 100),))
    refused("policy_version", direct, cluster, "a", successor(cluster.order.policy, cluster.wallet))


def test_an_older_record_does_not_replace_what_is_held() -> None:
    cluster = loaded()
    second = successor(cluster.order.policy, cluster.wallet)
    older = direct(cluster, "a", second)["record"]
    newer = direct(cluster, "a", Freeze(cluster.wallet, 2))["record"]
    refused("policy_version", cluster["a"].call, "policy.load", wallet=cluster.wallet, record=older)
    assert view(cluster["a"].call("policy.load", wallet=cluster.wallet, record=newer)).frozen


def test_a_record_is_of_one_signer_and_wallet_and_unchanged() -> None:
    cluster = loaded()
    record = direct(cluster, "a", successor(cluster.order.policy, cluster.wallet))["record"]
    refused("sealed_mismatch", cluster["b"].call, "policy.load", wallet=cluster.wallet, record=record)
    cluster.restart("a")
    for at in (-1, -40, 20):
        changed = bytearray(record)
        changed[at] ^= 1
        with pytest.raises(Refusal):
            cluster["a"].call("policy.load", wallet=cluster.wallet, record=bytes(changed))
    assert view(cluster["a"].call("policy.load", wallet=cluster.wallet, record=record)).version == 2


def test_what_a_host_gains_that_keeps_a_record_back() -> None:
    """The order's policy, until its lease ends: docs/threat-model.md says so. Not a lease that nobody renewed."""
    cluster = loaded()
    old = cluster.order.policy
    direct(cluster, "a", successor(old, cluster.wallet, requesters=()))
    cluster.restart("a").link()
    cluster.signing(under(cluster, old), PAIR).start("a")
    refused("intent_mismatch", cluster.signing(under(cluster, successor(old, cluster.wallet)), PAIR).start, "a")
    cluster["a"].clock.time = old.issued + old.lease
    refused("policy_lease", cluster.signing(under_at(cluster, old), PAIR).start, "a")


def under_at(cluster: Cluster, policy: Policy) -> Any:
    return cluster.intent(policy=policy.digest(), expiry=cluster["a"].clock.time + 60)


# --- Who directs, and who hears of it ---


def test_only_officers_direct_and_each_operation_takes_its_own() -> None:
    cluster = loaded()
    new = successor(cluster.order.policy, cluster.wallet)
    refused("directive_not_signed", direct, cluster, "a", new, signers=KEYS[:1])
    refused("directive_not_signed", direct, cluster, "a", new, signers=())
    refused("directive_mismatch", direct, cluster, "a", dataclasses.replace(new, wallet=bytes(32)))
    for document, operation in (
        (new, "policy.renew"),
        (new, "policy.freeze"),
        (Freeze(cluster.wallet, 1), "policy.install"),
    ):
        directive = sign(document).encode()
        refused("malformed_message", cluster["a"].call, operation, wallet=cluster.wallet, directive=directive)
    refused("unknown_wallet", direct, cluster, "a", new, wallet=bytes(32))
    assert view(cluster["a"].call("policy.show", wallet=cluster.wallet, nonce=bytes(32))).newest == 1


def test_new_officers_take_over() -> None:
    cluster = loaded()
    direct(cluster, "a", next_officers(cluster.wallet, KEYS[2:], 1))
    new = successor(cluster.order.policy, cluster.wallet)
    refused("directive_not_signed", direct, cluster, "a", new)
    assert view(direct(cluster, "a", new, signers=KEYS[2:])).version == 2


def test_a_signer_attests_how_the_wallet_stands() -> None:
    """Fresh, by the asker's nonce: a host cannot say of a signer that it took what it never saw."""
    cluster = loaded()
    new = successor(cluster.order.policy, cluster.wallet)
    told = direct(cluster, "a", new)["standing"]
    nonce = os.urandom(32)
    answer = cluster["a"].call("policy.show", wallet=cluster.wallet, nonce=nonce)
    assert answer["standing"] == told
    member = cluster.order.member("a")
    roots = [member.trust_root(cluster.order.mode)]
    statement = verify(answer["document"], kind=answer["root"], roots=roots, at=NOW)
    require_binding(statement, nonce=nonce, user_data=standing_user_data(told))
    older = cluster["b"].call("policy.show", wallet=cluster.wallet, nonce=nonce)["standing"]
    assert view({"standing": older}).version == 1
    with pytest.raises(Refusal):
        require_binding(statement, nonce=nonce, user_data=standing_user_data(older))
