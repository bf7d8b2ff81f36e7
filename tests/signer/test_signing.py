"""Signing: a judged intent or nothing, and one request id for one intent."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest
from coincurve import PublicKeyXOnly
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from eth_account import Account

from strongroom import schemes
from strongroom.chains.evm import Transaction
from strongroom.intent.intent import MAX_LIFE, Intent
from strongroom.journal import book
from strongroom.wallet.certificate import Body, test_message
from tests.signer.cluster import NOW, Cluster, kept, loaded
from tests.wallet.orders import ECDSA, ED25519, ETHER, MUSIG2, RECIPIENT, REQUESTER_KEYS, TAPROOT
from tests.wire.refused import refused

PAIR = ("a", "b")


@pytest.fixture
def cluster() -> Cluster:
    return loaded()


# --- What is signed ---


def test_ethereum_takes_the_signature_of_every_pair() -> None:
    paired = kept(ECDSA)
    address = Body.decode(paired.body or b"").address
    for names in combinations(paired.names, 2):
        intent = paired.intent()
        signature = paired.sign(intent, names)
        raw = Transaction.decode(intent.payload).signed(signature)
        assert Account.recover_transaction(raw) == address
        assert int.from_bytes(signature[32:64], "big") <= N // 2


N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def test_ed25519_is_ordinary(cluster: Cluster) -> None:
    for names in combinations(cluster.names, 2):
        intent = cluster.intent()
        message = cluster.message(intent)
        Ed25519PublicKey.from_public_bytes(cluster.public_key).verify(cluster.sign(intent, names), message)


@pytest.mark.parametrize("scheme", [TAPROOT, MUSIG2])
def test_bip340_verifies_under_the_output_key(scheme: str) -> None:
    cluster = loaded(scheme)
    intent = cluster.intent()
    signature = cluster.sign(intent, cluster.names if scheme == MUSIG2 else PAIR)
    key = Body.decode(cluster.body or b"").wallet_key
    assert PublicKeyXOnly(key).verify(signature, cluster.message(intent))


# --- What is not ---


REFUSED: list[tuple[str, Callable[[Cluster, Intent], dict[str, Any]], str]] = [
    ("another wallet", lambda c, i: {"wallet": bytes(32)}, "intent_mismatch"),
    ("another policy", lambda c, i: {"policy": bytes(32)}, "intent_mismatch"),
    ("expired", lambda c, i: {"expiry": NOW}, "intent_expired"),
    ("too far ahead", lambda c, i: {"expiry": NOW + MAX_LIFE + 1}, "intent_expired"),
    ("a stranger's", lambda c, i: {"requester": b"\7" * 32}, "unknown_requester"),
    ("the other kind", lambda c, i: {"kind": "evm-transaction"}, "intent_mismatch"),
    ("no text", lambda c, i: {"payload": b"\xff"}, "malformed_transaction"),
    ("a path", lambda c, i: {"path": (0,)}, "intent_mismatch"),
]


@pytest.mark.parametrize(("changes", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_an_intent_is_judged_by_each_signer_itself(
    cluster: Cluster, changes: Callable[[Cluster, Intent], dict[str, Any]], code: str
) -> None:
    """A refused start costs no ticket of the ceremony and leaves nothing in flight."""
    honest = cluster.intent()
    run = cluster.signing(dataclasses.replace(honest, **changes(cluster, honest)), PAIR)
    for name in PAIR:
        refused(code, run.start, name)
        assert cluster[name].call("status")["inflight"] == 0
    assert cluster.signing(honest, PAIR, tickets=run.starts["a"][1]["tickets"]).all()


def test_the_requester_signed_it(cluster: Cluster) -> None:
    intent = cluster.intent()
    run = cluster.signing(intent, PAIR, signature=bytes(64))
    refused("intent_signature", run.start)
    other = cluster.intent()
    key = REQUESTER_KEYS[other.requester]
    foreign = key.sign(b"strongroom/request/v1" + other.intent_id)
    refused("intent_signature", cluster.signing(intent, PAIR, signature=foreign).start)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"value": ETHER + 1}, "policy_limit"),
        ({"chain_id": 5}, "policy_chain"),
        ({"to": b"\x99" * 20}, "policy_recipient"),
        ({"data": b"abcd"}, "policy_call"),
        ({"max_fee": ETHER}, "policy_fee"),
    ],
)
def test_a_transaction_over_the_policy_is_refused_by_every_signer(changes: dict[str, Any], code: str) -> None:
    """The host's own check does not count; nor is a pairing needed to hear it."""
    cluster = loaded(ECDSA)
    honest = Transaction(31337, 0, 1, 10**9, 21_000, RECIPIENT, ETHER)
    changed = dataclasses.replace(honest, **changes)
    intent = cluster.intent(payload=changed.encode(), chain=f"evm:{changed.chain_id}")
    run = cluster.signing(intent, PAIR)
    for name in PAIR:
        refused(code, run.start, name)
    refused("not_paired", cluster.signing(cluster.intent(payload=honest.encode()), PAIR).start)


def test_time_is_the_signers_own() -> None:
    """A host cannot keep an intent and have it signed after its expiry."""
    cluster = loaded()
    intent = cluster.intent(expiry=NOW + 10)
    cluster["a"].clock.time += 9
    cluster.signing(intent, PAIR).start("a")
    cluster["a"].clock.time += 1
    refused("intent_expired", cluster.signing(intent, PAIR).start, "a")


def test_there_is_no_request_that_signs_a_digest(cluster: Cluster) -> None:
    for kind in ("digest", "raw", ""):
        refused("unsupported_transaction", cluster.signing(cluster.intent(kind=kind), PAIR).start)


# --- One request, one intent ---


def test_a_request_may_be_tried_again_with_the_same_bytes(cluster: Cluster) -> None:
    intent = cluster.intent()
    signatures = {cluster.sign(intent, names) for names in combinations(cluster.names, 2)}
    assert len(signatures) == 3


def test_a_request_id_stands_for_one_intent(cluster: Cluster) -> None:
    intent = cluster.intent("pay ada")
    cluster.sign(intent, PAIR)
    for changes in ({"payload": b"pay eve"}, {"expiry": intent.expiry + 1}):
        other = dataclasses.replace(intent, **changes)
        refused("request_conflict", cluster.signing(other, PAIR).start, "a")
    cluster.sign(dataclasses.replace(intent, payload=b"pay eve", request=os.urandom(16)), PAIR)
    cluster.sign(intent, ("a", "c"))


def test_a_refused_intent_takes_no_request_id(cluster: Cluster) -> None:
    """Otherwise whoever guesses an id could block it."""
    intent = cluster.intent()
    bad = dataclasses.replace(intent, payload=b"\xff")
    refused("malformed_transaction", cluster.signing(bad, PAIR).start)
    refused("intent_signature", cluster.signing(dataclasses.replace(bad), PAIR, signature=bytes(64)).start)
    cluster.sign(intent, PAIR)


def test_request_ids_are_of_one_wallet(cluster: Cluster) -> None:
    other = Cluster()
    other.nodes = cluster.nodes
    other.accept().link().deal().certify()
    request = os.urandom(16)
    cluster.sign(cluster.intent(request=request), PAIR)
    other.sign(other.intent(request=request), PAIR)


def test_remembered_requests_are_bounded(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signer that may remember no more signs nothing more: it never forgets for a new request's sake."""
    intents = [cluster.intent(str(n)) for n in range(3)]
    for intent in intents:
        cluster.sign(intent, PAIR)
    monkeypatch.setattr(book, "MAX_ENTRIES", len(cluster["a"].signer._wallets.by_wallet(cluster.wallet).book))
    refused("journal_full", cluster.signing(cluster.intent("more"), PAIR).start)
    for intent in intents:
        refused("request_conflict", cluster.signing(dataclasses.replace(intent, payload=b"x"), PAIR).start)
        cluster.sign(intent, PAIR)


# --- Test signatures ---


def test_a_test_signature_is_of_the_test_message_alone(cluster: Cluster) -> None:
    signature = cluster.test_signature(PAIR).signature
    assert schemes.verify(ED25519, cluster.public_key, test_message(cluster.wallet, PAIR), signature)
    assert not schemes.verify(ED25519, cluster.public_key, test_message(cluster.wallet, ("b", "c")), signature)
