"""What rules are made of: windows of velocity, hours, bounds of arguments, domains, tiers of approvals, sources."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

from strongroom.approval.demand import Demand
from strongroom.policy.names import (
    encode_amount,
    read_optional_amount,
    require,
    require_address,
    require_amount,
    require_asset,
    require_sorted,
)
from strongroom.wire import cbor
from strongroom.wire.fields import Fields, text_item

DAY: Final = 24 * 3600
MAX_WINDOW: Final = 92 * DAY
"""Seconds that a journal must look back at most."""

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Window:
    """At most so much, and so often, in any `seconds` on end: a window that slides, not a calendar day.

    amount: of each asset by itself. count: of payments, all assets together. asset: of this one alone; None in a
    rule: whatever the rule covers; None for the wallet: everything. each: for each destination by itself.
    """

    seconds: int
    amount: int | None = None
    count: int | None = None
    each: bool = False
    asset: str | None = None

    def __post_init__(self) -> None:
        require(1 <= self.seconds <= MAX_WINDOW, f"a window is 1 to {MAX_WINDOW} seconds long")
        require(self.amount is not None or self.count is not None, "a window limits an amount, a count, or both")
        require_amount(self.amount)
        if self.asset is not None:
            require_asset(self.asset)
            require(not self.asset.endswith("/*"), "a window's asset is one, not all items of a contract")

    def value(self) -> dict[str, cbor.Value]:
        return {
            "seconds": self.seconds,
            "amount": encode_amount(self.amount),
            "count": self.count,
            "each": self.each,
            "asset": self.asset,
        }

    @classmethod
    def parse(cls, value: cbor.Value) -> Window:
        fields = Fields(value, "window")
        window = cls(
            fields.integer("seconds"),
            read_optional_amount(fields, "amount"),
            _optional_integer(fields, "count"),
            fields.flag("each"),
            fields.optional_text("asset"),
        )
        fields.end()
        return window


@dataclass(frozen=True)
class Hours:
    """When a rule allows: on these days (0 is Monday), from one minute of the day to before another.

    offset: minutes ahead of UTC. A fixed one: an enclave carries no zone data, and officers who sign a policy should
    not depend on a file that governments change.
    """

    days: tuple[int, ...]
    start: int
    end: int
    offset: int = 0

    def __post_init__(self) -> None:
        require_sorted(self.days, "days")
        require(bool(self.days) and all(0 <= day <= 6 for day in self.days), "days are 0 (Monday) to 6 (Sunday)")
        require(0 <= self.start < self.end <= 1440, "hours run from a minute of the day to a later one, at most 1440")
        require(-720 <= self.offset <= 840, "an offset from UTC is -720 to 840 minutes")

    def value(self) -> dict[str, cbor.Value]:
        return {"days": [*self.days], "start": self.start, "end": self.end, "offset": self.offset}

    @classmethod
    def parse(cls, value: cbor.Value) -> Hours:
        fields = Fields(value, "hours")
        hours = cls(
            fields.items("days", _integer_item, most=7),
            fields.integer("start"),
            fields.integer("end"),
            fields.integer("offset", least=-720, most=840),
        )
        fields.end()
        return hours

    def hold(self, now: int) -> bool:
        """now: Unix seconds."""
        local = now + 60 * self.offset
        return _weekday(local) in self.days and self.start <= local % DAY // 60 < self.end

    def opens(self, now: int) -> int:
        """The first second at or after `now`, Unix time, at which they hold: at most a week away."""
        if self.hold(now):
            return now
        local = now + 60 * self.offset
        today = local - local % DAY + 60 * self.start
        starts = (today + day * DAY for day in range(8))
        return next(start for start in starts if start > local and _weekday(start) in self.days) - 60 * self.offset


def _weekday(seconds: int) -> int:
    """0 is Monday; the first day of Unix time was a Thursday."""
    return (seconds // DAY + 3) % 7


@dataclass(frozen=True)
class Bound:
    """What one argument of a call may be.

    at, size: its bytes in the data after the method, big-endian unless `little`; of accounts (Solana), `at` is the
    account's index and size is 0. least, most: as an unsigned integer. to: it is an address of one of these lists.
    """

    at: int
    size: int
    least: int | None = None
    most: int | None = None
    to: tuple[str, ...] | None = None
    little: bool = False

    def __post_init__(self) -> None:
        require(0 <= self.at <= 1 << 17 and 0 <= self.size <= 32, "an argument has 1 to 32 bytes, or 0 for an account")
        require_amount(self.least)
        require_amount(self.most)
        bounded = self.least is not None or self.most is not None
        require(bounded or self.to is not None, "a bound of an argument bounds something")
        if self.to is not None:
            require(bool(self.to) and not bounded, "an argument is an address or an integer, not both")
            require(self.size in (0, 32) and not self.little, "an argument that is an address has 32 bytes")
            require_sorted(self.to, "an argument's lists")
        require(self.size > 0 or not bounded, "an account is no integer")

    def value(self) -> dict[str, cbor.Value]:
        return {
            "at": self.at,
            "size": self.size,
            "least": encode_amount(self.least),
            "most": encode_amount(self.most),
            "to": None if self.to is None else [*self.to],
            "little": self.little,
        }

    @classmethod
    def parse(cls, value: cbor.Value) -> Bound:
        fields = Fields(value, "bound")
        bound = cls(
            fields.integer("at"),
            fields.integer("size"),
            read_optional_amount(fields, "least"),
            read_optional_amount(fields, "most"),
            optional_names(fields, "to"),
            fields.flag("little"),
        )
        fields.end()
        return bound


@dataclass(frozen=True)
class Method:
    """One method of one contract. method: as effects write it; arguments: all of these must hold."""

    contract: str
    method: str
    arguments: tuple[Bound, ...] = ()

    def __post_init__(self) -> None:
        require_address(self.contract)
        require(len(self.method) <= 128 and self.method.isascii(), "a method is what effects call it, as 0xa9059cbb")

    def value(self) -> dict[str, cbor.Value]:
        return {
            "contract": self.contract,
            "method": self.method,
            "arguments": [bound.value() for bound in self.arguments],
        }

    @classmethod
    def parse(cls, value: cbor.Value) -> Method:
        fields = Fields(value, "method")
        method = cls(
            fields.text("contract"),
            fields.text("method"),
            fields.items("arguments", Bound.parse, most=16),
        )
        fields.end()
        return method


@dataclass(frozen=True)
class Domain:
    """EIP-712: the contract that typed data names, None where it names none, and its primary type, None for any."""

    contract: str | None
    primary: str | None

    def __post_init__(self) -> None:
        if self.contract is not None:
            require_address(self.contract)

    def value(self) -> dict[str, cbor.Value]:
        return {"contract": self.contract, "primary": self.primary}

    @classmethod
    def parse(cls, value: cbor.Value) -> Domain:
        fields = Fields(value, "domain")
        domain = cls(fields.optional_text("contract"), fields.optional_text("primary"))
        fields.end()
        return domain


@dataclass(frozen=True)
class Tier:
    """Approvals for more than `above`; None: for everything, also what has no amount. The highest that fits counts."""

    above: int | None
    demands: tuple[Demand, ...]

    def __post_init__(self) -> None:
        require_amount(self.above)

    def value(self) -> dict[str, cbor.Value]:
        return {"above": encode_amount(self.above), "demands": [demand.value() for demand in self.demands]}

    @classmethod
    def parse(cls, value: cbor.Value) -> Tier:
        fields = Fields(value, "tier")
        tier = cls(read_optional_amount(fields, "above"), fields.items("demands", Demand.parse, most=8))
        fields.end()
        return tier


@dataclass(frozen=True)
class Source:
    """Where a request came from, by the host's word: **advice**, since a host can lie. Empty: not looked at.

    networks: ranges as 192.0.2.0/24 or 2001:db8::/32; countries: two capital letters (ISO 3166-1).
    """

    networks: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require(bool(self.networks or self.countries), "a rule's source names networks or countries")
        require_sorted(self.networks, "networks")
        require_sorted(self.countries, "countries")
        require(all(map(_is_network, self.networks)), "a network is a range such as 192.0.2.0/24, without host bits")
        short = all(len(code) == 2 and code.isascii() and code.isupper() for code in self.countries)
        require(short, "a country is two capital letters")

    def value(self) -> dict[str, cbor.Value]:
        return {"networks": [*self.networks], "countries": [*self.countries]}

    @classmethod
    def parse(cls, value: cbor.Value) -> Source:
        fields = Fields(value, "source")
        source = cls(fields.items("networks", text_item), fields.items("countries", text_item))
        fields.end()
        return source

    def fits(self, address: str, country: str) -> bool:
        """Whether a request from this address and country is within."""
        if self.countries and country not in self.countries:
            return False
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return not self.networks
        return not self.networks or any(found in ipaddress.ip_network(network) for network in self.networks)


def _is_network(text: str) -> bool:
    try:
        return ipaddress.ip_network(text).with_prefixlen == text
    except ValueError:
        return False


def _optional_integer(fields: Fields, key: str) -> int | None:
    value = fields.raw(key)
    return None if value is None else Fields({key: value}, "window").integer(key)


def _integer_item(value: cbor.Value) -> int:
    return Fields({"day": value}, "hours").integer("day")


def optional_names(fields: Fields, key: str) -> tuple[str, ...] | None:
    """A list of names, or null."""
    value = fields.raw(key)
    return None if value is None else Fields({key: value}, "policy").items(key, text_item)
