"""Intents: what is to be signed, and all that selects the key or changes the meaning (specification section 6)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from strongroom import signatures
from strongroom.chains import evm
from strongroom.errors import Refusal
from strongroom.wire import cbor
from strongroom.wire.fields import Fields

Kind = Literal["evm-transaction", "message"]
MAX_LIFE = 24 * 3600
"""Seconds that an intent's expiry may lie ahead."""


@dataclass(frozen=True)
class Intent:
    wallet: bytes
    kind: Kind
    payload: bytes
    request: bytes
    requester: bytes
    expiry: int
    policy: bytes
    path: tuple[int, ...] = ()

    def encode(self) -> bytes:
        return cbor.encode(
            {
                "v": 1,
                "wallet": self.wallet,
                "path": list(self.path),
                "kind": self.kind,
                "payload": self.payload,
                "request": self.request,
                "requester": self.requester,
                "expiry": self.expiry,
                "policy": self.policy,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Intent:
        fields = Fields.decode(data, "intent")
        fields.version()
        path = fields.raw("path")
        if path != []:
            raise Refusal("intent_mismatch", "derivation paths are not offered in this version: path must be empty")
        intent = cls(
            fields.blob("wallet", size=32),
            _kind(fields.text("kind")),
            fields.blob("payload", most=evm.MAX_SIZE),
            fields.blob("request", size=16),
            fields.blob("requester", size=32),
            fields.integer("expiry"),
            fields.blob("policy", size=32),
        )
        fields.end()
        return intent

    @cached_property
    def intent_id(self) -> bytes:
        return intent_id(self.encode())

    def verify(self, signature: bytes) -> None:
        """The requester signed this very intent. Raises Refusal `intent_signature`."""
        if not signatures.verify(self.requester, signature, intent_signing_bytes(self.intent_id)):
            raise Refusal("intent_signature", "the requester's signature does not verify")


def intent_id(intent: bytes) -> bytes:
    return hashlib.sha256(b"strongroom/intent/v1" + intent).digest()


def intent_signing_bytes(identifier: bytes) -> bytes:
    """What a requester signs with Ed25519."""
    return b"strongroom/request/v1" + identifier


def _kind(text: str) -> Kind:
    if text == "evm-transaction":
        return "evm-transaction"
    if text == "message":
        return "message"
    raise Refusal("unsupported_transaction", "an intent's kind is evm-transaction or message")
