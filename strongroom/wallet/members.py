"""One member's evidence, judged by what the officers' order says of that member."""

from __future__ import annotations

from strongroom.errors import Refusal
from strongroom.evidence import verify as evidence
from strongroom.evidence.statement import Statement, require_binding, require_measurements
from strongroom.wallet.order import Order

BOOT_KEY = 32


def verify_member(order: Order, name: str, document: bytes, *, nonce: bytes, user_data: bytes, at: int) -> Statement:
    """The document is of this member, answers this nonce, is bound to this user data. Raises Refusal `evidence_*`."""
    member = order.member(name)
    root = member.trust_root(order.mode)
    statement = evidence.verify(document, kind=member.root, roots=(root,), at=at)
    require_binding(statement, nonce=nonce, user_data=user_data)
    require_measurements(statement, member.measurements)
    if member.root == "pkcs11" and statement.subject != name:
        raise Refusal("evidence_binding", f"the certificate is of {statement.subject[:32]}, not of {name}")
    boot_key(statement)
    return statement


def boot_key(statement: Statement) -> bytes:
    """The Ed25519 key of the process that answered. Raises Refusal `evidence_binding` where there is none."""
    if statement.public_key is None or len(statement.public_key) != BOOT_KEY:
        raise Refusal("evidence_binding", "the document carries no boot key")
    return statement.public_key
