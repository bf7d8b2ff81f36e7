"""The policy: a document that officers sign (docs/specification.md section 5). Closed vocabulary, default deny."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from strongroom import signatures
from strongroom.approval.approver import MAX_APPROVERS, Approver, check_registry
from strongroom.approval.demand import check_demand
from strongroom.errors import Refusal
from strongroom.policy.lists import Recipients
from strongroom.policy.names import (
    encode_amount,
    read_amount,
    require,
    require_amount,
    require_asset,
    require_chain,
    require_sorted,
)
from strongroom.policy.rules import Kind, Rule
from strongroom.policy.terms import DAY, Window
from strongroom.wire import cbor
from strongroom.wire.fields import Fields, bytes_item, text_item

LEASE: Final = 7 * DAY
"""Seconds that a policy is in force unless officers renew it, by default."""

MAX_LEASE: Final = 366 * DAY
MAX_TIMELOCK: Final = 90 * DAY
MAX_DOCUMENT: Final = 192 << 10
"""Bytes of a policy that tools make: an order has room for a roster beside it."""

MAX_RULES: Final = 128
MAX_LISTS: Final = 64
MAX_REQUESTERS: Final = 256


@dataclass(frozen=True)
class Fee:
    """The most that a chain may take of a fee's asset, for one transaction.

    permille: of what the transaction moves of that asset, where it moves any: thousandths. None: no such bound.
    """

    asset: str
    most: int
    permille: int | None = None

    def __post_init__(self) -> None:
        require_asset(self.asset)
        require_amount(self.most)
        require(self.permille is None or 0 <= self.permille <= 1000, "a fee's share is 0 to 1000 thousandths")

    def value(self) -> dict[str, cbor.Value]:
        return {"asset": self.asset, "most": encode_amount(self.most), "permille": self.permille}

    @classmethod
    def parse(cls, value: cbor.Value) -> Fee:
        fields = Fields(value, "fee")
        permille = fields.raw("permille")
        fee = cls(
            fields.text("asset"),
            read_amount(fields, "most"),
            None if permille is None else Fields({"permille": permille}, "fee").integer("permille", most=1000),
        )
        fields.end()
        return fee


@dataclass(frozen=True)
class Policy:
    """wallet: None in an order, where the wallet has no id yet. previous: the hash of the version before, if any.

    issued, expires: Unix seconds. lease: seconds after `issued`, or after a renewal, for which signers hold it in
    force. timelock: seconds for which a signer that was shown a successor still judges by this one. freezers: how
    many officers freeze the wallet. deny: lists of addresses that nothing may go to, whatever a rule says. windows:
    over all rules. Lists are sorted by name, fees by asset, rules in the order in which they are tried.
    """

    issued: int
    requesters: tuple[bytes, ...]
    chains: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    lists: tuple[Recipients, ...] = ()
    deny: tuple[str, ...] = ()
    fees: tuple[Fee, ...] = ()
    windows: tuple[Window, ...] = ()
    approvers: tuple[Approver, ...] = ()
    wallet: bytes | None = None
    version: int = 1
    previous: bytes | None = None
    lease: int = LEASE
    expires: int | None = None
    timelock: int = 0
    frozen: bool = False
    freezers: int = 1

    def __post_init__(self) -> None:
        require_sorted(self.requesters, "requesters")
        keys = all(len(key) == signatures.KEY for key in self.requesters)
        require(keys and len(self.requesters) <= MAX_REQUESTERS, "requesters are Ed25519 keys of 32 bytes")
        self._require_history()
        self._require_chains()
        self._require_references()
        check_registry(self.approvers)
        for demand in (demand for rule in self.rules for tier in rule.tiers for demand in tier.demands):
            check_demand(demand, self.approvers)

    def _require_history(self) -> None:
        first = self.version == 1
        require(self.version >= 1 and first == (self.previous is None), "version 1 alone has no previous version")
        require(first or self.wallet is not None, "a successor names its wallet")
        require(60 <= self.lease <= MAX_LEASE, f"a lease is 60 to {MAX_LEASE} seconds")
        require(0 <= self.timelock <= MAX_TIMELOCK, f"a timelock is at most {MAX_TIMELOCK} seconds")
        require(self.expires is None or self.expires > self.issued, "a policy expires after it was issued")
        require(1 <= self.freezers <= 16, "1 to 16 officers freeze a wallet")

    def _require_chains(self) -> None:
        require_sorted(self.chains, "chains")
        for chain in self.chains:
            require_chain(chain)
        for name in ("bitcoin:", "solana:"):
            # Nothing in such a transaction says which network it is for: the policy does.
            require(sum(chain.startswith(name) for chain in self.chains) <= 1, f"a policy has one chain of {name}")
        for rule in self.rules:
            require(rule.all_chains <= set(self.chains), f"rule {rule.name} is about a chain that the policy lacks")
        require_sorted((fee.asset for fee in self.fees), "fees")
        for window in self.windows:
            require(window.amount is None or window.asset is not None, "an amount of the wallet's is of one asset")

    def _require_references(self) -> None:
        require_sorted((each.name for each in self.lists), "lists")
        require_sorted(self.deny, "denied lists")
        require(len({rule.name for rule in self.rules}) == len(self.rules), "two rules share a name")
        known = {each.name for each in self.lists}
        for rule in self.rules:
            require(rule.lists <= known, f"rule {rule.name} names a list that the policy lacks")
        require(set(self.deny) <= known, "the policy denies a list that it lacks")
        # That an address is absent from a tree is not what an inclusion proof shows.
        written = all(each.root is None for each in self.lists if each.name in self.deny)
        require(written, "a list that is denied is written out")

    def value(self) -> dict[str, cbor.Value]:
        return {
            "v": 2,
            "wallet": self.wallet,
            "version": self.version,
            "previous": self.previous,
            "issued": self.issued,
            "lease": self.lease,
            "expires": self.expires,
            "timelock": self.timelock,
            "frozen": self.frozen,
            "freezers": self.freezers,
            "requesters": [*self.requesters],
            "approvers": [approver.value() for approver in self.approvers],
            "chains": [*self.chains],
            "lists": [each.value() for each in self.lists],
            "deny": [*self.deny],
            "rules": [rule.value() for rule in self.rules],
            "windows": [window.value() for window in self.windows],
            "fees": [fee.value() for fee in self.fees],
        }

    @classmethod
    def parse(cls, fields: Fields) -> Policy:
        fields.version(2)
        expires = fields.raw("expires")
        policy = cls(
            wallet=fields.optional_blob("wallet", size=32),
            version=fields.integer("version", least=1),
            previous=fields.optional_blob("previous", size=32),
            issued=fields.integer("issued"),
            lease=fields.integer("lease"),
            expires=None if expires is None else Fields({"expires": expires}, "policy").integer("expires"),
            timelock=fields.integer("timelock"),
            frozen=fields.flag("frozen"),
            freezers=fields.integer("freezers"),
            requesters=fields.items("requesters", bytes_item, most=MAX_REQUESTERS),
            approvers=fields.items("approvers", Approver.parse, most=MAX_APPROVERS),
            chains=fields.items("chains", text_item, most=64),
            lists=fields.items("lists", Recipients.parse, most=MAX_LISTS),
            deny=fields.items("deny", text_item, most=MAX_LISTS),
            rules=fields.items("rules", Rule.parse, most=MAX_RULES),
            windows=fields.items("windows", Window.parse, most=64),
            fees=fields.items("fees", Fee.parse, most=64),
        )
        fields.end()
        return policy

    @cached_property
    def _digest(self) -> bytes:
        return hashlib.sha256(b"strongroom/policy/v2" + cbor.encode(self.value())).digest()

    def digest(self) -> bytes:
        """The policy hash: 32 bytes."""
        return self._digest

    @cached_property
    def by_kind(self) -> Mapping[Kind, tuple[Rule, ...]]:
        """Rules in their order."""
        kinds = {rule.kind for rule in self.rules}
        return {kind: tuple(rule for rule in self.rules if rule.kind == kind) for kind in kinds}

    @cached_property
    def _named(self) -> Mapping[str, Recipients]:
        return {each.name: each for each in self.lists}

    def list(self, name: str) -> Recipients:
        return self._named[name]

    def fee(self, asset: str) -> Fee | None:
        return next((fee for fee in self.fees if fee.asset == asset), None)

    @property
    def counts(self) -> bool:
        """Whether anything is limited over time."""
        return bool(self.windows) or any(rule.windows for rule in self.rules)

    @property
    def evm_chain_ids(self) -> tuple[int, ...]:
        return tuple(sorted(int(chain[4:]) for chain in self.chains if chain.startswith("evm:")))

    def anywhere(self) -> Policy:
        """Without its rules about where a request comes from: for whoever judges without the host's word."""
        if all(rule.source is None for rule in self.rules):
            return self
        return replace(self, rules=tuple(replace(rule, source=None) for rule in self.rules))

    def require_requester(self, requester: bytes) -> None:
        """Raises Refusal `unknown_requester`."""
        if requester not in self.requesters:
            raise Refusal("unknown_requester", "the policy does not name this requester's key")
