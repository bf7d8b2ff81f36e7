"""A release: what officers say that a wallet's enclaves measure from now on, and the proof that it may take over.

The order's roster is release 1. A later one replaces the reference values of the members that it names; it is active
once `threshold` of them signed the release test together, with the wallet's own key (docs/specification.md section 17).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from strongroom.errors import Refusal
from strongroom.signer.configuration import NAME
from strongroom.wire import cbor
from strongroom.wire.fields import Fields, bytes_item, text_item

ORDERED: Final = bytes(32)
"""Stands for the hash of release 1, which is the order's roster."""

MAX_MEMBERS: Final = 16
MAX_MEASUREMENTS: Final = 32
PCR: Final = 48

Measured = Mapping[str, bytes]


@dataclass(frozen=True)
class Release:
    """number: 2 for the first after the order. previous: hash of the release that it takes the place of.

    members: by name, sorted; what each of them measures instead.
    """

    wallet: bytes
    number: int
    previous: bytes
    members: tuple[tuple[str, Measured], ...]

    def __post_init__(self) -> None:
        names = [name for name, _ in self.members]
        if not names or names != sorted(set(names)) or not all(NAME.fullmatch(name) for name in names):
            raise Refusal("release_refused", "a release names distinct members, sorted")
        for name, measured in self.members:
            if "pcr4" in measured or any(len(value) != PCR for value in measured.values()):
                raise Refusal("release_refused", f"{name} names pcr4, an instance's, or what is not {PCR} bytes")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.members)

    def digest(self) -> bytes:
        """The release hash, 32 bytes."""
        return hashlib.sha256(b"strongroom/release/v1" + cbor.encode(self.value())).digest()

    def value(self) -> dict[str, cbor.Value]:
        members: list[cbor.Value] = [{"name": name, "measurements": dict(measured)} for name, measured in self.members]
        return {
            "v": 1,
            "wallet": self.wallet,
            "number": self.number,
            "previous": self.previous,
            "members": members,
        }

    @classmethod
    def parse(cls, fields: Fields) -> Release:
        fields.version()
        release = cls(
            fields.blob("wallet", size=32),
            fields.integer("number", least=2),
            fields.blob("previous", size=32),
            fields.items("members", _member, most=MAX_MEMBERS),
        )
        fields.end()
        return release


@dataclass(frozen=True)
class Activation:
    """release: its hash. signers: who signed the release test, in roster order. signature: by the wallet's key."""

    wallet: bytes
    release: bytes
    signers: tuple[str, ...]
    signature: bytes

    def value(self) -> dict[str, cbor.Value]:
        return {
            "v": 1,
            "wallet": self.wallet,
            "release": self.release,
            "set": list(self.signers),
            "signature": self.signature,
        }

    @classmethod
    def parse(cls, fields: Fields) -> Activation:
        fields.version()
        activation = cls(
            fields.blob("wallet", size=32),
            fields.blob("release", size=32),
            fields.items("set", text_item, most=MAX_MEMBERS),
            fields.blob("signature", most=128),
        )
        fields.end()
        return activation


@dataclass(frozen=True)
class Named:
    """What a release said of a member. number, release: its number and hash."""

    number: int
    release: bytes
    measured: Measured


@dataclass(frozen=True)
class Active:
    """The release in force. members: by name, what the last release said that named them."""

    number: int = 1
    digest: bytes = ORDERED
    members: Mapping[str, Named] = field(default_factory=dict)

    def since(self, name: str) -> int:
        """The release that a member's reference values are of."""
        return self.members[name].number if name in self.members else 1

    @property
    def measurements(self) -> dict[str, Measured]:
        return {name: named.measured for name, named in self.members.items()}

    def follow(self, release: Release) -> Active:
        """Raises Refusal `release_refused` for a release that does not follow this one."""
        if release.previous != self.digest or release.number <= self.number:
            raise Refusal("release_refused", f"it does not follow release {self.number}, which is active here")
        digest = release.digest()
        named = {name: Named(release.number, digest, measured) for name, measured in release.members}
        return Active(release.number, digest, {**self.members, **named})

    def value(self) -> list[cbor.Value]:
        rows: list[cbor.Value] = [
            [name, each.number, each.release, dict(each.measured)] for name, each in sorted(self.members.items())
        ]
        return [self.number, self.digest, rows]

    @classmethod
    def parse(cls, value: cbor.Value) -> Active:
        """Of what `value` gave, sealed by its reader itself."""
        fields = row(value, "number", "digest", "members")
        members = dict(fields.items("members", _named))
        return cls(fields.integer("number", least=1), fields.blob("digest", size=32), members)


def release_test(wallet: bytes, release: bytes, signers: tuple[str, ...]) -> bytes:
    """32 bytes that signers of that release alone sign, and only while it waits. release: its hash."""
    names = b"".join(bytes((len(name),)) + name.encode() for name in signers)
    return hashlib.sha256(b"strongroom/release-test/v1" + wallet + release + names).digest()


def row(value: cbor.Value, *names: str) -> Fields:
    """A list of this length, its items by name."""
    if not isinstance(value, list) or len(value) != len(names):
        raise Refusal("malformed_message", f"a row is {', '.join(names)}")
    return Fields(dict(zip(names, value, strict=True)), "row")


def _member(value: cbor.Value) -> tuple[str, Measured]:
    fields = Fields(value, "member")
    name, measured = fields.text("name", most=32), _measured(fields.raw("measurements"))
    fields.end()
    return name, measured


def _named(value: cbor.Value) -> tuple[str, Named]:
    fields = row(value, "name", "number", "release", "measurements")
    name, number = fields.text("name"), fields.integer("number", least=2)
    return name, Named(number, fields.blob("release", size=32), _measured(fields.raw("measurements")))


def _measured(value: cbor.Value) -> Measured:
    if not isinstance(value, dict) or len(value) > MAX_MEASUREMENTS:
        raise Refusal("malformed_message", f"measurements are a map of at most {MAX_MEASUREMENTS}")
    return {name: bytes_item(each) for name, each in value.items()}
