"""Who may approve a request, what they sign, and whether enough of them did."""

from __future__ import annotations

from strongroom.approval.approval import MAX_APPROVALS, Approval, Decision, approval_digest, verify
from strongroom.approval.approver import Approver, Key, Passkey, check_registry
from strongroom.approval.count import Tally, count_verified, require, tally
from strongroom.approval.demand import Demand, check_demand

__all__ = [
    "MAX_APPROVALS",
    "Approval",
    "Approver",
    "Decision",
    "Demand",
    "Key",
    "Passkey",
    "Tally",
    "approval_digest",
    "check_demand",
    "check_registry",
    "count_verified",
    "require",
    "tally",
    "verify",
]
