"""A host that skips its own judgement. Every signer, asked by itself, refuses by name; no ticket is spent, no ceremony
begun, and what the policy allows is signed as before."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.chains import rlp
from strongroom.chains.effects import ToSign
from strongroom.chains.evm import TYPE
from strongroom.intent.intent import MAX_LIFE, intent_signing_bytes
from strongroom.policy.shown import NOTHING
from strongroom.wire import cbor
from strongroom_client import keyfiles
from strongroom_host.relay.signing import SigningFailed
from strongroom_host.storage.wallets import Wallet
from tests.attacks.custody import CONTRACT, FEE_CEILING, LIMIT, METHOD, TRANSACTION, Ask, Custody
from tests.attacks.hand import flipped, refused

A, B, C = "enclave-1", "enclave-2", "hsm-1"


def every_signer_refuses(custody: Custody, wallet: Wallet, code: str, intent: bytes, signature: bytes) -> None:
    for name in custody.names:
        chosen = next(each for each in custody.sets(wallet) if name in each)
        inflight = custody.status(name).inflight
        tickets = custody.tickets(chosen)
        body: Ask = {
            "wallet": wallet.body.wallet,
            "intent": intent,
            "signature": signature,
            "approvals": [],
            "shown": NOTHING.value(),
            "set": list(chosen),
            "tickets": list(tickets),
            "attempt": 1,
        }
        with refused(code, by=name):
            custody.start(name, "sign.start", body)
        assert custody.status(name).inflight == inflight
        allowed: Ask = custody.sign_body(wallet, chosen) | {"tickets": list(tickets), "attempt": 1}
        step = custody.start(name, "sign.start", allowed)
        custody.ask(name, "ceremony.abort", {"ceremony": step.ceremony})


def transaction(**changed: Any) -> bytes:
    return dataclasses.replace(TRANSACTION, **changed).encode()


def items(*, change: Callable[[list[rlp.Item]], None]) -> bytes:
    """The transaction's nine fields, changed before they are encoded."""
    fields = rlp.decode(TRANSACTION.encode()[1:])
    assert isinstance(fields, list)
    change(fields)
    return TYPE + rlp.encode(fields)


def put(index: int, item: rlp.Item) -> Callable[[list[rlp.Item]], None]:
    def change(fields: list[rlp.Item]) -> None:
        fields[index] = item

    return change


STRANGER = bytes(19) + b"\x01"
CALL = {"to": CONTRACT, "value": 0, "data": METHOD + bytes(64)}

REFUSED_BY_POLICY = {
    "over the limit": (transaction(value=LIMIT + 1), "policy_limit"),
    "everything there is": (transaction(value=(1 << 256) - 1), "policy_limit"),
    "foreign recipient": (transaction(to=STRANGER), "policy_recipient"),
    "the contract itself": (transaction(to=CONTRACT), "policy_recipient"),
    "wrong chain": (transaction(chain_id=1), "policy_chain"),
    "fee over the ceiling": (transaction(max_fee=FEE_CEILING // 21_000 + 1), "policy_fee"),
    "gas over the ceiling": (transaction(gas_limit=(1 << 64) - 1), "policy_fee"),
    "another method": (transaction(**CALL | {"data": b"\xde\xad\xbe\xef"}), "policy_call"),
    "another contract": (transaction(**CALL | {"to": STRANGER}), "policy_call"),
    "data to an allowed recipient": (transaction(data=METHOD), "policy_call"),
    "value over the limit with a call": (transaction(**CALL | {"value": LIMIT + 1}), "policy_limit"),
}

REFUSED_TO_DECODE = {
    "empty": (b"", "malformed_transaction"),
    "no chain": (transaction(chain_id=0), "unsupported_transaction"),
    "legacy without EIP-155": (rlp.encode([b"\x01"] * 6), "malformed_transaction"),
    "EIP-7702": (b"\x04" + TRANSACTION.encode()[1:], "unsupported_transaction"),
    "EIP-4844": (b"\x03" + TRANSACTION.encode()[1:], "unsupported_transaction"),
    "trailing byte": (TRANSACTION.encode() + b"\0", "malformed_transaction"),
    "cut short": (TRANSACTION.encode()[:-1], "malformed_transaction"),
    "contract creation": (items(change=put(5, b"")), "unsupported_transaction"),
    "recipient of 21 bytes": (items(change=put(5, bytes(21))), "unsupported_transaction"),
    "access list of no addresses": (items(change=put(8, [[STRANGER[1:], []]])), "malformed_transaction"),
    "leading zero": (items(change=put(6, b"\0\x01")), "malformed_transaction"),
    "value of 33 bytes": (items(change=put(6, b"\x01" * 33)), "malformed_transaction"),
    "a list where a number is": (items(change=put(1, [])), "malformed_transaction"),
    "ten fields": (items(change=lambda fields: fields.append(b"")), "malformed_transaction"),
    "no fields": (items(change=lambda fields: fields.clear()), "malformed_transaction"),
    "long form of a short string": (b"\x02\xf8\x02\xb8\x00", "malformed_transaction"),
    "priority over the maximum": (transaction(max_priority_fee=3 * 10**9), "malformed_transaction"),
    "three bytes of data": (transaction(**CALL | {"data": b"abc"}), "unsupported_transaction"),
}


@pytest.mark.parametrize(
    ("payload", "code"),
    [*REFUSED_BY_POLICY.values(), *REFUSED_TO_DECODE.values()],
    ids=[*REFUSED_BY_POLICY, *REFUSED_TO_DECODE],
)
def test_a_transaction_past_the_hosts_check(custody: Custody, ecdsa: Wallet, payload: bytes, code: str) -> None:
    """The requester signed it and the host lets it through."""
    chain = "evm:1" if code == "policy_chain" else "evm:31337"
    intent = custody.intent(ecdsa, payload=payload, chain=chain)
    every_signer_refuses(custody, ecdsa, code, intent.encode(), custody.approve(intent))


INTENTS: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "expired": (lambda: {"expiry": int(time.time()) - 1}, "intent_expired"),
    "expired long ago": (lambda: {"expiry": 0}, "intent_expired"),
    "never to expire": (lambda: {"expiry": int(time.time()) + MAX_LIFE + 600}, "intent_expired"),
    "of another wallet": (lambda: {"wallet": bytes(32)}, "intent_mismatch"),
    "under another policy": (lambda: {"policy": bytes(32)}, "intent_mismatch"),
    "with a hardened step": (lambda: {"path": (1 << 31,)}, "malformed_message"),
    "with a path that is too long": (lambda: {"path": (0,) * 6}, "malformed_message"),
    "of another chain than its bytes": (lambda: {"chain": "evm:1"}, "intent_mismatch"),
    "of a chain of another kind": (lambda: {"chain": "bitcoin:regtest"}, "intent_mismatch"),
    "of no chain": (lambda: {"chain": ""}, "intent_mismatch"),
    "of a kind that none is": (lambda: {"kind": "digest", "payload": bytes(32)}, "unsupported_transaction"),
}


@pytest.mark.parametrize(("change", "code"), INTENTS.values(), ids=INTENTS)
def test_an_intent_past_the_hosts_check(
    custody: Custody, ecdsa: Wallet, change: Callable[[], dict[str, Any]], code: str
) -> None:
    intent = custody.intent(ecdsa, **change())
    every_signer_refuses(custody, ecdsa, code, intent.encode(), custody.approve(intent))


def test_a_message_for_a_wallet_of_transactions(custody: Custody, ecdsa: Wallet) -> None:
    """What looks like a message could be a transaction's digest."""
    intent = custody.intent(ecdsa, kind="message", chain="", payload=TRANSACTION.digest().hex().encode())
    every_signer_refuses(custody, ecdsa, "intent_mismatch", intent.encode(), custody.approve(intent))


def test_a_transaction_for_a_wallet_of_messages(custody: Custody, ed25519: Wallet) -> None:
    intent = custody.intent(ed25519, kind="evm-transaction", chain="evm:31337", payload=TRANSACTION.encode())
    every_signer_refuses(custody, ed25519, "intent_mismatch", intent.encode(), custody.approve(intent))


@pytest.mark.parametrize("payload", [b"", b"\xff\xfe", b"a" * 4097])
def test_a_message_that_is_no_text(custody: Custody, ed25519: Wallet, payload: bytes) -> None:
    intent = custody.intent(ed25519, payload=payload)
    every_signer_refuses(custody, ed25519, "malformed_transaction", intent.encode(), custody.approve(intent))


def test_a_foreign_requester(custody: Custody, ecdsa: Wallet) -> None:
    """The host makes a requester of its own."""
    stranger = Ed25519PrivateKey.generate()
    intent = custody.intent(ecdsa, requester=keyfiles.public(stranger))
    signature = stranger.sign(intent_signing_bytes(intent.intent_id))
    every_signer_refuses(custody, ecdsa, "unknown_requester", intent.encode(), signature)


def test_a_forged_signature_of_the_requester(custody: Custody, ecdsa: Wallet) -> None:
    intent = custody.intent(ecdsa)
    stranger, approved = Ed25519PrivateKey.generate(), custody.approve(intent)
    forged = [
        stranger.sign(intent_signing_bytes(intent.intent_id)),
        custody.requester.sign(intent.intent_id),
        custody.requester.sign(intent.encode()),
        custody.approve(custody.intent(ecdsa)),
        flipped(approved, 0),
        flipped(approved, -9),
        bytes(64),
    ]
    for signature in forged:
        every_signer_refuses(custody, ecdsa, "intent_signature", intent.encode(), signature)


@pytest.mark.parametrize("field", ["payload", "request", "expiry", "path", "chain", "kind", "replaces"])
def test_a_changed_byte_of_the_intent(custody: Custody, ecdsa: Wallet, field: str) -> None:
    """Of what the requester signed: to a value that the policy would allow."""
    intent = custody.intent(ecdsa)
    changed: dict[str, Any] = {
        "payload": transaction(value=TRANSACTION.value + 1),
        "request": flipped(intent.request, 0),
        "expiry": intent.expiry + 1,
        "path": (0,),
        "chain": "evm:1",
        "kind": "evm-text",
        "replaces": bytes(16),
    }
    other = dataclasses.replace(intent, **{field: changed[field]})
    every_signer_refuses(custody, ecdsa, "intent_signature", other.encode(), custody.approve(intent))


def test_an_intent_in_other_bytes(custody: Custody, ecdsa: Wallet) -> None:
    """The same intent, encoded otherwise, is no intent: what is hashed has one encoding."""
    intent = custody.intent(ecdsa)
    raw, signature = intent.encode(), custody.approve(intent)
    for other, code in (
        (raw + b"\0", "malformed_cbor"),
        (raw[:-1], "malformed_cbor"),
        (b"\xb8\x0b" + raw[1:], "malformed_cbor"),
        (cbor.encode(_without(raw, "policy")), "malformed_message"),
        (cbor.encode(_without(raw, "policy") | {"policy": intent.policy, "digest": bytes(32)}), "malformed_message"),
        (cbor.encode(_without(raw, "v") | {"v": 1}), "malformed_message"),
    ):
        every_signer_refuses(custody, ecdsa, code, other, signature)


def _without(raw: bytes, key: str) -> dict[str, cbor.Value]:
    value = cbor.decode(raw)
    assert isinstance(value, dict)
    return {name: item for name, item in value.items() if name != key}


def test_an_allowed_call_and_the_very_limit(custody: Custody, ecdsa: Wallet) -> None:
    """The rules refuse what they say, and nothing beside it."""
    for payload in (transaction(**CALL), transaction(value=LIMIT), transaction(max_fee=FEE_CEILING // 21_000)):
        custody.sign(ecdsa, intent=custody.intent(ecdsa, payload=payload))


def test_two_signers_of_the_three_by_name(custody: Custody, ecdsa: Wallet) -> None:
    """Through the relay: the host learns who refused, and asks on until nobody is left who might agree."""
    intent = custody.intent(ecdsa, payload=transaction(value=LIMIT + 1))
    with pytest.raises(SigningFailed) as failed:
        custody.send(ecdsa, intent, [ToSign(TRANSACTION.digest())])
    assert failed.value.cause.code == "policy_limit" and not failed.value.last_left
    assert {refusal.code for refusal in failed.value.refusals.values()} == {"policy_limit"}
    assert len(failed.value.refusals) >= 2
