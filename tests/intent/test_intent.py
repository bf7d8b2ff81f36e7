"""Intents: one encoding, and one signature by the requester over all of it."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.errors import Refusal
from strongroom.intent.intent import MAX_SIZE, Intent, intent_id, intent_signing_bytes
from strongroom.wire import cbor
from tests.wallet.orders import REQUESTER, REQUESTER_KEYS
from tests.wire.refused import refused

HONEST = Intent(bytes(32), "message", b"hello", bytes(16), REQUESTER, 1_800_000_000, b"\1" * 32)


def value(**changes: Any) -> bytes:
    decoded = cbor.decode(HONEST.encode())
    assert isinstance(decoded, dict)
    return cbor.encode({**decoded, **changes})


def test_the_bytes_are_those_of_the_specification() -> None:
    assert HONEST.encode() == cbor.encode(
        {
            "v": 2,
            "wallet": bytes(32),
            "path": [],
            "kind": "message",
            "chain": "",
            "payload": b"hello",
            "request": bytes(16),
            "replaces": None,
            "requester": REQUESTER,
            "expiry": 1_800_000_000,
            "policy": b"\1" * 32,
        }
    )
    assert HONEST.intent_id == hashlib.sha256(b"strongroom/intent/v2" + HONEST.encode()).digest()
    assert HONEST.intent_id == intent_id(HONEST.encode())
    assert intent_signing_bytes(HONEST.intent_id) == b"strongroom/request/v1" + HONEST.intent_id


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"v": 1}, "malformed_message"),
        ({"v": True}, "malformed_message"),
        ({"wallet": bytes(31)}, "malformed_message"),
        ({"path": [2**31]}, "malformed_message"),
        ({"path": [True]}, "malformed_message"),
        ({"path": [0] * 6}, "malformed_message"),
        ({"path": None}, "malformed_message"),
        ({"path": {}}, "malformed_message"),
        ({"chain": None}, "malformed_message"),
        ({"chain": "x" * 65}, "malformed_message"),
        ({"replaces": bytes(15)}, "malformed_message"),
        ({"replaces": bytes(16)}, "malformed_message"),
        ({"kind": "digest"}, "unsupported_transaction"),
        ({"kind": "evm-message"}, "unsupported_transaction"),
        ({"kind": 1}, "malformed_message"),
        ({"payload": bytes(MAX_SIZE)}, "malformed_message"),
        ({"payload": "hello"}, "malformed_message"),
        ({"request": bytes(15)}, "malformed_message"),
        ({"requester": bytes(33)}, "malformed_message"),
        ({"expiry": -1}, "malformed_message"),
        ({"expiry": "soon"}, "malformed_message"),
        ({"policy": None}, "malformed_message"),
        ({"more": 1}, "malformed_message"),
    ],
    ids=range(23),
)
def test_another_form_is_refused(changes: dict[str, Any], code: str) -> None:
    refused(code, Intent.decode, value(**changes))


def test_the_largest_payload_is_read() -> None:
    size = MAX_SIZE - 512
    assert len(Intent.decode(value(payload=bytes(size))).payload) == size


@given(st.data())
def test_whatever_is_read_is_written_again_byte_for_byte(data: st.DataObject) -> None:
    """A requester's signature is over the id of these bytes: no other bytes may have it."""
    raw = bytearray(HONEST.encode())
    for _ in range(data.draw(st.integers(1, 2))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        intent = Intent.decode(bytes(raw))
    except Refusal:
        return
    assert intent.encode() == bytes(raw)


def test_every_field_is_signed() -> None:
    key = REQUESTER_KEYS[REQUESTER]
    signature = key.sign(b"strongroom/request/v1" + HONEST.intent_id)
    HONEST.verify(signature)
    other = next(each for each in REQUESTER_KEYS if each != REQUESTER)
    changed: list[dict[str, Any]] = [
        {"wallet": b"\1" + bytes(31)},
        {"kind": "evm-transaction"},
        {"chain": "evm:1"},
        {"path": (0,)},
        {"replaces": b"\1" * 16},
        {"payload": b"hellO"},
        {"request": b"\1" + bytes(15)},
        {"requester": other},
        {"expiry": HONEST.expiry + 1},
        {"policy": bytes(32)},
    ]
    for changes in changed:
        refused("intent_signature", dataclasses.replace(HONEST, **changes).verify, signature)


def test_a_signature_of_other_bytes_is_refused() -> None:
    key = REQUESTER_KEYS[REQUESTER]
    for message in (HONEST.encode(), HONEST.intent_id, b"strongroom/order-signature/v1" + HONEST.intent_id):
        refused("intent_signature", HONEST.verify, key.sign(message))
    refused("intent_signature", HONEST.verify, b"")
