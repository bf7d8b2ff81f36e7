"""A wallet's order: what officers sign, and every signer and client holds on to (docs/specification.md section 4)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from strongroom import schemes, signatures
from strongroom.errors import Refusal
from strongroom.evidence.statement import Mode, Root, TrustRoot
from strongroom.journal.quorum import MAX_JOURNALS, Quorum
from strongroom.policy.document import Policy
from strongroom.signer.configuration import NAME, Officers, parse_mode
from strongroom.wire import cbor
from strongroom.wire.fields import Fields, bytes_item, text_item

MAX_PARTIES = 9
NITRO_MEASUREMENTS = frozenset({"pcr0", "pcr1", "pcr2", "pcr16"})


@dataclass(frozen=True)
class Labels:
    """What a person must know of a signer to judge who commands its share.

    The officers' claims, but for the first three, which follow from the root.
    """

    sealed_by: str
    computes_in: str
    code_attested_by: str
    operator: str
    account: str
    region: str
    machine: str

    def value(self) -> dict[str, cbor.Value]:
        return {name: getattr(self, name) for name in _LABELS}

    @classmethod
    def parse(cls, fields: Fields) -> Labels:
        labels = cls(*(fields.text(name, most=64) for name in _LABELS))
        fields.end()
        return labels


_LABELS = tuple(Labels.__dataclass_fields__)
_FIXED: Mapping[Root, tuple[str, str, str]] = {
    "nitro": ("kms", "enclave", "nsm"),
    "pkcs11": ("pkcs11", "process", "nobody"),
}


@dataclass(frozen=True)
class Member:
    """One signer of the roster. trust: SHA-256 of its root certificate's DER; measurements: its reference values."""

    name: str
    root: Root
    trust: bytes
    measurements: Mapping[str, bytes]
    labels: Labels

    def value(self) -> dict[str, cbor.Value]:
        return {
            "name": self.name,
            "root": self.root,
            "trust": self.trust,
            "measurements": dict(self.measurements),
            "labels": self.labels.value(),
        }

    @classmethod
    def parse(cls, value: cbor.Value) -> Member:
        fields = Fields(value, "member")
        name, root, trust = fields.text("name"), _root(fields.text("root")), fields.blob("trust", size=32)
        measurements = fields.raw("measurements")
        labels = Labels.parse(fields.fields("labels"))
        fields.end()
        if not isinstance(measurements, dict):
            raise Refusal("malformed_message", "member.measurements is not a map")
        return cls(name, root, trust, {key: bytes_item(item) for key, item in measurements.items()}, labels).checked()

    def checked(self) -> Member:
        if not NAME.fullmatch(self.name):
            raise Refusal("bad_order", "a signer's name is 1 to 32 of a-z, 0-9 and inner hyphens")
        names = frozenset(self.measurements)
        if not names >= NITRO_MEASUREMENTS if self.root == "nitro" else names != {"configuration"}:
            raise Refusal("bad_order", f"{self.name} lacks reference values that its root can measure")
        fixed = (self.labels.sealed_by, self.labels.computes_in, self.labels.code_attested_by)
        if fixed != _FIXED[self.root]:
            raise Refusal("bad_order", f"the labels of {self.name} claim what its root {self.root} does not give")
        return self

    def trust_root(self, mode: Mode) -> TrustRoot:
        return TrustRoot(self.root, mode, self.trust)


def _root(text: str) -> Root:
    if text == "nitro":
        return "nitro"
    if text == "pkcs11":
        return "pkcs11"
    raise Refusal("bad_order", "a root of trust is nitro or pkcs11")


@dataclass(frozen=True)
class Order:
    mode: Mode
    scheme: str
    threshold: int
    roster: tuple[Member, ...]
    officers: Officers
    policy: Policy
    unaudited: tuple[str, ...]
    nonce: bytes
    witnesses: tuple[Member, ...] = ()
    """Journals without a share: the same program, on machines of their own."""

    def __post_init__(self) -> None:
        names = [member.name for member in self.roster]
        everyone = (*self.roster, *self.witnesses)
        if len({member.name for member in everyone}) != len(everyone):
            raise Refusal("bad_order", "two members of the roster share a name")
        if len(everyone) > MAX_JOURNALS:
            raise Refusal("bad_order", f"signers and witnesses are at most {MAX_JOURNALS} together")
        if not 2 <= self.threshold <= len(names) <= MAX_PARTIES:
            raise Refusal("bad_order", f"the threshold and the roster must be 2 <= t <= n <= {MAX_PARTIES}")
        instances = [member.measurements["pcr4"] for member in everyone if "pcr4" in member.measurements]
        if len(set(instances)) != len(instances):
            raise Refusal("bad_order", "two enclaves are measured with one PCR4: they are on one instance")
        suite = schemes.suite(self.scheme)
        if suite.all_sign and self.threshold != len(names):
            raise Refusal("bad_order", f"{self.scheme} wants every signer: threshold {len(names)}")
        if not suite.audited and self.scheme not in self.unaudited:
            raise Refusal(
                "suite_not_accepted", f"{self.scheme} was audited by nobody, and the order does not accept that"
            )
        for member in everyone:
            member.trust_root(self.mode)
        self.require_counted(self.policy)

    def require_counted(self, policy: Policy) -> None:
        """A window is a promise about all that was signed, which a signer that remembers for itself alone cannot keep:
        others signed what it never saw, and a start of it forgets. Raises Refusal `bad_order`."""
        if policy.counts and not self.witnesses:
            raise Refusal(
                "bad_order", "the policy limits what is sent over time: name witnesses, or take its windows out"
            )

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(member.name for member in self.roster)

    @cached_property
    def journals(self) -> tuple[str, ...]:
        """Whoever keeps one: the roster, then the witnesses."""
        return (*self.names, *(member.name for member in self.witnesses))

    @cached_property
    def quorum(self) -> Quorum | None:
        """Of the journals; None where the order names no witness, and each signer remembers for itself."""
        return Quorum(len(self.journals), self.threshold) if self.witnesses else None

    def member(self, name: str) -> Member:
        """A signer or a witness."""
        for member in (*self.roster, *self.witnesses):
            if member.name == name:
                return member
        raise Refusal("not_in_roster", f"the order's roster does not name {name[:32]}")

    def index(self, name: str) -> int:
        """The party number, from 1."""
        if name not in self.names:
            raise Refusal("not_in_roster", f"the order's roster does not name {name[:32]}")
        return self.names.index(name) + 1

    def sorted_set(self, names: Iterable[str]) -> tuple[str, ...]:
        """A set of signers in roster order. Raises Refusal unless it is `threshold` distinct members."""
        chosen = tuple(names)
        if len(set(chosen)) != len(chosen) or len(chosen) != self.threshold:
            raise Refusal("malformed_message", f"a set is exactly {self.threshold} distinct signers")
        indices = sorted(self.index(name) for name in chosen)
        return tuple(self.names[index - 1] for index in indices)

    def encode(self) -> bytes:
        return cbor.encode(
            {
                "v": 1,
                "mode": self.mode,
                "scheme": self.scheme,
                "threshold": self.threshold,
                "roster": [member.value() for member in self.roster],
                "officers": self.officers.value(),
                "policy": self.policy.value(),
                "unaudited": list(self.unaudited),
                "nonce": self.nonce,
                "witnesses": [member.value() for member in self.witnesses],
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Order:
        fields = Fields.decode(data, "order")
        fields.version()
        order = cls(
            parse_mode(fields.text("mode")),
            fields.text("scheme"),
            fields.integer("threshold", most=MAX_PARTIES),
            fields.items("roster", Member.parse, most=MAX_PARTIES),
            Officers.parse(fields.fields("officers")),
            Policy.parse(fields.fields("policy")),
            fields.items("unaudited", text_item),
            fields.blob("nonce", size=32),
            fields.items("witnesses", Member.parse, most=MAX_JOURNALS),
        )
        fields.end()
        return order


def order_id(order: bytes) -> bytes:
    return hashlib.sha256(b"strongroom/order/v1" + order).digest()


def order_signing_bytes(identifier: bytes) -> bytes:
    """What an officer signs with Ed25519."""
    return b"strongroom/order-signature/v1" + identifier


@dataclass(frozen=True)
class SignedOrder:
    """The order's very bytes with the officers' signatures, sorted by key."""

    raw: bytes
    order: Order
    signatures: tuple[tuple[bytes, bytes], ...]

    @cached_property
    def order_id(self) -> bytes:
        return order_id(self.raw)

    def encode(self) -> bytes:
        return cbor.encode({"order": self.raw, "signatures": [list(pair) for pair in self.signatures]})

    @classmethod
    def of(cls, order: Order, signed: Mapping[bytes, bytes]) -> SignedOrder:
        """signed: signature by officer's public key."""
        return cls(order.encode(), order, tuple(sorted(signed.items())))

    @classmethod
    def decode(cls, data: bytes) -> SignedOrder:
        fields = Fields.decode(data, "signed order")
        raw = fields.blob("order", most=1 << 18)
        pairs = fields.items("signatures", signatures.item, most=16)
        fields.end()
        return cls(raw, Order.decode(raw), pairs)

    def verify(self, officers: Officers) -> SignedOrder:
        """The officers pinned by the verifier are the order's, and their quorum signed it. Raises Refusal."""
        if self.order.officers != officers:
            raise Refusal("order_not_signed", "the order names other officers than those pinned here")
        message = order_signing_bytes(self.order_id)
        signatures.require_quorum(self.signatures, message, officers.keys, officers.quorum, "order_not_signed")
        return self
