"""A signed transaction's way onto its chain: filled in, broadcast, and then followed (`following`)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from strongroom.chains import evm
from strongroom.chains.evm import Transaction
from strongroom.errors import Refusal
from strongroom.policy.document import Policy
from strongroom_host.following import Chain, Following
from strongroom_host.problems import Problem, members
from strongroom_host.storage.requests import Request, Requests
from strongroom_host.storage.wallets import Wallet

CALL_MARGIN = 5
"""A fifth of the estimated gas is added to calls: what they do may depend on the block."""

TRANSFER_GAS = 21_000


@dataclass(frozen=True)
class Prepared:
    transaction: Transaction

    def json(self) -> dict[str, Any]:
        each = self.transaction
        return {
            "payload": each.encode().hex(),
            "chain_id": each.chain_id,
            "nonce": each.nonce,
            "to": evm.checksum(each.to),
            "value": str(each.value),
            "data": each.data.hex(),
            "gas_limit": each.gas_limit,
            "max_fee": str(each.max_fee),
            "max_priority_fee": str(each.max_priority_fee),
            "fee_ceiling": str(each.gas_limit * each.max_fee),
        }


class Chains:
    """By chain id. A transaction of another chain is signed and handed back, for somebody else to broadcast."""

    def __init__(self, chains: Mapping[int, Chain], requests: Requests) -> None:
        self._chains = chains
        self._requests = requests
        self._following = Following(requests)

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(self._chains)

    def close(self) -> None:
        for chain in self._chains.values():
            chain.node.close()

    def prepare(
        self,
        wallet: Wallet,
        to: bytes,
        value: int,
        data: bytes,
        chain_id: int | None,
        policy: Policy | None = None,
    ) -> Prepared:
        """Fills nonce, gas and fees from the node; transactions that this host signed and no block has are counted.

        policy: the newest, for a chain that was not named; None for the order's.
        """
        chains = (policy or wallet.signed_order.order.policy).evm_chain_ids
        allowed = [each for each in chains if each in self._chains]
        chosen = chain_id if chain_id is not None else (allowed[0] if allowed else None)
        if chosen is None or chosen not in self._chains:
            raise Refusal("policy_chain", "this host has no node of a chain that the wallet's policy allows")
        node = self._chains[chosen].node
        sender, receiver = wallet.body.address, evm.checksum(to)
        if node.chain_id() != chosen:
            raise Refusal("node_unavailable", f"the node configured for chain {chosen} is of another chain")
        nonce = max(node.nonce(sender), self._requests.next_nonce(wallet.body.wallet.hex(), chosen))
        gas = node.gas(sender, receiver, value, data)
        if gas != TRANSFER_GAS or data:
            gas += gas // CALL_MARGIN
        fees = node.fees()
        return Prepared(Transaction(chosen, nonce, fees.max_priority_fee, fees.max_fee, gas, to, value, data).checked())

    def broadcasts(self, request: Request) -> bool:
        """Whether the request's transaction would be sent to a node."""
        return request.chain_id is not None and request.chain_id in self._chains

    def broadcast(self, request: Request) -> Request:
        """A signed request's transaction is sent; when the node does not take it, it stays signed, with the error."""
        chain = None if request.chain_id is None else self._chains.get(request.chain_id)
        if chain is None or request.raw is None:
            return request
        try:
            chain.node.broadcast(request.raw)
        except Refusal as refusal:
            self._requests.release(request.request, members(Problem(refusal, request=request.request)))
        else:
            # The node has it: were this forgotten, it would be sent again, and the node content. Whoever looked at it
            # meanwhile may have found it in a block already.
            with suppress(Refusal):
                return self._requests.move(request, "broadcast", durable=False, changed={"error": None})
        return self._requests.get(request.request)

    def again(self, request: Request) -> Request:
        """The same bytes once more, to a node that may have forgotten them. Raises Refusal `node_unavailable`."""
        chain = None if request.chain_id is None else self._chains.get(request.chain_id)
        if chain is not None and request.raw is not None:
            chain.node.broadcast(request.raw)
        return request

    def refresh(self, request: Request) -> Request:
        """The request as its chain has it now. A node that is out of reach changes nothing."""
        chain = None if request.chain_id is None else self._chains.get(request.chain_id)
        return request if chain is None else self._following.refresh(request, chain)
