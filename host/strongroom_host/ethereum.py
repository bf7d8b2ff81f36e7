"""An Ethereum node by JSON-RPC: what a transaction needs to be filled in, its broadcast, and its receipt.

Its answers are believed for service only: signers judge the transaction that comes of them, fee ceiling included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import httpx

from strongroom.errors import Refusal

TIMEOUT: Final = httpx.Timeout(10.0, connect=3.0)
ALREADY: Final = ("already known", "already imported", "already exists", "alreadyknown")


@dataclass(frozen=True)
class Fees:
    """Wei per gas."""

    max_priority_fee: int
    max_fee: int


@dataclass(frozen=True)
class Receipt:
    """block: its number; succeeded: false where the transaction was mined and reverted."""

    block: int
    block_hash: str
    succeeded: bool


class RpcError(Exception):
    """What the node answered instead of a result."""


class Node:
    """Thread safe. Raises Refusal `node_unavailable` when the node is silent or answers nonsense."""

    def __init__(self, url: str, transport: httpx.BaseTransport | None = None) -> None:
        self._client = httpx.Client(timeout=TIMEOUT, transport=transport)
        self._url = url

    def close(self) -> None:
        self._client.close()

    def chain_id(self) -> int:
        return self._number("eth_chainId")

    def head(self) -> int:
        return self._number("eth_blockNumber")

    def nonce(self, address: str) -> int:
        """The next one, transactions that wait in the node's pool counted."""
        return self._number("eth_getTransactionCount", address, "pending")

    def fees(self) -> Fees:
        """Room for six full blocks in a row: twice the base fee, and the node's tip."""
        tip = self._number("eth_maxPriorityFeePerGas")
        block = self._ask("eth_getBlockByNumber", "latest", False)
        base = _number(block.get("baseFeePerGas") if isinstance(block, dict) else None, "baseFeePerGas")
        return Fees(tip, 2 * base + tip)

    def gas(self, sender: str, to: str, value: int, data: bytes) -> int:
        """Raises Refusal `unsupported_transaction` where the node says that it would fail."""
        call = {"from": sender, "to": to, "value": hex(value), "data": "0x" + data.hex()}
        try:
            return _number(self._call("eth_estimateGas", call), "eth_estimateGas")
        except RpcError as error:
            raise Refusal("unsupported_transaction", f"the node says that it would fail: {error}") from None

    def broadcast(self, raw: bytes) -> None:
        """Idempotent: a node that has the transaction already is content. Raises Refusal `node_unavailable` with the
        node's own words when it does not take it."""
        try:
            self._call("eth_sendRawTransaction", "0x" + raw.hex())
        except RpcError as error:
            if not any(word in str(error).lower() for word in ALREADY):
                raise Refusal("node_unavailable", f"the node does not take the transaction: {error}") from None

    def receipt(self, transaction: str) -> Receipt | None:
        """None while it is in no block of the node's chain. transaction: its hash, hex without 0x."""
        receipt = self._ask("eth_getTransactionReceipt", "0x" + transaction)
        if receipt is None:
            return None
        if not isinstance(receipt, dict):
            raise _nonsense("eth_getTransactionReceipt")
        block_hash = receipt.get("blockHash")
        if not isinstance(block_hash, str):
            raise _nonsense("eth_getTransactionReceipt")
        block = _number(receipt.get("blockNumber"), "blockNumber")
        return Receipt(block, block_hash.removeprefix("0x"), _number(receipt.get("status"), "status") == 1)

    def _number(self, method: str, *parameters: object) -> int:
        return _number(self._ask(method, *parameters), method)

    def _ask(self, method: str, *parameters: object) -> Any:
        try:
            return self._call(method, *parameters)
        except RpcError as error:
            raise Refusal("node_unavailable", f"{method}: {error}") from None

    def _call(self, method: str, *parameters: object) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
        try:
            answer = self._client.post(self._url, json=request).json()
        except (httpx.HTTPError, ValueError) as error:
            raise Refusal("node_unavailable", f"{method}: {type(error).__name__}: {error}") from None
        if not isinstance(answer, dict):
            raise _nonsense(method)
        problem = answer.get("error")
        if problem is not None:
            raise RpcError(str(problem.get("message") if isinstance(problem, dict) else problem)[:300])
        if "result" not in answer:
            raise _nonsense(method)
        return answer["result"]


def _nonsense(method: str) -> Refusal:
    return Refusal("node_unavailable", f"{method}: the node's answer is not what JSON-RPC promises")


def _number(value: object, method: str) -> int:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise _nonsense(method)
    try:
        return int(value, 16)
    except ValueError:
        raise _nonsense(method) from None
