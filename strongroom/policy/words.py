"""Words that a policy's explanation and refusals share: a rule reads alike where it is signed and where it refuses."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Final

from strongroom.policy.terms import DAYS, Bound, Hours, Source

_LAST: Final = 253402300799
"""Unix seconds of the year 9999's end, beyond which there is no date to write."""

_UNITS: Final = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def duration(seconds: int) -> str:
    for unit, size in _UNITS:
        count, rest = divmod(seconds, size)
        if count and not rest:
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "no time"


def moment(seconds: int) -> str:
    """seconds: Unix time."""
    if seconds > _LAST:
        return "a day after the year 9999"
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%d %H:%M:%S} UTC"


def both(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def either(words: Sequence[str]) -> str:
    return " or ".join(words)


def hours(each: Hours) -> str:
    days = both([DAYS[day] for day in each.days])
    start, end = (f"{minutes // 60:02}:{minutes % 60:02}" for minutes in (each.start, each.end))
    sign = "-" if each.offset < 0 else "+"
    return f"{days} from {start} to {end} (UTC{sign}{abs(each.offset) // 60:02}:{abs(each.offset) % 60:02})"


def bound(each: Bound) -> str:
    what = argument(each)
    if each.to is not None:
        return f"{what} is on {either(each.to)}"
    return f"{what} is from {each.least or 0} to {'any number' if each.most is None else each.most}"


def argument(each: Bound) -> str:
    return f"bytes {each.at} to {each.at + each.size}" if each.size else f"account {each.at}"


def source(each: Source) -> str:
    """All that it names must hold."""
    return both([either(names) for names in (each.networks, each.countries) if names])
