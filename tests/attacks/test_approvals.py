"""A host that hands signers approvals which are none, or not enough: each signer, asked at its own door, refuses.

Which bytes of an assertion are looked at is in tests/approval; here real signers look at them.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from strongroom.approval import Approval, Demand, approval_digest
from strongroom.intent.decoding import decode
from strongroom.intent.intent import Intent
from strongroom.policy.terms import Tier
from strongroom_client import keyfiles
from strongroom_host.storage.wallets import Wallet
from tests.approval.keys import (
    Held,
    assertion,
    authenticator_data,
    client_data,
    held,
    sign_digest,
)
from tests.attacks.custody import ED25519, Ask, Custody, verifies
from tests.attacks.hand import refused

ALICE = held("alice")
BOB = held("bob", algorithm="p256", passkey=True)
CAROL = held("carol", ["compliance"], algorithm="p256")
EVE = held("eve")
DEMAND = Demand((("compliance", 1), ("treasury", 2)))


def approved(custody: Custody, requesters: Sequence[Held] = ()) -> Wallet:
    """A wallet whose messages need alice, bob and carol. requesters: of them, who may request too."""
    plain = custody.policy()
    rules = tuple(
        replace(rule, tiers=(Tier(None, (DEMAND,)),)) if rule.kind == "message" else rule for rule in plain.rules
    )
    keys = tuple(sorted({*plain.requesters, *(each.approver.key.public for each in requesters)}))
    approvers = (ALICE.approver, BOB.approver, CAROL.approver)
    policy = replace(plain, approvers=approvers, rules=rules, requesters=keys)
    return custody.create(custody.signed(custody.order(ED25519, policy=policy)))


@pytest.fixture(scope="module")
def approving(custody: Custody) -> Wallet:
    return approved(custody, [ALICE])


def every_signer_refuses(
    custody: Custody,
    wallet: Wallet,
    code: str,
    intent: Intent,
    approvals: Sequence[Approval | bytes],
    signature: bytes | None = None,
) -> None:
    raw = [each if isinstance(each, bytes) else each.encode() for each in approvals]
    for name in custody.names:
        chosen = next(each for each in custody.sets(wallet) if name in each)
        inflight = custody.status(name).inflight
        body: Ask = custody.sign_body(wallet, chosen, intent) | {"approvals": list(raw)}
        if signature is not None:
            body["signature"] = signature
        with refused(code, by=name):
            custody.start(name, "sign.start", body | {"tickets": list(custody.tickets(chosen)), "attempt": 1})
        assert custody.status(name).inflight == inflight


def all_three(intent: Intent) -> list[Approval]:
    return [each.approval(intent.intent_id) for each in (ALICE, BOB, CAROL)]


def test_what_everybody_approved_is_signed(custody: Custody, approving: Wallet) -> None:
    intent = custody.intent(approving)
    to_sign = decode(intent, approving.body.keys).to_sign
    approvals = [each.encode() for each in all_three(intent)]
    (signature,) = custody.send(approving, intent, to_sign, approvals=approvals).signatures
    assert verifies(approving.body, to_sign[0].message, signature)


def test_an_approval_for_another_request(custody: Custody, approving: Wallet) -> None:
    """The same payment asked for twice is two requests."""
    intent, other = custody.intent(approving), custody.intent(approving)
    assert intent.payload == other.payload
    every_signer_refuses(custody, approving, "approval_invalid", intent, all_three(other))
    alice, bob, carol = all_three(intent)
    for replayed in all_three(other):
        mixed = [each for each in (alice, bob, carol) if each.approver != replayed.approver]
        every_signer_refuses(custody, approving, "approval_invalid", intent, [*mixed, replayed])


@pytest.mark.parametrize("change", ["payload", "expiry", "request"])
def test_a_byte_of_the_intent_changed_after_it_was_approved(custody: Custody, approving: Wallet, change: str) -> None:
    """By a requester who helps the host: the intent is signed anew."""
    intent = custody.intent(approving)
    changed = {"payload": b"pay somebody", "expiry": intent.expiry + 1, "request": bytes(16)}[change]
    other = dataclasses.replace(intent, **{change: changed})  # type: ignore[arg-type]
    every_signer_refuses(custody, approving, "approval_invalid", other, all_three(intent))


def test_one_byte_of_an_approval_changed(custody: Custody, approving: Wallet) -> None:
    intent = custody.intent(approving)
    for number, approval in enumerate(all_three(intent)):
        others = [each for at, each in enumerate(all_three(intent)) if at != number]
        proof = approval.proof if isinstance(approval.proof, bytes) else approval.proof.signature
        raw = bytearray(approval.encode())
        raw[raw.index(proof) + len(proof) - 1] ^= 1
        every_signer_refuses(custody, approving, "approval_invalid", intent, [*others, bytes(raw)])


def test_a_rejection_passed_for_an_approval(custody: Custody, approving: Wallet) -> None:
    intent = custody.intent(approving)
    for one in (ALICE, BOB, CAROL):
        turned = replace(one.approval(intent.intent_id, "reject"), decision="approve")
        others = [each for each in all_three(intent) if each.approver != one.approver.name]
        every_signer_refuses(custody, approving, "approval_invalid", intent, [*others, turned])


def test_too_few(custody: Custody, approving: Wallet) -> None:
    intent = custody.intent(approving)
    alice, bob, carol = all_three(intent)
    for some in ([], [alice], [alice, bob], [alice, carol], [bob, carol]):
        every_signer_refuses(custody, approving, "approval_missing", intent, some)


def test_one_approver_counted_twice(custody: Custody, approving: Wallet) -> None:
    """ECDSA gives another signature each time, and each of them verifies."""
    intent = custody.intent(approving)
    _, bob, carol = all_three(intent)
    again = BOB.approval(intent.intent_id)
    assert again != bob
    every_signer_refuses(custody, approving, "approval_invalid", intent, [bob, again, carol])
    every_signer_refuses(custody, approving, "approval_invalid", intent, [bob, replace(again, approver="alice"), carol])


def test_keys_that_the_policy_does_not_name(custody: Custody, approving: Wallet) -> None:
    """A stranger; an approver's name with a stranger's key; an approver whom officers dropped from this policy."""
    intent = custody.intent(approving)
    alice, bob, carol = all_three(intent)
    stranger = EVE.approval(intent.intent_id)
    every_signer_refuses(custody, approving, "unknown_approver", intent, [alice, bob, carol, stranger])
    every_signer_refuses(
        custody, approving, "approval_invalid", intent, [replace(stranger, approver="alice"), bob, carol]
    )


def test_an_approver_revoked_meanwhile(custody: Custody, approving: Wallet) -> None:
    """Another wallet's policy stands for the later one: an approval under the first names an intent of the first."""
    plain = custody.policy()
    rules = tuple(
        replace(rule, tiers=(Tier(None, (Demand((("treasury", 1),)),)),)) if rule.kind == "message" else rule
        for rule in plain.rules
    )
    later = custody.create(
        custody.signed(custody.order(ED25519, policy=replace(plain, approvers=(BOB.approver,), rules=rules)))
    )
    intent = custody.intent(later)
    before = ALICE.approval(intent.intent_id)
    every_signer_refuses(custody, later, "unknown_approver", intent, [before])
    every_signer_refuses(custody, later, "unknown_approver", intent, [before, BOB.approval(intent.intent_id)])
    every_signer_refuses(custody, later, "intent_mismatch", custody.intent(approving), [before])


def test_a_requester_approves_itself(custody: Custody, approving: Wallet) -> None:
    assert keyfiles.public(custody.requester) != ALICE.approver.key.public
    intent = custody.intent(approving, requester=ALICE.approver.key.public)
    signature = ALICE.secret.sign(b"strongroom/request/v1" + intent.intent_id)  # type: ignore[call-arg]
    every_signer_refuses(custody, approving, "approval_missing", intent, all_three(intent), signature)


def test_a_veto_that_arrives_outweighs_every_approval(custody: Custody, approving: Wallet) -> None:
    intent = custody.intent(approving)
    for one in (ALICE, BOB, CAROL):
        veto = one.approval(intent.intent_id, "reject")
        every_signer_refuses(custody, approving, "approval_rejected", intent, [*all_three(intent), veto])


def test_a_veto_that_the_host_keeps_back_is_none(custody: Custody, approving: Wallet) -> None:
    """What docs/threat-model.md says of it: only an approval that is not given holds against the host."""
    intent = custody.intent(approving)
    BOB.approval(intent.intent_id, "reject")
    names = custody.sets(approving)[0]
    raw = [each.encode() for each in all_three(intent)]
    body = custody.sign_body(approving, names, intent) | {"approvals": list(raw)}
    step = custody.start(names[0], "sign.start", body | {"tickets": list(custody.tickets(names)), "attempt": 1})
    custody.ask(names[0], "ceremony.abort", {"ceremony": step.ceremony})
    without = [each for each in all_three(intent) if each.approver != "bob"]
    every_signer_refuses(custody, approving, "approval_missing", intent, without)


def test_approvals_that_one_signer_is_shown_and_the_other_is_not(custody: Custody, approving: Wallet) -> None:
    intent = custody.intent(approving)
    first, second = custody.sets(approving)[0]
    common: Ask = {"tickets": list(custody.tickets((first, second))), "attempt": 1}
    shown: Ask = {"approvals": [each.encode() for each in all_three(intent)]}
    body = custody.sign_body(approving, (first, second), intent) | common
    step = custody.start(first, "sign.start", body | shown)
    with refused("approval_missing", by=second):
        custody.start(second, "sign.start", body)
    with refused("unknown_ceremony", by=second):
        custody.ask(second, "ceremony.step", {"ceremony": step.ceremony, "round": 1, "messages": []})
    custody.ask(first, "ceremony.abort", {"ceremony": step.ceremony})


# --- Passkeys, on a page that the host serves ---

Made = Callable[[bytes], Approval]


def bobs(challenge: bytes, data: bytes | None = None, authenticator: bytes | None = None) -> Approval:
    return Approval("bob", "approve", assertion(BOB.secret, challenge, data, authenticator))


HOSTS: dict[str, Made] = {
    "its own origin": lambda challenge: bobs(challenge, client_data(challenge, origin="https://console.example")),
    "another port of this machine": lambda challenge: bobs(
        challenge, client_data(challenge, origin="http://localhost:80")
    ),
    "its own relying party": lambda challenge: bobs(challenge, None, authenticator_data(rp="console.example")),
    "inside its own page": lambda challenge: bobs(
        challenge, client_data(challenge, crossOrigin=True, topOrigin="https://console.example")
    ),
    "a registration": lambda challenge: bobs(challenge, client_data(challenge, type="webauthn.create")),
    "nobody verified": lambda challenge: bobs(challenge, None, authenticator_data(flags=0x01)),
    "nobody present": lambda challenge: bobs(challenge, None, authenticator_data(flags=0x04)),
    "another challenge": lambda challenge: bobs(bytes(32), client_data(challenge, challenge="AAAA")),
    "another key": lambda challenge: Approval(
        "bob", "approve", assertion(held("mallory", algorithm="p256").secret, challenge)
    ),
    "a bare signature": lambda challenge: Approval("bob", "approve", sign_digest(BOB.secret, challenge)),
}


@pytest.mark.parametrize("made", HOSTS.values(), ids=HOSTS)
def test_an_assertion_made_elsewhere(custody: Custody, approving: Wallet, made: Made) -> None:
    intent = custody.intent(approving)
    alice, _, carol = all_three(intent)
    asserted = made(approval_digest("approve", intent.intent_id))
    every_signer_refuses(custody, approving, "approval_invalid", intent, [alice, asserted, carol])


# --- Lists that are none ---


@pytest.mark.parametrize(
    ("approvals", "code"),
    [
        ([b""], "malformed_cbor"),
        ([b"\xa0"], "malformed_message"),
        ([bytes(5000)], "oversized_message"),
        ([ALICE.approval(hashlib.sha256(b"x").digest()).encode()] * 33, "malformed_message"),
    ],
    ids=["empty", "no fields", "too long", "too many"],
)
def test_lists_that_are_none(custody: Custody, approving: Wallet, approvals: list[bytes], code: str) -> None:
    every_signer_refuses(custody, approving, code, custody.intent(approving), approvals)
