"""Amounts, durations, times and addresses between people's text and a policy's integers."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Any, Final

from strongroom.chains import evm
from strongroom.chains.bitcoin import bech32
from strongroom.chains.solana import base58
from strongroom.errors import Refusal
from strongroom.policy.names import LARGEST

_UNITS: Final[Mapping[str, tuple[str, int]]] = {
    "wei": ("evm", 0),
    "gwei": ("evm", 9),
    "ether": ("evm", 18),
    "satoshi": ("bitcoin", 0),
    "btc": ("bitcoin", 8),
    "lamports": ("solana", 0),
    "sol": ("solana", 9),
}
"""Kind of chain whose own coin it counts, and decimals."""

_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_AMOUNT: Final = re.compile(r"([0-9]{1,78}(?:\.[0-9]{1,18})?) ?([a-z]*)")
_DURATION: Final = re.compile(r"([0-9]{1,9}) (second|minute|hour|day|week)s?")
_PREFIXES: Final = ("bc", "tb", "bcrt")


def amount(value: Any, asset: str | None = None) -> int:
    """`"1500000"` in the asset's smallest unit, or `"1.5 ether"` where its coin is known. Raises Refusal `bad_file`."""
    found = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise Refusal("bad_file", f'{str(value)[:40]!r} is no amount: decimal digits as text, such as "1500"')
    digits, unit = found.groups()
    kind, decimals = _UNITS.get(unit, ("", 0))
    if unit and (not kind or asset is None or not (asset.startswith(f"{kind}:") and asset.endswith("/native"))):
        raise Refusal("bad_file", f"{value!r} is no amount of {asset or 'several assets'}: give its smallest unit")
    # In integers: Decimal rounds to 28 digits without a word.
    whole, _, fraction = digits.partition(".")
    fraction = fraction.rstrip("0")
    exact = int(whole + fraction.ljust(decimals, "0"))
    if len(fraction) > decimals or exact > LARGEST:
        raise Refusal("bad_file", f"{value!r} is no whole number of the smallest unit, of 256 bits")
    return exact


def duration(value: Any) -> int:
    """Seconds of `"7 days"`, `"90 minutes"`, or of a plain number of seconds. Raises Refusal `bad_file`."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise Refusal("bad_file", f'{str(value)[:40]!r} is no duration such as "7 days", or seconds as a number')
    return int(found[1]) * _SECONDS[found[2]]


def duration_text(seconds: int) -> str:
    for unit in ("week", "day", "hour", "minute", "second"):
        count, rest = divmod(seconds, _SECONDS[unit])
        if count and not rest:
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "0 seconds"


def moment(value: Any) -> int:
    """Unix seconds of `"2026-11-25T08:00:00Z"`, with an offset or Z. Raises Refusal `bad_file`."""
    try:
        read = datetime.datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        read = None
    if read is None or read.tzinfo is None:
        raise Refusal("bad_file", f'{str(value)[:40]!r} is no time such as "2026-11-25T08:00:00Z"')
    return int(read.timestamp())


def moment_text(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def address(value: Any) -> str:
    """The one spelling, after the chain's own checksum. Raises Refusal."""
    if not isinstance(value, str):
        raise Refusal("bad_file", "an address is text")
    if value.startswith("0x"):
        return evm.text(evm.parse_address(value))
    prefix = value.lower().rpartition("1")[0]
    if prefix in _PREFIXES:
        bech32.decode(prefix, value)
        return value.lower()
    base58.decode(value, 32)
    return value


def clock(value: Any) -> int:
    """Minutes of `"08:30"`; `"24:00"` is the day's end. Raises Refusal `bad_file`."""
    found = re.fullmatch(r"([0-9]{2}):([0-5][0-9])", value) if isinstance(value, str) else None
    minutes = int(found[1]) * 60 + int(found[2]) if found else 1441
    if minutes > 1440:
        raise Refusal("bad_file", f'{str(value)[:20]!r} is no time of the day such as "08:30"')
    return minutes


def clock_text(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def offset(value: Any) -> int:
    """Minutes ahead of UTC of `"+01:00"`. Raises Refusal `bad_file`."""
    if not isinstance(value, str) or value[:1] not in ("+", "-"):
        raise Refusal("bad_file", f'{str(value)[:20]!r} is no offset from UTC such as "+01:00"')
    return clock(value[1:]) * (1 if value[0] == "+" else -1)


def offset_text(minutes: int) -> str:
    return ("-" if minutes < 0 else "+") + clock_text(abs(minutes))
