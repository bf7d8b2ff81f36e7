"""The judgement: every reason to refuse, at its edge, and the very bytes that are signed where there is none."""

from __future__ import annotations

import dataclasses
from typing import Any

import coincurve
import pytest
from eth_account._utils.legacy_transactions import serializable_unsigned_transaction_from_dict

from strongroom.approval import Demand
from strongroom.chains import evm, message
from strongroom.chains.bitcoin.keys import WalletKeys
from strongroom.intent.decoding import decode
from strongroom.intent.intent import MAX_LIFE, Intent, Kind
from strongroom.intent.judge import Judged, Wallet, judge
from strongroom.policy.decide import Circumstances
from strongroom.policy.document import Policy
from strongroom.policy.terms import Tier
from strongroom.wallet.order import Order
from tests.approval.keys import held
from tests.wallet.orders import (
    CONTRACT,
    ECDSA,
    ED25519,
    ETHER,
    ISSUED,
    MUSIG2,
    POLICY,
    RECIPIENT,
    REQUESTER,
    REQUESTER_KEYS,
    SELECTOR,
    TAPROOT,
    order,
)
from tests.wire.refused import refused

NOW = 1_800_000_000
WALLET = bytes(range(32))
PLAIN = evm.Transaction(31337, 0, 1, 10**9, 21_000, RECIPIENT, ETHER)


KEY = coincurve.PrivateKey(b"\7" * 32).public_key.format()


def keys(scheme: str) -> WalletKeys:
    return WalletKeys(scheme, bytes(32), None) if scheme == ED25519 else WalletKeys(scheme, KEY, bytes(32))


def intent(kind: Kind, payload: bytes, **changes: Any) -> Intent:
    chain = "evm:31337" if kind == "evm-transaction" else ""
    honest = Intent(WALLET, kind, payload, bytes(16), REQUESTER, NOW + 60, POLICY.digest(), chain)
    return dataclasses.replace(honest, **changes)


TRANSFER = intent("evm-transaction", PLAIN.encode())
STRANGER = bytes(range(20))
MESSAGE = intent("message", "grüße".encode())


def asked_of(wanted: Order, asked: Intent, signature: bytes) -> Judged:
    wallet = Wallet(WALLET, wanted, keys(wanted.scheme))
    return judge(asked, signature, wallet, wanted.policy, Circumstances(NOW), ())


def judged(asked: Intent, scheme: str, **changes: Any) -> bytes:
    """With the requester's signature, whatever was changed; under the order's policy, unless it names another."""
    made = order(scheme=scheme, **changes)
    if asked.policy == POLICY.digest():
        asked = dataclasses.replace(asked, policy=made.policy.digest())
    key = REQUESTER_KEYS.get(asked.requester, REQUESTER_KEYS[REQUESTER])
    signature = key.sign(b"strongroom/request/v1" + asked.intent_id)
    (only,) = asked_of(made, asked, signature).to_sign
    return only.message


def test_ecdsa_signs_the_hash_of_the_unsigned_transaction() -> None:
    theirs: dict[str, Any] = {
        "type": 2,
        "chainId": 31337,
        "nonce": 0,
        "maxPriorityFeePerGas": 1,
        "maxFeePerGas": 10**9,
        "gas": 21_000,
        "to": evm.checksum(RECIPIENT),
        "value": ETHER,
        "data": b"",
    }
    assert judged(TRANSFER, ECDSA) == serializable_unsigned_transaction_from_dict(theirs).hash()


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        (ED25519, message.domain_separated(WALLET, MESSAGE.payload)),
        (TAPROOT, message.tagged(WALLET, MESSAGE.payload)),
        (MUSIG2, message.tagged(WALLET, MESSAGE.payload)),
    ],
)
def test_the_others_sign_the_separated_message(scheme: str, expected: bytes) -> None:
    assert judged(MESSAGE, scheme) == expected


@pytest.mark.parametrize(
    ("asked", "scheme"), [(MESSAGE, ECDSA), (TRANSFER, ED25519), (TRANSFER, TAPROOT), (TRANSFER, MUSIG2)]
)
def test_a_kind_belongs_to_its_schemes(asked: Intent, scheme: str) -> None:
    """Otherwise a message could be a transaction's digest, or the reverse."""
    refused("intent_mismatch", judged, asked, scheme)


@pytest.mark.parametrize(("asked", "scheme"), [(TRANSFER, ECDSA), (MESSAGE, ED25519)])
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"wallet": bytes(32)}, "intent_mismatch"),
        ({"policy": bytes(32)}, "intent_mismatch"),
        ({"expiry": NOW}, "intent_expired"),
        ({"expiry": NOW - 1}, "intent_expired"),
        ({"expiry": 0}, "intent_expired"),
        ({"expiry": NOW + MAX_LIFE + 1}, "intent_expired"),
        ({"expiry": 2**64 - 1}, "intent_expired"),
        ({"requester": bytes(32)}, "unknown_requester"),
    ],
)
def test_what_selects_the_key_or_the_time_must_fit(
    asked: Intent, scheme: str, changes: dict[str, Any], code: str
) -> None:
    refused(code, judged, dataclasses.replace(asked, **changes), scheme)


@pytest.mark.parametrize("expiry", [NOW + 1, NOW + MAX_LIFE])
def test_the_edges_of_an_intents_life(expiry: int) -> None:
    judged(dataclasses.replace(TRANSFER, expiry=expiry), ECDSA)
    assert MAX_LIFE == 24 * 3600


def test_every_requester_of_the_policy_may_ask_and_only_for_itself() -> None:
    other = next(key for key in REQUESTER_KEYS if key != REQUESTER)
    asked = dataclasses.replace(TRANSFER, requester=other)
    judged(asked, ECDSA)
    foreign = REQUESTER_KEYS[REQUESTER].sign(b"strongroom/request/v1" + asked.intent_id)
    refused("intent_signature", asked_of, order(scheme=ECDSA), asked, foreign)


def test_a_requester_that_the_policy_dropped_is_refused() -> None:
    only = dataclasses.replace(POLICY, requesters=tuple(key for key in REQUESTER_KEYS if key != REQUESTER))
    refused("unknown_requester", judged, TRANSFER, ECDSA, policy=only)
    refused("unknown_requester", judged, TRANSFER, ECDSA, policy=dataclasses.replace(POLICY, requesters=()))


def with_transaction(**changes: Any) -> Intent:
    changed = dataclasses.replace(PLAIN, **changes)
    return dataclasses.replace(TRANSFER, payload=changed.encode(), chain=f"evm:{changed.chain_id}")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"chain_id": 5}, "policy_chain"),
        ({"value": ETHER + 1}, "policy_limit"),
        ({"max_fee": ETHER}, "policy_fee"),
        ({"to": bytes(19) + b"\1"}, "policy_recipient"),
        ({"to": CONTRACT}, "policy_recipient"),
        ({"data": SELECTOR}, "policy_call"),
        ({"to": CONTRACT, "data": bytes(4)}, "policy_call"),
        ({"data": bytes(3)}, "unsupported_transaction"),
        ({"max_priority_fee": 10**10}, "malformed_transaction"),
    ],
)
def test_a_transactions_effects_are_judged(changes: dict[str, Any], code: str) -> None:
    refused(code, judged, with_transaction(**changes), ECDSA)


@pytest.mark.parametrize("kind", [0, 1])
def test_older_types_are_judged_and_signed_alike(kind: int) -> None:
    """By their own hash: type 0 with EIP-155's chain id, type 1 with its type byte."""
    older = dataclasses.replace(PLAIN, kind=kind, max_priority_fee=PLAIN.max_fee)
    asked = dataclasses.replace(TRANSFER, payload=older.encode())
    assert judged(asked, ECDSA) == older.digest() != PLAIN.digest()
    dear = dataclasses.replace(older, max_fee=ETHER, max_priority_fee=ETHER)
    refused("policy_fee", judged, dataclasses.replace(asked, payload=dear.encode()), ECDSA)


def test_a_cancel_goes_to_the_wallet_itself_alone() -> None:
    """To a stranger its zero would be a payment in their history, by the requester's key alone."""
    own = evm.address(KEY)
    for to, value, code in ((own, 0, None), (STRANGER, 0, "policy_recipient"), (own, 1, "policy_recipient")):
        asked = dataclasses.replace(with_transaction(to=to, value=value), replaces=b"\2" * 16)
        if code is None:
            assert judged(asked, ECDSA)
        else:
            refused(code, judged, asked, ECDSA)
    # A replacement that pays is judged as any payment.
    assert judged(dataclasses.replace(with_transaction(), replaces=b"\2" * 16), ECDSA)


def test_an_allowed_call_is_signed() -> None:
    assert judged(with_transaction(to=CONTRACT, data=SELECTOR + bytes(64)), ECDSA)


@pytest.mark.parametrize("gas", [21_000, 10**7])
def test_the_fee_ceiling_is_gas_times_fee_to_the_last_wei(gas: int) -> None:
    fee = ETHER // 100 // gas
    judged(with_transaction(gas_limit=gas, max_fee=fee), ECDSA)
    refused("policy_fee", judged, with_transaction(gas_limit=gas + 1, max_fee=fee + 1), ECDSA)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "malformed_transaction"),
        (bytes(32), "unsupported_transaction"),  # a digest
        (PLAIN.encode() + b"\0", "malformed_transaction"),
        (PLAIN.signed(bytes(31) + b"\1" + bytes(31) + b"\1\0"), "malformed_transaction"),
    ],
)
def test_what_is_no_unsigned_transaction_is_refused(payload: bytes, code: str) -> None:
    refused(code, judged, dataclasses.replace(TRANSFER, payload=payload), ECDSA)


@pytest.mark.parametrize("payload", [b"", bytes(4097), b"\xff"])
def test_what_is_no_text_is_refused(payload: bytes) -> None:
    for scheme in (ED25519, TAPROOT):
        refused("malformed_transaction", judged, dataclasses.replace(MESSAGE, payload=payload), scheme)


def test_policies_without_a_kind_refuse_it() -> None:
    silent = dataclasses.replace(POLICY, rules=POLICY.rules[:-1])
    refused("policy_message", judged, MESSAGE, ED25519, policy=silent)
    only = Policy(ISSUED, POLICY.requesters, rules=POLICY.rules[-1:], lease=POLICY.lease)
    judged(MESSAGE, ED25519, policy=only)
    refused("policy_chain", judged, TRANSFER, ECDSA, policy=only)


def test_what_was_judged_is_what_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should the decoder ever accept a second form, nothing of it is signed."""
    monkeypatch.setattr(evm.Transaction, "encode", lambda self: b"\2 another form")
    refused("malformed_transaction", decode, TRANSFER, keys(ECDSA))


def test_the_signature_is_checked_before_the_payload_is_decoded() -> None:
    """A host without a requester's key learns nothing of the policy, and costs nothing."""
    garbage = dataclasses.replace(TRANSFER, payload=b"garbage")
    refused("intent_signature", asked_of, order(scheme=ECDSA), garbage, bytes(64))


def test_the_orders_own_policy_judges() -> None:
    payments, *others = POLICY.rules
    rules = (dataclasses.replace(payments, most=0), *others)
    strict: Order = order(scheme=ECDSA, policy=dataclasses.replace(POLICY, rules=rules))
    asked = dataclasses.replace(TRANSFER, policy=strict.policy.digest())
    signature = REQUESTER_KEYS[REQUESTER].sign(b"strongroom/request/v1" + asked.intent_id)
    refused("policy_limit", asked_of, strict, asked, signature)


ALICE = held("alice")
APPROVED = dataclasses.replace(
    POLICY,
    approvers=(ALICE.approver,),
    rules=tuple(
        dataclasses.replace(rule, tiers=(Tier(ETHER // 2, (Demand((("treasury", 1),)),)),))
        if rule.kind == "transfer"
        else rule
        for rule in POLICY.rules
    ),
)


def test_what_the_policy_demands_must_have_been_approved() -> None:
    asked = dataclasses.replace(TRANSFER, policy=APPROVED.digest())
    signature = REQUESTER_KEYS[REQUESTER].sign(b"strongroom/request/v1" + asked.intent_id)
    common = (
        asked,
        signature,
        Wallet(WALLET, order(scheme=ECDSA, policy=APPROVED), keys(ECDSA)),
        APPROVED,
        Circumstances(NOW),
    )
    demanded = judge(*common, None).demands
    assert demanded == (Demand((("treasury", 1),)),)
    refused("approval_missing", judge, *common, ())
    refused("approval_rejected", judge, *common, (ALICE.approval(asked.intent_id, "reject"),))
    refused("approval_invalid", judge, *common, (ALICE.approval(TRANSFER.intent_id),))
    (only,) = judge(*common, (ALICE.approval(asked.intent_id),)).to_sign
    assert only.message == PLAIN.digest()


def test_a_veto_counts_where_nothing_is_demanded() -> None:
    small = dataclasses.replace(PLAIN, value=1).encode()
    asked = dataclasses.replace(TRANSFER, payload=small, policy=APPROVED.digest())
    signature = REQUESTER_KEYS[REQUESTER].sign(b"strongroom/request/v1" + asked.intent_id)
    common = (
        asked,
        signature,
        Wallet(WALLET, order(scheme=ECDSA, policy=APPROVED), keys(ECDSA)),
        APPROVED,
        Circumstances(NOW),
    )
    assert judge(*common, ()).demands == ()
    refused("approval_rejected", judge, *common, (ALICE.approval(asked.intent_id, "reject"),))
