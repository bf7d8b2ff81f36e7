"""Builds a wallet's order from a roster file and a policy, and signs it with officers' keys.

Roster file: `{"mode", "signers": [{"name", "root", "trust": hex, "measurements": {name: hex}, "labels": {...}}]}`, and
`"witnesses"`, alike, where there are some.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.evidence.statement import Mode, Root
from strongroom.policy.document import Policy
from strongroom.signer.configuration import Officers, parse_mode
from strongroom.wallet.order import Labels, Member, Order, SignedOrder, order_id, order_signing_bytes
from strongroom_client import documents, keyfiles
from strongroom_client.documents import Document


def load_witnesses(path: Path) -> tuple[Member, ...]:
    """Of a roster file that names some. Raises as `load_roster`."""
    document = documents.read(path)
    if not document.has("witnesses"):
        return ()
    return document.items("witnesses", lambda value: _member(Document(value, f"{path}: a witness")))


def load_roster(path: Path) -> tuple[Mode, tuple[Member, ...]]:
    """Raises Refusal `bad_file`, `bad_configuration` or `bad_order`."""
    document = documents.read(path)
    mode = parse_mode(document.text("mode"))
    roster = document.items("signers", lambda value: _member(Document(value, f"{path}: a signer")))
    if document.has("witnesses"):
        document.take("witnesses")
    document.end()
    return mode, roster


def _member(document: Document) -> Member:
    name, root = document.text("name"), document.text("root")
    trust = document.blob("trust", 32)
    measured = document.take("measurements")
    labels = document.inner("labels")
    values = {field: labels.text(field) for field in Labels.__dataclass_fields__}
    labels.end()
    document.end()
    if root not in ("nitro", "pkcs11") or not isinstance(measured, dict):
        raise document.wrong("has a root that is neither nitro nor pkcs11, or no measurements")
    measurements = {key: document.hexadecimal(value, key) for key, value in measured.items()}
    return Member(name, cast(Root, root), trust, measurements, Labels(**values)).checked()


def roster_document(mode: Mode, roster: Iterable[Member], witnesses: Iterable[Member] = ()) -> dict[str, Any]:
    """The content of a roster file."""
    document: dict[str, Any] = {"mode": mode, "signers": _rows(roster)}
    if rows := _rows(witnesses):
        document["witnesses"] = rows
    return document


def _rows(members: Iterable[Member]) -> list[dict[str, Any]]:
    return [
        {
            "name": member.name,
            "root": member.root,
            "trust": member.trust.hex(),
            "measurements": {name: value.hex() for name, value in sorted(member.measurements.items())},
            "labels": member.labels.value(),
        }
        for member in members
    ]


def build(
    roster: tuple[Member, ...],
    policy: Policy,
    officers: Officers,
    *,
    mode: Mode,
    scheme: str,
    threshold: int,
    accept_unaudited: bool,
    nonce: bytes,
    witnesses: tuple[Member, ...] = (),
) -> Order:
    """Raises Refusal `suite_not_accepted` unless whoever asks accepted by name a suite that nobody audited."""
    unaudited = (scheme,) if accept_unaudited else ()
    return Order(mode, scheme, threshold, roster, officers, policy, unaudited, nonce, witnesses)


def sign(order: Order, keys: Iterable[Ed25519PrivateKey]) -> SignedOrder:
    """Signed by these officers, and checked against the order's own quorum. Raises Refusal `order_not_signed`."""
    message = order_signing_bytes(order_id(order.encode()))
    signed = SignedOrder.of(order, {keyfiles.public(key): key.sign(message) for key in keys})
    return signed.verify(order.officers)
