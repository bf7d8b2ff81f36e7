"""Windows of velocity: how much, and how often, in any so many seconds on end; and when there is room again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from strongroom.errors import Refusal
from strongroom.policy import words
from strongroom.policy.document import Policy
from strongroom.policy.history import History, Spend
from strongroom.policy.items import Item
from strongroom.policy.rules import Rule
from strongroom.policy.terms import Window

AHEAD: Final = 60
"""Seconds that what was agreed to before may lie ahead of the judge's clock: twice what journals allow each other."""


def require_velocity(
    policy: Policy,
    rules: Sequence[Rule],
    found: Sequence[Item],
    spends: Sequence[Spend],
    now: int,
    history: History,
) -> None:
    """Raises Refusal `policy_velocity`, which says when as much may go."""
    endless = frozenset(item.asset for item in found if item.amount is None)
    for rule in rules:
        own = [spend for spend in spends if spend.rule == rule.name]
        for window in rule.windows:
            _Judge(window, f"rule {rule.name}", rule.name, endless, now, history).require(own)
    for window in policy.windows:
        _Judge(window, "the wallet", None, endless, now, history).require(spends)


@dataclass(frozen=True)
class _Judge:
    """Of one window. whose, rule: of whom it is. endless: assets of which everything could be taken."""

    window: Window
    whose: str
    rule: str | None
    endless: frozenset[str]
    now: int
    history: History

    def require(self, spends: Sequence[Spend]) -> None:
        window = self.window
        counted = [spend for spend in spends if window.asset in (None, spend.asset)]
        for to in dict.fromkeys(spend.to if window.each else None for spend in counted):
            now_to = [spend for spend in counted if to in (None, spend.to)]
            if window.count is not None:
                self._require_count(window.count, len(now_to), to)
            if window.amount is not None:
                for asset in dict.fromkeys(spend.asset for spend in now_to if spend.asset):
                    amount = sum(spend.amount for spend in now_to if spend.asset == asset)
                    self._require_sum(window.amount, amount, asset, to)

    def _require_count(self, most: int, number: int, to: str | None) -> None:
        def count(since: int) -> int:
            return self.history.spent(self.window.asset, self.rule, to, since)[1]

        before = count(self._since(self.now))
        if before + number > most:
            reason = f"{self._place(to)}: {before} payments of at most {most} were made"
            raise Refusal("policy_velocity", f"{reason}; for {number} there is room {self._room(most, number, count)}")

    def _require_sum(self, most: int, amount: int, asset: str, to: str | None) -> None:
        def total(since: int) -> int:
            return self.history.spent(asset, self.rule, to, since)[0]

        if asset in self.endless:
            reason = f"an allowance without end cannot be counted against {most}: give it an amount"
            raise Refusal("policy_velocity", f"{self._place(to)}: {reason}")
        before = total(self._since(self.now))
        if before + amount > most:
            left = max(most - before, 0)
            reason = f"{self._place(to)}: {before} of {most} of {asset} are spent; {left} may go now"
            raise Refusal("policy_velocity", f"{reason}; for {amount} there is room {self._room(most, amount, total)}")

    def _place(self, to: str | None) -> str:
        return f"{self.whose}, {self.window.seconds} s" + ("" if to is None else f", to {to}")

    def _since(self, then: int) -> int:
        """The first second that is within the window at that time."""
        return then - self.window.seconds + 1

    def _room(self, most: int, wanted: int, before: Callable[[int], int]) -> str:
        """When as much may go, if nothing else does until then. before: what counts since a time, less the later it is,
        so that a dozen or two questions find it, however much there is."""
        early, late = self.now, self.now + self.window.seconds + AHEAD
        if before(self._since(late)) + wanted > most:
            return "never, as it is more than the window allows"
        while late - early > 1:
            middle = (early + late) // 2
            if before(self._since(middle)) + wanted > most:
                early = middle
            else:
                late = middle
        return f"at {words.moment(late)}, in {late - self.now} seconds"
