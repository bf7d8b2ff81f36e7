"""One reservation: what a journal remembers of a request that it agreed to."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

from strongroom.chains.effects import Allowance, Call, Effects, Signing, Transfer
from strongroom.errors import Refusal
from strongroom.policy.history import Spend
from strongroom.wire import cbor
from strongroom.wire.fields import Fields, text_item

MAX_SPENDS: Final = 1024
MAX_ONCE: Final = 1024
MAX_SIZE: Final = 1 << 18
AMOUNT: Final = 32
_NONCE: Final = "nonce:"
_AT: Final = 2

Key = bytes
"""H of all that an entry says but its time."""


class Turn(NamedTuple):
    """A number of an account that counts up and must not be skipped: an EVM nonce."""

    account: str
    number: int


@dataclass(frozen=True, slots=True)
class Entry:
    """at: Unix seconds of the last acknowledgement that was asked for; the same at every journal. once: what the
    transaction uses up, see `tokens`. meaning: H of its effects without fee. cancels: it moves nothing.

    Honest journals compute all but `at` from the intent, so that for one intent they have one key; what a liar tells of
    the same intent has another key, and stands beside it.
    """

    request: bytes
    intent: bytes
    at: int
    expiry: int
    spends: tuple[Spend, ...] = ()
    once: tuple[str, ...] = ()
    replaces: bytes | None = None
    meaning: bytes = bytes(32)
    fee: int = 0
    cancels: bool = False
    key: Key = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        value = self.value()
        value[_AT] = 0
        object.__setattr__(self, "key", hashlib.sha256(b"strongroom/journal-entry/v1" + cbor.encode(value)).digest())

    def element(self) -> bytes:
        """What stands for it in the digest of a set."""
        return self.at.to_bytes(8, "big") + self.key

    def value(self) -> list[cbor.Value]:
        """An array, not a map: there are many of them."""
        rows: list[cbor.Value] = [
            [each.rule, each.asset, each.to, each.amount.to_bytes(AMOUNT, "big")] for each in self.spends
        ]
        return [
            self.request,
            self.intent,
            self.at,
            self.expiry,
            rows,
            list(self.once),
            self.replaces,
            self.meaning,
            self.fee.to_bytes(AMOUNT, "big"),
            self.cancels,
        ]

    @classmethod
    def parse(cls, value: cbor.Value) -> Entry:
        if not isinstance(value, list) or len(value) != len(_NAMES):
            raise Refusal("malformed_message", f"a journal's entry has {len(_NAMES)} parts")
        fields = Fields(dict(zip(_NAMES, value, strict=True)), "entry")
        return cls(
            fields.blob("request", size=16),
            fields.blob("intent", size=32),
            fields.integer("at"),
            fields.integer("expiry"),
            fields.items("spends", _spend, most=MAX_SPENDS),
            fields.items("once", text_item, most=MAX_ONCE),
            fields.optional_blob("replaces", size=16),
            fields.blob("meaning", size=32),
            int.from_bytes(fields.blob("fee", size=AMOUNT), "big"),
            fields.flag("cancels"),
        )

    @property
    def weight(self) -> int:
        """Bytes on the wire, about."""
        once = sum(map(len, self.once))
        return 160 + once + sum(48 + len(each.rule) + len(each.asset) + len(each.to) for each in self.spends)

    def alike(self, other: Entry) -> bool:
        """Whether both are of one intent, whatever is said of it."""
        return self.request == other.request and self.intent == other.intent

    def supersedes(self, other: Entry) -> bool:
        """Whether this may be signed although the other one was reserved and uses up the same.

        It pays more, so of two entries at most one supersedes the other.
        """
        same = self.cancels or self.meaning == other.meaning
        return self.replaces is not None and same and self.fee > other.fee

    def objection(self, other: Entry) -> str:
        """In words, where this does not supersede the other one."""
        if self.replaces is None:
            return f"request {other.request.hex()} uses up the same; an intent that replaces it must say so"
        if self.fee <= other.fee:
            return (
                f"its fee of at most {self.fee} is no higher than the {other.fee} of request {other.request.hex()}, "
                "which it would replace"
            )
        return f"it does neither the same as request {other.request.hex()} nor nothing"

    def counts_for(self, other: Entry) -> bool:
        """Whether the other need not be counted beside this one: they spend the same, and only one can happen. This one
        is the later, or what is counted would leave its window early."""
        return self.supersedes(other) and self.spends == other.spends and self.at >= other.at


_NAMES: Final = tuple(name for name in Entry.__dataclass_fields__ if name != "key")


def _spend(value: cbor.Value) -> Spend:
    if not isinstance(value, list) or len(value) != 4:
        raise Refusal("malformed_message", "a spend is rule, asset, destination and amount")
    rule, asset, to, amount = value
    if not isinstance(amount, bytes) or len(amount) != AMOUNT:
        raise Refusal("malformed_message", f"an amount has {AMOUNT} bytes")
    return Spend(text_item(rule), text_item(asset), text_item(to), int.from_bytes(amount, "big"))


@dataclass(frozen=True)
class Candidate:
    """A request that asks to be reserved: what is known of it before its spends are."""

    request: bytes
    intent: bytes
    at: int
    expiry: int
    effects: Effects
    replaces: bytes | None = None
    path: tuple[int, ...] = ()

    @cached_property
    def once(self) -> tuple[str, ...]:
        return tokens(self.effects, self.path)

    def entry(self, spends: Sequence[Spend]) -> Entry:
        effects = self.effects
        moves = [*effects.allowances, *effects.calls, *effects.signings, *effects.delegations]
        moves += [each for each in effects.transfers if each.amount]
        return Entry(
            self.request,
            self.intent,
            self.at,
            self.expiry,
            tuple(spends),
            self.once,
            self.replaces,
            meaning(effects),
            effects.fee_ceiling,
            not moves,
        )


def tokens(effects: Effects, path: Sequence[int]) -> tuple[str, ...]:
    """What a transaction uses up, by names that are apart for each chain and each address of the wallet."""
    place = f"{effects.chain}/{'/'.join(map(str, path))}/"
    return tuple(place + each for each in effects.once)


def turn(token: str) -> Turn | None:
    """The account and number, where the token is one of those that count up."""
    place, _, what = token.rpartition("/")
    if not what.startswith(_NONCE) or not what[len(_NONCE) :].isdecimal():
        return None
    return Turn(place, int(what[len(_NONCE) :]))


def meaning(effects: Effects) -> bytes:
    """H of what is done, whatever it costs and whatever it uses up."""
    value: dict[str, cbor.Value] = {
        "chain": effects.chain,
        "transfers": [_transfer(each) for each in effects.transfers],
        "allowances": [_allowance(each) for each in effects.allowances],
        "calls": [_call(each) for each in effects.calls],
        "signings": [_signing(each) for each in effects.signings],
    }
    if effects.delegations:
        value["delegations"] = [each.code for each in effects.delegations]
    return hashlib.sha256(b"strongroom/meaning/v1" + cbor.encode(value)).digest()


def _transfer(each: Transfer) -> list[cbor.Value]:
    return [each.asset, each.to, str(each.amount), each.sender]


def _allowance(each: Allowance) -> list[cbor.Value]:
    amount = None if each.amount is None else str(each.amount)
    return [each.asset, each.spender, amount, each.expires, each.added]


def _call(each: Call) -> list[cbor.Value]:
    return [each.contract, each.method, each.data, str(each.value), list(each.accounts)]


def _signing(each: Signing) -> list[cbor.Value]:
    return [each.kind, each.domain, each.what]
