"""Intents: what is to be signed, and all that selects the key or changes the meaning (specification section 6)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, get_args

from strongroom import signatures
from strongroom.errors import Refusal
from strongroom.wire import cbor
from strongroom.wire.fields import Fields

Kind = Literal[
    "evm-transaction",
    "evm-text",
    "evm-typed-data",
    "evm-authorization",
    "bitcoin-psbt",
    "bitcoin-text",
    "solana-transaction",
    "solana-text",
    "message",
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

MAX_LIFE = 24 * 3600
"""Seconds that an intent's expiry may lie ahead."""

MAX_SIZE: Final = 1 << 20
"""Bytes of an intent: room for a PSBT with the transactions that it spends."""

MAX_STEPS: Final = 5
"""Of a derivation path: purpose, coin, account, chain, index (BIP-44)."""

_HARDENED: Final = 1 << 31


@dataclass(frozen=True)
class Intent:
    """chain: as effects name it, `evm:1`; empty for kind `message`. path: BIP-32 steps from the wallet's key to the one
    that signs. replaces: the request that this one is to take the place of, its id; None for a new one.
    """

    wallet: bytes
    kind: Kind
    payload: bytes
    request: bytes
    requester: bytes
    expiry: int
    policy: bytes
    chain: str = ""
    path: tuple[int, ...] = ()
    replaces: bytes | None = None

    def encode(self) -> bytes:
        return cbor.encode(
            {
                "v": 2,
                "wallet": self.wallet,
                "path": list(self.path),
                "kind": self.kind,
                "chain": self.chain,
                "payload": self.payload,
                "request": self.request,
                "replaces": self.replaces,
                "requester": self.requester,
                "expiry": self.expiry,
                "policy": self.policy,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Intent:
        if len(data) > MAX_SIZE:
            raise Refusal("malformed_message", f"an intent has at most {MAX_SIZE} bytes")
        fields = Fields.decode(data, "intent")
        fields.version(2)
        intent = cls(
            fields.blob("wallet", size=32),
            _kind(fields.text("kind")),
            fields.blob("payload", most=MAX_SIZE),
            fields.blob("request", size=16),
            fields.blob("requester", size=32),
            fields.integer("expiry"),
            fields.blob("policy", size=32),
            fields.text("chain", most=64),
            fields.items("path", _step, most=MAX_STEPS),
            fields.optional_blob("replaces", size=16),
        )
        fields.end()
        if intent.replaces == intent.request:
            raise Refusal("malformed_message", "an intent does not replace itself")
        return intent

    @cached_property
    def intent_id(self) -> bytes:
        return intent_id(self.encode())

    def verify(self, signature: bytes) -> None:
        """The requester signed this very intent. Raises Refusal `intent_signature`."""
        if not signatures.verify(self.requester, signature, intent_signing_bytes(self.intent_id)):
            raise Refusal("intent_signature", "the requester's signature does not verify")


def intent_id(intent: bytes) -> bytes:
    return hashlib.sha256(b"strongroom/intent/v2" + intent).digest()


def intent_signing_bytes(identifier: bytes) -> bytes:
    """What a requester signs with Ed25519."""
    return b"strongroom/request/v1" + identifier


def _kind(text: str) -> Kind:
    for known in KINDS:
        if known == text:
            return known
    raise Refusal("unsupported_transaction", f"an intent's kind is one of {', '.join(KINDS)}")


def _step(value: cbor.Value) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _HARDENED:
        raise Refusal("malformed_message", "a path's step is an integer below 2^31: hardened ones need the whole key")
    return value
