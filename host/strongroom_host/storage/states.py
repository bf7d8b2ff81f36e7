"""The states of a request, and every step that is allowed between them. Nothing else moves a request.

`pending` waits for approvals that the policy demands: nothing was sent to a signer, and it keeps no nonce from others.
`unknown` begins before a request of the ceremony's last trip is sent to anybody: from there on a signature may exist,
and only identical bytes may be tried again. A request is `failed` only when none can exist: the worker that marked it
`unknown` and then never came to the last trip says so itself; after a crash nobody can.
`replaced`: another transaction of the same nonce is in a block, and this one in none. Whatever a reorganisation takes
away with that block, it gives back to this request the state that it had.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

from strongroom.errors import Refusal

State = Literal[
    "received",
    "pending",
    "judged",
    "signing",
    "unknown",
    "signed",
    "broadcast",
    "included",
    "confirmed",
    "replaced",
    "refused",
    "failed",
    "expired",
]

STATES: Final[tuple[State, ...]] = get_args(State)

ALLOWED: Final[Mapping[State, frozenset[State]]] = {
    "received": frozenset({"pending", "judged", "refused", "expired", "failed"}),
    "pending": frozenset({"judged", "refused", "failed", "expired"}),
    "judged": frozenset({"signing", "unknown", "refused", "failed", "expired"}),
    "signing": frozenset({"unknown", "refused", "failed", "expired"}),
    "unknown": frozenset({"signed", "replaced", "refused", "failed", "expired"}),
    "signed": frozenset({"broadcast", "replaced"}),
    "broadcast": frozenset({"included", "replaced"}),
    "included": frozenset({"confirmed", "broadcast"}),  # back: the block was reorganised away
    "confirmed": frozenset(),
    "replaced": frozenset({"broadcast", "signed", "unknown"}),  # back: the other's block was reorganised away
    "refused": frozenset({"pending", "judged"}),  # the same bytes again, once the reason is gone
    "failed": frozenset({"pending", "judged"}),
    "expired": frozenset(),
}

ABANDONED: Final[Mapping[State, State]] = {"received": "failed", "judged": "failed", "signing": "failed"}
"""What becomes of a request whose worker died. `unknown` stays what it is; later states go on from where they are."""

MAY_BE_SIGNED: Final = frozenset({"unknown", "signed", "broadcast", "included"})
"""States in which a transaction may still take its nonce."""


FOLLOWED: Final = frozenset({"unknown", "signed", "broadcast", "included", "replaced"})
"""Whose chain is asked what became of the nonce."""


def require(before: State, after: State) -> None:
    """Raises Refusal `request_conflict` for a step that the table lacks."""
    if after not in ALLOWED[before]:
        raise Refusal("request_conflict", f"a request that is {before} cannot become {after}")


def state(text: str) -> State:
    """A stored state. Raises ValueError for what none of our programs wrote."""
    for known in STATES:
        if known == text:
            return known
    raise ValueError(f"no such state: {text[:20]!r}")
