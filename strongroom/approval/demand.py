"""What a policy demands before a request is signed: so much of each of some groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from strongroom.approval.approver import NAME, Approver
from strongroom.errors import Refusal
from strongroom.wire import cbor
from strongroom.wire.fields import Fields

MAX_PARTS: Final = 4
MAX_NEED: Final = 8


@dataclass(frozen=True)
class Demand:
    """of: (group, weight) pairs sorted by group, all of which must be met, each approver counting for one of them.

    "2 of treasury and 1 of compliance" is Demand((("compliance", 1), ("treasury", 2))). requester: whether the
    approval of whoever made the request counts too.
    """

    of: tuple[tuple[str, int], ...]
    requester: bool = False

    def __post_init__(self) -> None:
        groups = [group for group, _ in self.of]
        if not 1 <= len(groups) <= MAX_PARTS or not all(left < right for left, right in pairwise(groups)):
            raise Refusal("bad_demand", f"a demand names 1 to {MAX_PARTS} distinct sorted groups")
        if not all(NAME.fullmatch(group) and 1 <= need <= MAX_NEED for group, need in self.of):
            raise Refusal("bad_demand", f"a demand is a group's name and a weight from 1 to {MAX_NEED}")

    def __str__(self) -> str:
        return " and ".join(f"{need} of {group}" for group, need in self.of)

    def value(self) -> dict[str, cbor.Value]:
        return {"of": [list(part) for part in self.of], "requester": self.requester}

    @classmethod
    def parse(cls, value: cbor.Value) -> Demand:
        fields = Fields(value, "demand")
        demand = cls(fields.items("of", _part, most=MAX_PARTS), fields.flag("requester"))
        fields.end()
        return demand

    def met(self, approved: Sequence[Approver]) -> tuple[int, ...]:
        """What the best assignment of these approvers reaches of each part, in the order of `of`.

        One who is in several of the groups counts for one of them: "2 of treasury and 1 of compliance" is three
        people. Which one is searched for, not guessed: the set of sums that can be reached stays below 9**4.
        """
        needs = [need for _, need in self.of]
        reached = {(0,) * len(needs)}
        for approver in approved:
            more = set()
            for sums in reached:
                for index, (group, need) in enumerate(self.of):
                    if group in approver.groups:
                        more.add((*sums[:index], min(need, sums[index] + approver.weight), *sums[index + 1 :]))
            reached |= more
        return max(reached, key=lambda sums: (sum(sums), sums))


def check_demand(demand: Demand, approvers: Sequence[Approver]) -> None:
    """All approvers together could meet it. Raises Refusal `bad_demand`."""
    if demand.met(approvers) != tuple(need for _, need in demand.of):
        raise Refusal("bad_demand", f"the approvers of this policy cannot meet {demand}")


def _part(value: cbor.Value) -> tuple[str, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise Refusal("malformed_message", "a part of a demand is a pair of group and weight")
    group, need = value
    if not isinstance(group, str) or not isinstance(need, int) or isinstance(need, bool):
        raise Refusal("malformed_message", "a part of a demand is a pair of group and weight")
    return group, need
