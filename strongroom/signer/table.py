"""What a signer does when: one row for each operation on a wallet.

phases: in which the operation is allowed. success, failure: the wallet's phase after; None leaves it as it was.
Operations that concern no wallet yet (status, evidence, tickets, order.accept, handover.open and what whoever
arrives asks after it) have no row: they are always allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from strongroom.errors import Refusal

Phase = Literal["ordered", "dealing", "dealt", "certified", "stopped", "witness"]


@dataclass(frozen=True)
class Rule:
    phases: frozenset[Phase]
    success: Phase | None = None
    failure: Phase | None = None


def _in(*phases: Phase, success: Phase | None = None, failure: Phase | None = None) -> Rule:
    return Rule(frozenset(phases), success, failure)


_ALIVE: Final[tuple[Phase, ...]] = ("ordered", "dealing", "dealt", "certified", "witness")

TABLE: Final[Mapping[str, Rule]] = {
    # Channels are for every ceremony, the DKG's too.
    "channel.open": _in(*_ALIVE),
    "channel.answer": _in(*_ALIVE),
    "channel.prove": _in(*_ALIVE),
    "channel.accept": _in(*_ALIVE),
    "channel.finish": _in(*_ALIVE),
    # A DKG that did not end everywhere is dealt again; a certified wallet never is. A start that is refused changes
    # nothing: a share that is held is held on to.
    "dkg.start": _in("ordered", "dealing", "dealt", success="dealing"),
    "dkg.done": _in("dealing", success="dealt", failure="ordered"),
    "wallet.load": _in("ordered", success="dealt"),
    "pair.start": _in("dealt", "certified"),
    "test.start": _in("dealt", "certified"),
    "wallet.certify": _in("dealt", "certified", success="certified"),
    "wallet.attest": _in("certified"),
    "sign.start": _in("certified"),
    # Officers are heard whatever else is wrong with a wallet.
    "policy.install": _in("dealt", "certified", "stopped", "witness"),
    "policy.renew": _in("dealt", "certified", "stopped", "witness"),
    "policy.freeze": _in("dealt", "certified", "stopped", "witness"),
    "policy.load": _in("dealt", "certified", "stopped", "witness"),
    "policy.show": _in("dealt", "certified", "stopped", "witness"),
    "release.install": _in("dealt", "certified", "stopped", "witness"),
    "release.activate": _in("dealt", "certified", "stopped", "witness"),
    # Whoever arrives asks before it holds anything, by the order alone: these two have no row of their own.
    "handover.answer": _in("certified", "stopped", "witness"),
    "handover.give": _in("certified", "stopped", "witness"),
    "handover.keep": _in("certified", "witness"),
    # A witness holds no share: it is shown the certificate, and keeps a journal.
    "wallet.witness": _in("ordered", "witness", success="witness"),
    "journal.open": _in("certified", "witness"),
    "journal.ask": _in("certified", "witness"),
    "journal.tell": _in("certified", "witness"),
    "journal.hear": _in("certified", "witness"),
    "journal.reserve": _in("certified", "witness"),
    "journal.checkpoint": _in("certified", "witness"),
    "journal.waive": _in("certified", "witness"),
}

REMEDIES: Final[Mapping[Phase, str]] = {
    "ordered": "has an order but no share yet",
    "dealing": "is in the middle of its DKG",
    "dealt": "has a share, but no certificate that this signer attested",
    "certified": "is complete",
    "witness": "has only its journal here, no share",
    "stopped": "was stopped after ceremonies that failed without a culprit",
}


def require(operation: str, phase: Phase) -> Rule:
    """The operation's row. Raises Refusal `wrong_phase` or `wallet_stopped` where the phase does not allow it."""
    rule = TABLE[operation]
    if phase not in rule.phases:
        code = "wallet_stopped" if phase == "stopped" else "wrong_phase"
        raise Refusal(code, f"{operation} is not allowed now: the wallet {REMEDIES[phase]}")
    return rule
