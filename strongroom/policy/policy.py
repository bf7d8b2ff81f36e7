"""The first, simplest policy (docs/specification.md section 5)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from strongroom.chains.evm import Transaction
from strongroom.errors import Refusal
from strongroom.wire import cbor
from strongroom.wire.fields import Fields, bytes_item

Row = TypeVar("Row", int, bytes, tuple[bytes, bytes])

AMOUNT = 32
MAX_RECIPIENTS = 4096


@dataclass(frozen=True)
class EvmRules:
    """recipients and calls are sorted tuples; limit and fee_ceiling are wei.

    calls: (contract, selector) pairs that may be called; everything else with data is refused.
    """

    chain_ids: tuple[int, ...]
    recipients: tuple[bytes, ...]
    limit: int
    fee_ceiling: int
    calls: tuple[tuple[bytes, bytes], ...] = ()

    def __post_init__(self) -> None:
        if not (_canonical(self.chain_ids) and _canonical(self.recipients) and _canonical(self.calls)):
            raise Refusal("malformed_message", "a policy's lists are sorted and distinct")
        if any(len(recipient) != 20 for recipient in self.recipients):
            raise Refusal("malformed_message", "a recipient is 20 bytes")
        if any(len(contract) != 20 or len(selector) != 4 for contract, selector in self.calls):
            raise Refusal("malformed_message", "a call is a contract of 20 bytes and a selector of 4")

    def value(self) -> dict[str, cbor.Value]:
        return {
            "chain_ids": list(self.chain_ids),
            "recipients": list(self.recipients),
            "limit": self.limit.to_bytes(AMOUNT, "big"),
            "fee_ceiling": self.fee_ceiling.to_bytes(AMOUNT, "big"),
            "calls": [list(call) for call in self.calls],
        }

    @classmethod
    def parse(cls, fields: Fields) -> EvmRules:
        rules = cls(
            fields.items("chain_ids", _chain_id),
            fields.items("recipients", bytes_item, most=MAX_RECIPIENTS),
            int.from_bytes(fields.blob("limit", size=AMOUNT), "big"),
            int.from_bytes(fields.blob("fee_ceiling", size=AMOUNT), "big"),
            fields.items("calls", _call),
        )
        fields.end()
        return rules

    def judge(self, transaction: Transaction) -> None:
        """Raises Refusal with the rule that says no."""
        chain, to, fee = transaction.chain_id, transaction.to, transaction.fee_ceiling
        if chain not in self.chain_ids:
            raise Refusal("policy_chain", f"chain {chain} is not allowed; allowed are {list(self.chain_ids)}")
        if fee > self.fee_ceiling:
            raise Refusal("policy_fee", f"the fee may reach {fee} wei, over the ceiling {self.fee_ceiling}")
        if transaction.value > self.limit:
            raise Refusal("policy_limit", f"{transaction.value} wei are over the limit of {self.limit} per transaction")
        if transaction.data:
            selector = transaction.selector
            if (to, selector) not in self.calls:
                raise Refusal("policy_call", f"calling 0x{selector.hex()} of 0x{to.hex()} is not allowed")
        elif to not in self.recipients:
            raise Refusal("policy_recipient", f"0x{to.hex()} is not an allowed recipient")


@dataclass(frozen=True)
class Policy:
    requesters: tuple[bytes, ...]
    messages: bool
    evm: EvmRules | None

    def __post_init__(self) -> None:
        if not _canonical(self.requesters) or any(len(key) != 32 for key in self.requesters):
            raise Refusal("malformed_message", "requesters are distinct sorted Ed25519 keys of 32 bytes")

    def value(self) -> dict[str, cbor.Value]:
        return {
            "v": 1,
            "requesters": list(self.requesters),
            "messages": self.messages,
            "evm": None if self.evm is None else self.evm.value(),
        }

    @classmethod
    def parse(cls, fields: Fields) -> Policy:
        fields.version()
        requesters, messages = fields.items("requesters", bytes_item), fields.flag("messages")
        evm = fields.raw("evm")
        fields.end()
        return cls(requesters, messages, None if evm is None else EvmRules.parse(Fields(evm, "policy.evm")))

    def digest(self) -> bytes:
        return hashlib.sha256(b"strongroom/policy/v1" + cbor.encode(self.value())).digest()

    def judge_transaction(self, transaction: Transaction) -> None:
        if self.evm is None:
            raise Refusal("policy_chain", "this wallet's policy has no rules for an EVM chain")
        self.evm.judge(transaction)

    def judge_message(self) -> None:
        if not self.messages:
            raise Refusal("policy_message", "this wallet's policy allows no messages")


def _canonical(rows: tuple[Row, ...]) -> bool:
    return all(left < right for left, right in pairwise(rows))


def _chain_id(value: cbor.Value) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Refusal("malformed_message", "a chain id is a positive integer")
    return value


def _call(value: cbor.Value) -> tuple[bytes, bytes]:
    if not isinstance(value, list) or len(value) != 2:
        raise Refusal("malformed_message", "a call is a pair of contract and selector")
    return bytes_item(value[0]), bytes_item(value[1])
