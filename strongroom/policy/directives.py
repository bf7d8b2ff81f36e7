"""What officers sign about a wallet that exists: its next policy, a renewal, a freeze, the next officers, a release.

Each is canonical bytes under a tag of its own, so that no signature of one is a signature of another, or of an order.
An activation travels alike and no officer signs it: the wallet's own key did.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, get_args

from strongroom import signatures
from strongroom.errors import Refusal
from strongroom.policy.document import Policy
from strongroom.policy.release import Activation, Release
from strongroom.signer.configuration import MAX_OFFICERS, Officers
from strongroom.wire import cbor
from strongroom.wire.fields import Fields

Kind = Literal["policy", "renewal", "freeze", "officers", "release", "activation"]

MAX_SIZE: Final = 1 << 18
"""Bytes of a directive's body: a policy with its lists written out."""


@dataclass(frozen=True)
class Renewal:
    """The lease of one policy runs until `until`, Unix seconds; a signer counts no longer than its `lease` from now."""

    wallet: bytes
    policy: bytes
    until: int

    def value(self) -> dict[str, cbor.Value]:
        return {"v": 1, "wallet": self.wallet, "policy": self.policy, "until": self.until}

    @classmethod
    def parse(cls, fields: Fields) -> Renewal:
        fields.version()
        renewal = cls(fields.blob("wallet", size=32), fields.blob("policy", size=32), fields.integer("until"))
        fields.end()
        return renewal


@dataclass(frozen=True)
class Freeze:
    """Nothing is signed under any version of the policy up to this one. A later one thaws."""

    wallet: bytes
    version: int

    def value(self) -> dict[str, cbor.Value]:
        return {"v": 1, "wallet": self.wallet, "version": self.version}

    @classmethod
    def parse(cls, fields: Fields) -> Freeze:
        fields.version()
        freeze = cls(fields.blob("wallet", size=32), fields.integer("version", least=1))
        fields.end()
        return freeze


@dataclass(frozen=True)
class NextOfficers:
    """Who signs directives once it takes effect. version: 2 for the set after an order's. previous: H of that set."""

    wallet: bytes
    version: int
    previous: bytes
    officers: Officers

    def value(self) -> dict[str, cbor.Value]:
        return {
            "v": 1,
            "wallet": self.wallet,
            "version": self.version,
            "previous": self.previous,
            "officers": self.officers.value(),
        }

    @classmethod
    def parse(cls, fields: Fields) -> NextOfficers:
        fields.version()
        found = cls(
            fields.blob("wallet", size=32),
            fields.integer("version", least=2),
            fields.blob("previous", size=32),
            Officers.parse(fields.fields("officers")),
        )
        fields.end()
        return found


def officers_hash(officers: Officers) -> bytes:
    return hashlib.sha256(b"strongroom/officers/v1" + cbor.encode(officers.value())).digest()


def directive_signing_bytes(kind: Kind, body: bytes) -> bytes:
    """What an officer signs with Ed25519."""
    return f"strongroom/directive/{kind}/v1".encode() + hashlib.sha256(body).digest()


@dataclass(frozen=True)
class Directive:
    """A body's very bytes with officers' signatures, sorted by key. Not verified yet."""

    kind: Kind
    body: bytes
    signatures: tuple[tuple[bytes, bytes], ...]

    @classmethod
    def of(cls, kind: Kind, body: bytes, signed: Mapping[bytes, bytes]) -> Directive:
        """signed: signature by officer's public key."""
        return cls(kind, body, tuple(sorted(signed.items())))

    def encode(self) -> bytes:
        return cbor.encode(
            {"kind": self.kind, "body": self.body, "signatures": [list(pair) for pair in self.signatures]}
        )

    @classmethod
    def decode(cls, data: bytes) -> Directive:
        fields = Fields.decode(data, "directive")
        directive = cls(
            _kind(fields.text("kind")),
            fields.blob("body", most=MAX_SIZE),
            fields.items("signatures", signatures.item, most=MAX_OFFICERS),
        )
        fields.end()
        return directive

    def verify(self, officers: Officers, quorum: int) -> None:
        """At least `quorum` distinct ones of these officers signed it. Raises Refusal `directive_not_signed`."""
        message = directive_signing_bytes(self.kind, self.body)
        signatures.require_quorum(self.signatures, message, officers.keys, quorum, "directive_not_signed")

    def require(self, *kinds: Kind) -> None:
        if self.kind not in kinds:
            raise Refusal("malformed_message", f"a {self.kind} where {' or '.join(kinds)} belongs")

    def policy(self) -> Policy:
        return self._policy

    @cached_property
    def _policy(self) -> Policy:
        policy = Policy.parse(Fields.decode(self.body, "policy"))
        # What is hashed later is the policy encoded again: were it other bytes, officers had signed something else.
        if cbor.encode(policy.value()) != self.body:
            raise Refusal("malformed_policy", "the policy is not encoded canonically")
        return policy

    def renewal(self) -> Renewal:
        return Renewal.parse(Fields.decode(self.body, "renewal"))

    def freeze(self) -> Freeze:
        return Freeze.parse(Fields.decode(self.body, "freeze"))

    def officers(self) -> NextOfficers:
        return NextOfficers.parse(Fields.decode(self.body, "officers"))

    def release(self) -> Release:
        return Release.parse(Fields.decode(self.body, "release"))

    def activation(self) -> Activation:
        return Activation.parse(Fields.decode(self.body, "activation"))


Document = Policy | Renewal | Freeze | NextOfficers | Release | Activation


def body_of(document: Document) -> tuple[Kind, bytes]:
    kinds: Mapping[type, Kind] = {
        Policy: "policy",
        Renewal: "renewal",
        Freeze: "freeze",
        NextOfficers: "officers",
        Release: "release",
        Activation: "activation",
    }
    return kinds[type(document)], cbor.encode(document.value())


def _kind(text: str) -> Kind:
    for kind in get_args(Kind):
        if text == kind:
            return kind  # type: ignore[no-any-return]
    raise Refusal("malformed_message", f"a directive is one of {', '.join(get_args(Kind))}")
