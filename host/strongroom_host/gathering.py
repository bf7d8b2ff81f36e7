"""What a request has of the approvals that its policy demands, and what it still waits for.

Each is verified once, when it comes. The host only collects: every signer verifies and counts again, so that a host
that drops one stops the request, and one that makes one up stops it too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from strongroom.approval import Approval, Approver, Demand, Tally, count_verified, verify
from strongroom.errors import Refusal
from strongroom.intent.intent import Intent
from strongroom.policy.document import Policy
from strongroom_host.screening import Screening
from strongroom_host.storage.approvals import Approvals


@dataclass(frozen=True)
class Asked:
    """A request, with the policy that it was made under and what that demands."""

    intent: Intent
    raw: bytes
    signature: bytes
    policy: Policy
    demands: tuple[Demand, ...]

    @property
    def request(self) -> str:
        return self.intent.request.hex()


@dataclass(frozen=True)
class Gathered:
    """raw: the approvals' bytes, for the signers. missing: a sentence for each demand that waits."""

    raw: tuple[bytes, ...]
    missing: tuple[str, ...]


class Gathering:
    def __init__(self, kept: Approvals, screening: Screening) -> None:
        self.kept = kept
        self.screening = screening

    def add(self, asked: Asked, raw: bytes) -> Approval:
        """Raises Refusal `unknown_approver` or `approval_invalid`; nothing was kept then."""
        approval = Approval.decode(raw)
        known = {each.name: each for each in asked.policy.approvers}
        if approval.approver not in known:
            raise Refusal("unknown_approver", f"the policy names no approver {approval.approver[:32]!r}")
        verify(approval, known[approval.approver], asked.intent.intent_id)
        self.kept.add(asked.request, raw)
        return approval

    def gather(self, asked: Asked) -> Gathered:
        """Asks the machines that are demanded and have not answered. Raises Refusal `approval_rejected` for a veto, and
        `screening_silent` for a machine that gave no answer: its silence is a no."""
        counted = self._counted(asked)
        if counted.missing and not counted.rejected:
            for approver in self._machines(asked):
                self._ask(asked, approver)
            counted = self._counted(asked)
        if counted.rejected:
            raise Refusal("approval_rejected", f"rejected by {', '.join(counted.rejected)}")
        return Gathered(tuple(each.raw for each in self.kept.of(asked.request)), counted.missing)

    def missing(self, asked: Asked) -> tuple[str, ...]:
        """What it waits for, without asking anybody."""
        return self._counted(asked).missing

    def _counted(self, asked: Asked) -> Tally:
        approvals: Sequence[Approval] = [each.approval for each in self.kept.of(asked.request)]
        return count_verified(asked.demands, approvals, asked.policy.approvers, asked.intent.requester)

    def _machines(self, asked: Asked) -> Iterator[Approver]:
        groups = {group for demand in asked.demands for group, _ in demand.of}
        answered = {each.approval.approver for each in self.kept.of(asked.request)}
        for approver in asked.policy.approvers:
            wanted = approver.kind == "machine" and groups & set(approver.groups)
            if wanted and approver.name in self.screening and approver.name not in answered:
                yield approver

    def _ask(self, asked: Asked, approver: Approver) -> None:
        raw = self.screening.ask(approver.name, asked.request, asked.raw, asked.signature)
        if raw is None:
            raise Refusal("screening_silent", f"{approver.name} gave no answer in time")
        if self.add(asked, raw).approver != approver.name:
            raise Refusal("screening_silent", f"{approver.name} answered with an approval that is not its own")
