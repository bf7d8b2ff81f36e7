"""One member's evidence, judged by what officers say of that member: in the order, or in a release since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from strongroom.errors import Refusal
from strongroom.evidence import verify as evidence
from strongroom.evidence.statement import Mode, Statement, require_binding, require_measurements
from strongroom.policy.release import Measured, Release
from strongroom.wallet.order import NITRO_MEASUREMENTS, Member, Order

BOOT_KEY = 32


class References(Protocol):
    """Who is asked for evidence, and what it must measure: an order, or the roster of a later release."""

    @property
    def mode(self) -> Mode: ...

    def member(self, name: str) -> Member:
        """Raises Refusal `not_in_roster`."""


@dataclass(frozen=True)
class Roster:
    """members: by name."""

    mode: Mode
    members: Mapping[str, Member]

    def member(self, name: str) -> Member:
        if name not in self.members:
            raise Refusal("not_in_roster", f"the roster does not name {name[:32]}")
        return self.members[name]


def roster_of(order: Order, measurements: Mapping[str, Measured]) -> Roster:
    """The order's members, with these reference values in place of their own."""
    everyone = {member.name: member for member in (*order.roster, *order.witnesses)}
    changed = {name: replace(everyone[name], measurements=measured) for name, measured in measurements.items()}
    return Roster(order.mode, {**everyone, **changed})


def require_release(order: Order, active: Mapping[str, Measured], release: Release) -> None:
    """It names enclaves of this order, enough of them to sign, and of each what the order demands.

    active: what the active release says instead of the order. Raises Refusal `release_refused`.
    """
    roster = roster_of(order, active)
    for name, measured in release.members:
        member = roster.members.get(name)
        if member is None or member.root != "nitro":
            raise Refusal("release_refused", f"the wallet's order names no enclave {name}")
        if not frozenset(measured) >= NITRO_MEASUREMENTS | member.measurements.keys() - {"pcr4"}:
            raise Refusal("release_refused", f"a register of {name} that was pinned before is missing")
        if measured["pcr16"] == member.measurements["pcr16"]:
            raise Refusal("release_refused", f"{name} has the same PCR16: a release seals under a KMS key of its own")
    signers = [name for name in release.names if name in order.names]
    if len(signers) < order.threshold:
        raise Refusal(
            "release_refused", f"it names {len(signers)} signers; {order.threshold} must sign its test together"
        )


def verify_member(
    roster: References, name: str, document: bytes, *, nonce: bytes, user_data: bytes, at: int
) -> Statement:
    """The document is of this member, answers this nonce, is bound to this user data. Raises Refusal `evidence_*`."""
    member = roster.member(name)
    root = member.trust_root(roster.mode)
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
