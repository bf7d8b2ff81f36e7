"""What a journal says when it has reserved, and what a signer wants to have heard before its share is used.

The checks of `agreed`, in order:

 1. One's own journal has reserved; its acknowledgement is one of those that count
 2. Every other one is of this request and intent; channel and ceremony are bound by the seal
 3. Where a limit counts on the set: all digests are equal                      journal_behind
 4. No acknowledgement is of an earlier start than another one's sender knows   journal_superseded
 5. There are w of them                                                         journal_quorum
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from strongroom.errors import Refusal
from strongroom.journal.quorum import MAX_JOURNALS
from strongroom.wire import cbor
from strongroom.wire.fields import Fields

MAX_INCARNATION = 1 << 63


@dataclass(frozen=True)
class Acknowledgement:
    """digest: of the journal's whole set with this request in it. views: the highest incarnation it knows of others."""

    request: bytes
    intent: bytes
    digest: bytes
    incarnation: int
    views: Mapping[str, int]

    def encode(self) -> bytes:
        return cbor.encode(
            {
                "v": 1,
                "request": self.request,
                "intent": self.intent,
                "digest": self.digest,
                "incarnation": self.incarnation,
                "views": dict(self.views),
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Acknowledgement:
        fields = Fields.decode(data, "acknowledgement")
        fields.version()
        read = cls(
            fields.blob("request", size=16),
            fields.blob("intent", size=32),
            fields.blob("digest", size=32),
            fields.integer("incarnation", most=MAX_INCARNATION),
            views_of(fields.raw("views")),
        )
        fields.end()
        return read


def views_of(value: cbor.Value) -> dict[str, int]:
    if not isinstance(value, dict) or len(value) > MAX_JOURNALS:
        raise Refusal("malformed_message", f"views are a map of at most {MAX_JOURNALS}")
    for number in value.values():
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= MAX_INCARNATION:
            raise Refusal("malformed_message", "a view is an incarnation's number")
    return {name: number for name, number in value.items() if isinstance(number, int)}


def agreed(
    name: str, own: Acknowledgement, others: Mapping[str, Acknowledgement], wanted: int, *, counted: bool
) -> tuple[str, ...]:
    """Names of w journals, oneself among them, that agree. Raises Refusal with those that stand in the way as culprits.

    wanted: w; so many as a waiver names, while one is in force. counted: whether a limit was computed from the set.
    Without one, that each of w has this request and nothing that conflicts with it is enough, since any two sets of w
    share an honest journal.
    """
    heard = {name: own}
    other_set: list[str] = []
    for sender, each in others.items():
        if sender == name or (each.request, each.intent) != (own.request, own.intent):
            raise Refusal(
                "channel_link",
                f"the acknowledgement of {sender} is of another request",
                culprits=(sender,),
                verdict="link",
            )
        if counted and each.digest != own.digest:
            other_set.append(sender)
        else:
            heard[sender] = each
    if len(heard) < wanted:
        if len(heard) + len(other_set) >= wanted:
            reason = f"{', '.join(other_set)} remember another set of reservations than {name}"
            raise Refusal("journal_behind", reason, culprits=tuple(other_set))
        reason = f"{len(heard)} journals acknowledged; {wanted} must"
        raise Refusal("journal_quorum", reason)
    for chosen in combinations([sender for sender in heard if sender != name], wanted - 1):
        group = (name, *chosen)
        if not _stale(group, heard):
            return group
    culprits = tuple(sorted(_stale(tuple(heard), heard)))
    raise Refusal(
        "journal_superseded",
        f"acknowledgements of {', '.join(culprits)} are of an earlier start than others know of",
        culprits=culprits,
    )


def _stale(group: tuple[str, ...], heard: Mapping[str, Acknowledgement]) -> set[str]:
    """Those of whom somebody in the group knows a later incarnation: a clone, or a start before the last."""
    return {
        sender
        for sender in group
        if any(heard[other].views.get(sender, 0) > heard[sender].incarnation for other in group if other != sender)
    }
