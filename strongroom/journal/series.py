"""Amounts in the order of their times: what fell within a window costs two bisections, however many there are.

By the hour, with running sums over the hours before: what arrives or goes at either end, as nearly all does, touches
one hour, and the sums behind it are made again when they are next asked for.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from itertools import accumulate
from typing import Final

HOUR: Final = 3600


class _Hour:
    """What fell within one hour."""

    __slots__ = ("amounts", "sums")

    def __init__(self) -> None:
        self.amounts: list[tuple[int, int]] = []
        """(time, amount), ascending."""
        self.sums: list[int] | None = None
        """Of what is before each, then of all. None where something changed since."""

    def sum(self) -> int:
        return self._running()[-1]

    def since(self, at: int) -> tuple[int, int]:
        sums = self._running()
        place = bisect_left(self.amounts, (at, 0))
        return sums[-1] - sums[place], len(self.amounts) - place

    def _running(self) -> list[int]:
        if self.sums is None:
            self.sums = list(accumulate((amount for _, amount in self.amounts), initial=0))
        return self.sums


class Series:
    """Amounts are not negative. Not thread safe."""

    __slots__ = ("_before", "_hours", "_number", "_numbers", "_sum", "_sums")

    def __init__(self) -> None:
        self._numbers: list[int] = []
        """Of the hours that hold something, ascending."""
        self._hours: list[_Hour] = []
        self._sums: list[tuple[int, int]] = []
        self._before = 0
        """So many of `_sums` hold; each is (sum, number) of its hour and all before."""
        self._sum = self._number = 0

    def __len__(self) -> int:
        return self._number

    def add(self, at: int, amount: int) -> None:
        number = at // HOUR
        place = bisect_left(self._numbers, number)
        if place == len(self._numbers) or self._numbers[place] != number:
            self._numbers.insert(place, number)
            self._hours.insert(place, _Hour())
        hour = self._hours[place]
        insort(hour.amounts, (at, amount))
        self._change(place, hour, amount, 1)

    def remove(self, at: int, amount: int) -> None:
        """One that was added with these. Raises KeyError where there is none."""
        place = bisect_left(self._numbers, at // HOUR)
        hour = self._hours[place] if place < len(self._hours) else _Hour()
        found = bisect_left(hour.amounts, (at, amount))
        if hour.amounts[found : found + 1] != [(at, amount)]:
            raise KeyError((at, amount))
        del hour.amounts[found]
        self._change(place, hour, -amount, -1)
        if not hour.amounts:
            del self._numbers[place], self._hours[place]

    def since(self, at: int) -> tuple[int, int]:
        """(sum, number) of what is at that time or later."""
        place = bisect_left(self._numbers, at // HOUR)
        amount, number = 0, 0
        if self._numbers[place : place + 1] == [at // HOUR]:
            amount, number = self._hours[place].since(at)
            place += 1
        before, earlier = self._until(place)
        return amount + self._sum - before, number + self._number - earlier

    def _until(self, place: int) -> tuple[int, int]:
        """Of all hours before the place."""
        del self._sums[self._before :]
        amount, number = self._sums[-1] if self._sums else (0, 0)
        for hour in self._hours[len(self._sums) : place]:
            amount, number = amount + hour.sum(), number + len(hour.amounts)
            self._sums.append((amount, number))
        self._before = len(self._sums)
        return self._sums[place - 1] if place else (0, 0)

    def _change(self, place: int, hour: _Hour, amount: int, number: int) -> None:
        hour.sums = None
        self._sum += amount
        self._number += number
        self._before = min(self._before, place)
