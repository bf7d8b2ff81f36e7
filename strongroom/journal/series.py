"""Amounts in the order of their times, with running sums: what fell within a window costs two bisections."""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class Series:
    """New amounts come last, nearly always; an earlier one costs what lies behind it."""

    __slots__ = ("_before", "_sums", "_times")

    def __init__(self) -> None:
        self._times: list[int] = []
        self._sums: list[int] = []
        self._before = 0
        """The running sum of what was dropped."""

    def __len__(self) -> int:
        return len(self._times)

    def add(self, at: int, amount: int) -> None:
        place = bisect_right(self._times, at)
        self._times.insert(place, at)
        self._sums.insert(place, self._sum(place) + amount)
        for later in range(place + 1, len(self._sums)):
            self._sums[later] += amount

    def remove(self, at: int, amount: int) -> None:
        """One that was added with these. Raises KeyError where there is none."""
        place = bisect_left(self._times, at)
        while place < len(self._times) and self._times[place] == at:
            if self._sums[place] - self._sum(place) == amount:
                del self._times[place], self._sums[place]
                if place == 0:
                    self._before += amount
                    return
                for later in range(place, len(self._sums)):
                    self._sums[later] -= amount
                return
            place += 1
        raise KeyError((at, amount))

    def since(self, at: int) -> tuple[int, int]:
        """(sum, number) of what is at that time or later."""
        place = bisect_left(self._times, at)
        return self._sum(len(self._sums)) - self._sum(place), len(self._times) - place

    def _sum(self, place: int) -> int:
        """Of everything before the place."""
        return self._sums[place - 1] if place else self._before
