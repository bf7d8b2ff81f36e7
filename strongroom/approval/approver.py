"""The registry of approvers: entries of a policy, which officers signed (docs/specification.md section 13)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final, Literal, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from strongroom import signatures
from strongroom.errors import Refusal
from strongroom.wire import cbor
from strongroom.wire.fields import Fields, bytes_item, text_item

Algorithm = Literal["ed25519", "p256"]
Kind = Literal["person", "machine"]
Row = TypeVar("Row", str, bytes)

NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
RP: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
ORIGIN: Final = re.compile(r"(?:https://[a-z0-9.-]{1,253}|http://localhost)(?::[1-9][0-9]{0,4})?")
"""No character that JSON escapes, so that an origin stands in client data as it stands here."""

MAX_APPROVERS: Final = 64
MAX_GROUPS: Final = 8
MAX_WEIGHT: Final = 8
MAX_ORIGINS: Final = 4
MAX_CREDENTIAL: Final = 1023
"""Bytes of a credential's id (WebAuthn level 3, section 4)."""

_ECDSA: Final = ec.ECDSA(hashes.SHA256())
_ECDSA_OF_DIGEST: Final = ec.ECDSA(utils.Prehashed(hashes.SHA256()))


@dataclass(frozen=True)
class Key:
    """public: Ed25519: 32 bytes of RFC 8032; p256: the 33 bytes of a compressed point (SEC 1), so that one key has one
    encoding."""

    algorithm: Algorithm
    public: bytes

    def __post_init__(self) -> None:
        if self.algorithm == "ed25519":
            if len(self.public) != signatures.KEY:
                raise Refusal("bad_approver", "an Ed25519 key is 32 bytes")
        elif len(self.public) != 33 or self._point is None:
            raise Refusal("bad_approver", "a P-256 key is a point of the curve, compressed to 33 bytes")

    @cached_property
    def _point(self) -> ec.EllipticCurvePublicKey | None:
        try:
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), self.public)
        except ValueError:
            return None

    @property
    def holder(self) -> tuple[str, bytes]:
        """The same for two keys that one secret commands: a point and its negative have one coordinate in common."""
        if self.algorithm == "ed25519":
            return self.algorithm, self.public[:-1] + bytes((self.public[-1] & 0x7F,))
        return self.algorithm, self.public[1:]

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Ed25519 (64 bytes), or ECDSA with SHA-256 in DER, as WebAuthn has both."""
        if self.algorithm == "ed25519":
            return signatures.verify(self.public, signature, message)
        return self._ecdsa(signature, message, _ECDSA)

    def verify_digest(self, signature: bytes, digest: bytes) -> bool:
        """A signature of 64 bytes: Ed25519 over the digest; of P-256, r and s over the digest itself, as a token
        (CKM_ECDSA) or a KMS gives it that is handed 32 bytes."""
        if len(signature) != signatures.SIGNATURE:
            return False
        if self.algorithm == "ed25519":
            return signatures.verify(self.public, signature, digest)
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        return self._ecdsa(utils.encode_dss_signature(r, s), digest, _ECDSA_OF_DIGEST)

    def _ecdsa(self, signature: bytes, message: bytes, algorithm: ec.ECDSA) -> bool:
        if self._point is None:
            return False
        try:
            self._point.verify(signature, message, algorithm)
        except InvalidSignature:
            return False
        return True

    def value(self) -> dict[str, cbor.Value]:
        return {"algorithm": self.algorithm, "public": self.public}

    @classmethod
    def parse(cls, fields: Fields) -> Key:
        key = cls(_algorithm(fields.text("algorithm")), fields.blob("public", most=33))
        fields.end()
        return key


@dataclass(frozen=True)
class Passkey:
    """A key that an authenticator holds, used through WebAuthn.

    rp: the relying party's id. origins: where it may be used, ports included, sorted. credential: its id, for the
    client that asks for it; no signer needs it.
    """

    rp: str
    origins: tuple[str, ...]
    credential: bytes

    def __post_init__(self) -> None:
        if not RP.fullmatch(self.rp):
            raise Refusal("bad_approver", "a relying party's id is a domain in lower case, or localhost")
        if not 1 <= len(self.origins) <= MAX_ORIGINS or not _ascending(self.origins):
            raise Refusal("bad_approver", f"a passkey has 1 to {MAX_ORIGINS} distinct sorted origins")
        if not all(ORIGIN.fullmatch(origin) for origin in self.origins):
            raise Refusal("bad_approver", "an origin is https://HOST, or http://localhost, and a port where it has one")
        if not 1 <= len(self.credential) <= MAX_CREDENTIAL:
            raise Refusal("bad_approver", f"a credential's id has 1 to {MAX_CREDENTIAL} bytes")

    def value(self) -> dict[str, cbor.Value]:
        return {"rp": self.rp, "origins": list(self.origins), "credential": self.credential}

    @classmethod
    def parse(cls, fields: Fields) -> Passkey:
        passkey = cls(
            fields.text("rp"),
            fields.items("origins", text_item, most=MAX_ORIGINS),
            fields.blob("credential", most=MAX_CREDENTIAL),
        )
        fields.end()
        return passkey


@dataclass(frozen=True)
class Approver:
    """passkey: None for a key that signs digests as they are. weight: how much its approval counts.

    requests_as: the Ed25519 keys with which the same person, or machine, makes requests: without them nobody could
    see that a requester approves itself with another key. Sorted, as groups are.
    """

    name: str
    kind: Kind
    groups: tuple[str, ...]
    weight: int
    key: Key
    passkey: Passkey | None = None
    requests_as: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise Refusal("bad_approver", "an approver's name is 1 to 32 of a-z, 0-9 and inner hyphens")
        if not 1 <= len(self.groups) <= MAX_GROUPS or not _ascending(self.groups):
            raise Refusal("bad_approver", f"{self.name} is in 1 to {MAX_GROUPS} distinct sorted groups")
        if not all(NAME.fullmatch(group) for group in self.groups):
            raise Refusal("bad_approver", "a group's name is 1 to 32 of a-z, 0-9 and inner hyphens")
        if not 1 <= self.weight <= MAX_WEIGHT:
            raise Refusal("bad_approver", f"the weight of {self.name} is from 1 to {MAX_WEIGHT}")
        if self.kind == "machine" and self.passkey is not None:
            raise Refusal("bad_approver", f"{self.name} is a machine: nobody can touch a passkey for it")
        if not _ascending(self.requests_as) or any(len(key) != signatures.KEY for key in self.requests_as):
            raise Refusal("bad_approver", f"{self.name} requests with distinct sorted Ed25519 keys of 32 bytes")

    def requested(self, requester: bytes) -> bool:
        """Whether this is who made a request. requester: its Ed25519 key."""
        return requester in self.requests_as or Key("ed25519", requester).holder == self.key.holder

    def value(self) -> dict[str, cbor.Value]:
        return {
            "name": self.name,
            "kind": self.kind,
            "groups": list(self.groups),
            "weight": self.weight,
            "key": self.key.value(),
            "passkey": None if self.passkey is None else self.passkey.value(),
            "requests_as": list(self.requests_as),
        }

    @classmethod
    def parse(cls, value: cbor.Value) -> Approver:
        fields = Fields(value, "approver")
        name, kind = fields.text("name"), _kind(fields.text("kind"))
        groups = fields.items("groups", text_item, most=MAX_GROUPS)
        weight, key, passkey = fields.integer("weight", most=MAX_WEIGHT), Key.parse(fields.fields("key")), None
        held = fields.raw("passkey")
        if held is not None:
            passkey = Passkey.parse(Fields(held, "approver.passkey"))
        requests_as = fields.items("requests_as", bytes_item, most=4)
        fields.end()
        return cls(name, kind, groups, weight, key, passkey, requests_as)


def check_registry(approvers: Sequence[Approver]) -> None:
    """A policy's approvers: sorted by name, one for each key, and no group of people and machines together, so that a
    demand of people is never met by a machine. Raises Refusal `bad_approver`."""
    if len(approvers) > MAX_APPROVERS or not _ascending([each.name for each in approvers]):
        raise Refusal("bad_approver", f"a policy's approvers are at most {MAX_APPROVERS}, distinct and sorted by name")
    if len({each.key.holder for each in approvers}) != len(approvers):
        raise Refusal("bad_approver", "two approvers have one key, which would count twice")
    people = {group for each in approvers if each.kind == "person" for group in each.groups}
    machines = {group for each in approvers if each.kind == "machine" for group in each.groups}
    if people & machines:
        raise Refusal("bad_approver", f"people and machines share the group {min(people & machines)}")


def _ascending(rows: Sequence[Row]) -> bool:
    return all(left < right for left, right in pairwise(rows))


def _algorithm(text: str) -> Algorithm:
    # RS256 and whatever else an authenticator offers is not here: two algorithms, pinned by the officers.
    if text == "ed25519":
        return "ed25519"
    if text == "p256":
        return "p256"
    raise Refusal("bad_approver", "an approver's key is of ed25519 or p256")


def _kind(text: str) -> Kind:
    if text == "person":
        return "person"
    if text == "machine":
        return "machine"
    raise Refusal("bad_approver", "an approver is a person or a machine")
