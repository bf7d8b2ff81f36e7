"""A history in memory: what a journal answers, without one."""

from __future__ import annotations

from dataclasses import dataclass, field

from strongroom.policy.history import Spend


@dataclass
class Past:
    """rows: (Unix seconds, spend)."""

    rows: list[tuple[int, Spend]] = field(default_factory=list)

    def add(self, at: int, *spends: Spend) -> None:
        self.rows += [(at, spend) for spend in spends]

    def spent(self, asset: str | None, rule: str | None, to: str | None, since: int) -> tuple[int, int]:
        found = [
            spend.amount
            for at, spend in self.rows
            if at >= since and asset in (None, spend.asset) and rule in (None, spend.rule) and to in (None, spend.to)
        ]
        return sum(found), len(found)
