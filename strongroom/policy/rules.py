"""Rules: what kind of effect each covers, and within what bounds. The first rule that covers an effect decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from strongroom.errors import Refusal
from strongroom.policy.names import (
    chain_of,
    encode_amount,
    read_optional_amount,
    require,
    require_amount,
    require_asset,
    require_chain,
    require_name,
    require_sorted,
)
from strongroom.policy.terms import Domain, Hours, Method, Source, Tier, Window, optional_names
from strongroom.wire import cbor
from strongroom.wire.fields import Fields, text_item

Kind = Literal["transfer", "collect", "allowance", "call", "text", "typed", "message", "delegation"]
"""What an effect is.

transfer: the wallet's asset leaves. collect: somebody else's leaves, by an allowance that the wallet has. allowance:
somebody may take from the wallet later. call: a contract's method. text, typed: what a chain's wallets sign
(EIP-191, BIP-322, EIP-712). message: Strongroom's own text, which no chain reads. delegation: other code acts as the
wallet (EIP-7702).
"""

_ABOUT: Final[Mapping[Kind, frozenset[str]]] = {
    "transfer": frozenset({"assets", "to"}),
    "collect": frozenset({"assets", "to"}),
    "allowance": frozenset({"assets", "to"}),
    "call": frozenset({"chains", "methods"}),
    "text": frozenset({"chains"}),
    "typed": frozenset({"chains", "domains"}),
    "message": frozenset(),
    "delegation": frozenset({"chains", "to"}),
}
"""The fields that say what a rule of this kind is about; all others are empty."""

_VALUED: Final = frozenset({"transfer", "collect", "allowance", "call"})
"""Kinds that have amounts: for others there is nothing to limit but how often."""

MAX_TERMS: Final = 64
MAX_COOLDOWN: Final = 365 * 24 * 3600


@dataclass(frozen=True)
class Rule:
    """most: for each transaction and asset, all effects under the rule together; None for any amount.

    assets: exactly these, `…/*` for every item of a contract. to: lists of recipients, or of spenders; None for
    anyone. chains: on which a call is made or a text is signed. cooldown: seconds that an entry of a list is known for
    before it counts. hours: one of these must hold; empty: always.
    """

    name: str
    kind: Kind
    assets: tuple[str, ...] = ()
    to: tuple[str, ...] | None = ()
    chains: tuple[str, ...] = ()
    methods: tuple[Method, ...] = ()
    domains: tuple[Domain, ...] = ()
    most: int | None = 0
    windows: tuple[Window, ...] = ()
    hours: tuple[Hours, ...] = ()
    cooldown: int = 0
    source: Source | None = None
    tiers: tuple[Tier, ...] = ()

    def __post_init__(self) -> None:
        require_name(self.name, "a rule")
        self._require_its_kinds_fields()
        for asset in self.assets:
            require_asset(asset)
        for chain in self.chains:
            require_chain(chain)
        require_sorted(self.assets, f"the assets of rule {self.name}")
        require_sorted(self.chains, f"the chains of rule {self.name}")
        require_sorted(self.to or (), f"the lists of rule {self.name}")
        require_amount(self.most)
        require(0 <= self.cooldown <= MAX_COOLDOWN, f"the cool-down of rule {self.name} is at most {MAX_COOLDOWN} s")
        require(not self.cooldown or bool(self.to), f"rule {self.name} has a cool-down and no list of recipients")
        self._require_its_terms()

    def _require_its_kinds_fields(self) -> None:
        """A field that means nothing for its kind would let a reader believe that it does."""
        about = _ABOUT[self.kind]
        have = {name for name in ("assets", "chains", "methods", "domains") if getattr(self, name)}
        have |= {"to"} if self.to != () else set()
        require(
            self.kind != "delegation" or self.to is not None, f"rule {self.name} is about delegation: to lists alone"
        )
        require(have == about, f"rule {self.name} is about {self.kind}: it needs {sorted(about)} and nothing else")

    def _require_its_terms(self) -> None:
        amounts = [window for window in self.windows if window.amount is not None]
        tiers = [tier.above for tier in self.tiers if tier.above is not None]
        if self.kind not in _VALUED:
            require(self.most == 0 and not amounts and not tiers, f"rule {self.name} is about {self.kind}: no amounts")
        assets = [window.asset for window in self.windows if window.asset is not None]
        require(all(map(self.prices, assets)), f"a window of rule {self.name} is for an asset that it does not cover")
        require_sorted((-1 if tier.above is None else tier.above for tier in self.tiers), f"{self.name}'s tiers")

    def prices(self, asset: str) -> bool:
        """Whether an amount of this asset can be counted under the rule."""
        if self.kind == "call":
            return asset in {f"{chain}/native" for chain in self.chains}
        return asset in self.assets or any(each.endswith("/*") and asset.startswith(each[:-1]) for each in self.assets)

    @property
    def all_chains(self) -> frozenset[str]:
        return frozenset(self.chains) | frozenset(map(chain_of, self.assets))

    @property
    def lists(self) -> frozenset[str]:
        """The names of every list that it refers to."""
        arguments = (bound for method in self.methods for bound in method.arguments)
        return frozenset(self.to or ()).union(*(bound.to or () for bound in arguments))

    def value(self) -> dict[str, cbor.Value]:
        return {
            "name": self.name,
            "kind": self.kind,
            "assets": [*self.assets],
            "to": None if self.to is None else [*self.to],
            "chains": [*self.chains],
            "methods": [method.value() for method in self.methods],
            "domains": [domain.value() for domain in self.domains],
            "most": encode_amount(self.most),
            "windows": [window.value() for window in self.windows],
            "hours": [hours.value() for hours in self.hours],
            "cooldown": self.cooldown,
            "source": None if self.source is None else self.source.value(),
            "tiers": [tier.value() for tier in self.tiers],
        }

    @classmethod
    def parse(cls, value: cbor.Value) -> Rule:
        fields = Fields(value, "rule")
        source = fields.raw("source")
        rule = cls(
            fields.text("name", most=32),
            parse_kind(fields.text("kind")),
            fields.items("assets", text_item),
            optional_names(fields, "to"),
            fields.items("chains", text_item),
            fields.items("methods", Method.parse),
            fields.items("domains", Domain.parse),
            read_optional_amount(fields, "most"),
            fields.items("windows", Window.parse, most=MAX_TERMS),
            fields.items("hours", Hours.parse, most=MAX_TERMS),
            fields.integer("cooldown"),
            None if source is None else Source.parse(source),
            fields.items("tiers", Tier.parse, most=MAX_TERMS),
        )
        fields.end()
        return rule


def parse_kind(text: str) -> Kind:
    for kind in get_args(Kind):
        if text == kind:
            return kind  # type: ignore[no-any-return]
    raise Refusal("malformed_policy", f"a rule's kind is one of {', '.join(get_args(Kind))}")
