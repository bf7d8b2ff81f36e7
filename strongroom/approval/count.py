"""Whether the approvals that came meet what a policy demands. The same in every signer, where it binds, and in the
host, which waits by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from strongroom.approval.approval import MAX_APPROVALS, Approval, Decision, verify
from strongroom.approval.approver import Approver
from strongroom.approval.demand import Demand
from strongroom.errors import Refusal


@dataclass(frozen=True)
class Tally:
    """Names of the registry. missing: a sentence for each demand that is not met yet."""

    approved: tuple[str, ...]
    rejected: tuple[str, ...]
    missing: tuple[str, ...]


def tally(
    demands: Sequence[Demand],
    approvals: Sequence[Approval],
    approvers: Sequence[Approver],
    intent_id: bytes,
    requester: bytes,
) -> Tally:
    """Verifies every approval, then counts. requester: the Ed25519 key that signed the intent.

    Raises Refusal: `unknown_approver` for a name that the registry lacks, or lacks by now; `approval_invalid` for a
    proof that does not hold, and for a second one by the same approver.
    """
    if len(approvals) > MAX_APPROVALS:
        raise Refusal("malformed_message", f"at most {MAX_APPROVALS} approvals come with a request")
    registry = {each.name: each for each in approvers}
    for approval in approvals:
        if approval.approver not in registry:
            raise Refusal("unknown_approver", f"the policy names no approver {approval.approver[:32]!r}")
        verify(approval, registry[approval.approver], intent_id)
    return count_verified(demands, approvals, approvers, requester)


def count_verified(
    demands: Sequence[Demand], approvals: Sequence[Approval], approvers: Sequence[Approver], requester: bytes
) -> Tally:
    """Counts what was verified before: by the host when it came. A signer verified nothing before: it calls `require`.

    Raises Refusal `approval_invalid` for a second one by the same approver.
    """
    seen: set[tuple[str, Decision]] = set()
    for approval in approvals:
        if (approval.approver, approval.decision) in seen:
            raise Refusal("approval_invalid", f"{approval.approver} would be counted twice")
        seen.add((approval.approver, approval.decision))
    rejected = tuple(sorted(name for name, decision in seen if decision == "reject"))
    approved = [each for each in approvers if (each.name, "approve") in seen and each.name not in rejected]
    missing = tuple(sentence for demand in demands if (sentence := _missing(demand, approved, requester)))
    return Tally(tuple(each.name for each in approved), rejected, missing)


def require(
    demands: Sequence[Demand],
    approvals: Sequence[Approval],
    approvers: Sequence[Approver],
    intent_id: bytes,
    requester: bytes,
) -> Tally:
    """As `tally`; raises Refusal `approval_rejected` for a veto, of whomever, and `approval_missing`."""
    counted = tally(demands, approvals, approvers, intent_id, requester)
    if counted.rejected:
        raise Refusal("approval_rejected", f"rejected by {', '.join(counted.rejected)}")
    if counted.missing:
        raise Refusal("approval_missing", "; ".join(counted.missing))
    return counted


def _missing(demand: Demand, approved: Sequence[Approver], requester: bytes) -> str:
    """Empty where the demand is met."""
    counting = [each for each in approved if demand.requester or not each.requested(requester)]
    met = demand.met(counting)
    if all(have >= need for have, (_, need) in zip(met, demand.of, strict=True)):
        return ""
    have = " and ".join(f"{each} of {group}" for each, (group, _) in zip(met, demand.of, strict=True))
    own = [each.name for each in approved if each not in counting]
    note = f"; {', '.join(own)} made the request, and does not count" if own else ""
    return f"{demand} must approve, and {have} did{note}"
