"""An approval: one decision on one intent, signed by one key of the registry (docs/specification.md section 13)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Literal

from strongroom.approval import webauthn
from strongroom.approval.approver import Approver
from strongroom.approval.webauthn import Assertion
from strongroom.errors import Refusal
from strongroom.wire import cbor
from strongroom.wire.fields import Fields

Decision = Literal["approve", "reject"]

MAX_SIZE: Final = 4096
MAX_APPROVALS: Final = 32

_NUMBERS: Final[dict[Decision, bytes]] = {"reject": b"\x00", "approve": b"\x01"}


def approval_digest(decision: Decision, intent_id: bytes) -> bytes:
    """The 32 bytes that a key file signs, and that are the challenge of a passkey."""
    return hashlib.sha256(b"strongroom/approval/v1" + _NUMBERS[decision] + intent_id).digest()


@dataclass(frozen=True)
class Approval:
    """approver: a name of the registry. proof: a signature of 64 bytes, or a passkey's assertion."""

    approver: str
    decision: Decision
    proof: bytes | Assertion

    def encode(self) -> bytes:
        proof = self.proof.value() if isinstance(self.proof, Assertion) else self.proof
        return cbor.encode({"v": 1, "approver": self.approver, "decision": self.decision, "proof": proof})

    @classmethod
    def decode(cls, data: bytes) -> Approval:
        if len(data) > MAX_SIZE:
            raise Refusal("oversized_message", f"an approval is at most {MAX_SIZE} bytes")
        fields = Fields.decode(data, "approval")
        fields.version()
        approver, decision, proof = fields.text("approver"), _decision(fields.text("decision")), fields.raw("proof")
        fields.end()
        if isinstance(proof, bytes):
            return cls(approver, decision, proof)
        return cls(approver, decision, Assertion.parse(Fields(proof, "approval.proof")))


def verify(approval: Approval, approver: Approver, intent_id: bytes) -> None:
    """The approver's key signed this decision on this intent. Raises Refusal `approval_invalid`."""
    digest = approval_digest(approval.decision, intent_id)
    if isinstance(approval.proof, Assertion):
        if approver.passkey is None:
            raise Refusal("approval_invalid", f"{approver.name} has a plain key, and an assertion came for it")
        webauthn.verify(approval.proof, approver.key, approver.passkey, digest, approver.name)
    elif approver.passkey is not None:
        # A passkey that signed something else than an assertion would have skipped presence and origin.
        raise Refusal("approval_invalid", f"{approver.name} has a passkey, and a bare signature came for it")
    elif not approver.key.verify_digest(approval.proof, digest):
        raise Refusal("approval_invalid", f"the signature of {approver.name} does not verify for this request")


def _decision(text: str) -> Decision:
    if text == "approve":
        return "approve"
    if text == "reject":
        return "reject"
    raise Refusal("malformed_message", "a decision is approve or reject")
