"""Fetches a request from the host, and the wallet's certificate afresh: bytes to be judged, nothing to be shown."""

from __future__ import annotations

import time
from typing import Any

from strongroom.approval import Approval
from strongroom.errors import Refusal
from strongroom.evidence.statement import Mode
from strongroom.intent.intent import Intent
from strongroom.policy.lists import Proof
from strongroom.signer.configuration import Officers
from strongroom.wire import cbor
from strongroom_client import wallets
from strongroom_client.api import Api, Json, unhex
from strongroom_client.approving.reading import Reading, read
from strongroom_client.directed import directed


def fetch(api: Api, request: str, *, officers: Officers, mode: Mode) -> Reading:
    """Every rule of `wallets` and of `reading`. Raises Refusal."""
    wanted = identifier(request)
    answer = api.request(wanted.hex())
    raw, signature = unhex(answer, "intent"), unhex(answer, "intent_signature")
    wallet = wallets.verify_for_use(api, Intent.decode(raw).wallet.hex(), officers=officers, mode=mode).body
    policies = directed(api, wallet).policies
    return read(wanted, raw, signature, wallet, policies, approvals(answer), int(time.time()), proofs(answer))


def proofs(answer: Json) -> tuple[Proof, ...]:
    rows: Any = answer.get("proofs") or []
    if not isinstance(rows, list):
        raise Refusal("malformed_message", "the host's answer has proofs that are no list")
    return tuple(Proof.parse(cbor.decode(unhex({"proof": row}, "proof"))) for row in rows)


def approvals(answer: Json) -> tuple[Approval, ...]:
    """As the host hands them on, unverified."""
    rows: Any = answer.get("approvals")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Refusal("malformed_message", "the host's answer has no list of approvals")
    return tuple(Approval.decode(unhex(row, "approval")) for row in rows)


def identifier(request: str) -> bytes:
    try:
        raw = bytes.fromhex(request)
    except ValueError:
        raw = b""
    if len(raw) != 16:
        raise Refusal("malformed_message", "a request's id is 16 bytes in hexadecimal")
    return raw
