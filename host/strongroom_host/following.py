"""What becomes of a transaction on its chain: inclusion, confirmations, a rival in its place, and back after a
reorganisation. A node is asked when somebody looks at a request; what was confirmed is final.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from strongroom.errors import Refusal
from strongroom_host.ethereum import Node, Receipt
from strongroom_host.storage.requests import Request, Requests
from strongroom_host.storage.states import FOLLOWED, State

_log = logging.getLogger(__name__)

_NOWHERE: Final = {"block": None, "block_hash": None, "confirmations": 0, "status": None}


@dataclass(frozen=True)
class Chain:
    """confirmations: blocks, the transaction's own counted, after which it is taken as final."""

    node: Node
    confirmations: int


class Following:
    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    def refresh(self, request: Request, chain: Chain) -> Request:
        """The request as the chain has it now. A node that is out of reach changes nothing."""
        if request.slot is None or request.state not in FOLLOWED or request.worker is not None:
            return request
        try:
            receipt = None if request.hash is None else chain.node.receipt(request.hash)
            head = 0 if receipt is None else chain.node.head()
            rival = None if receipt is not None else self._mined_rival(request, chain)
        except Refusal as refusal:
            _log.warning("request %s not refreshed: %s", request.request, refusal)
            return request
        try:
            if receipt is not None:
                return self._seen(request, chain, receipt, head)
            return self._unseen(request, chain, rival)
        except Refusal as refusal:
            _log.info("request %s was refreshed by somebody else: %s", request.request, refusal)
        return self._requests.get(request.request)

    def _mined_rival(self, request: Request, chain: Chain) -> Request | None:
        """The other request whose transaction of the same nonce is in a block."""
        for rival in self._requests.rivals(request):
            if rival.state == "confirmed" or (rival.hash and chain.node.receipt(rival.hash) is not None):
                return rival
        return None

    def _seen(self, request: Request, chain: Chain, receipt: Receipt, head: int) -> Request:
        depth = max(head - receipt.block + 1, 1)
        changed = {
            "block": receipt.block,
            "block_hash": receipt.block_hash,
            "confirmations": depth,
            "status": "succeeded" if receipt.succeeded else "reverted",
            "error": None,
        }
        final = depth >= chain.confirmations
        path: list[State] = []
        if request.state in ("signed", "replaced"):
            path.append("broadcast")
        if request.state != "included":
            path.append("included")
        if final:
            path.append("confirmed")
        before = (request.block, request.block_hash, request.confirmations)
        if not path and before == (receipt.block, receipt.block_hash, depth):
            return request
        return self._requests.move(request, path[-1] if path else None, via=path[:-1], changed=changed)

    def _unseen(self, request: Request, chain: Chain, rival: Request | None) -> Request:
        if rival is not None:
            if request.state == "replaced":
                return request
            reason = f"request {rival.request}, of the same nonce, is in a block"
            via: list[State] = ["broadcast"] if request.state == "included" else []
            return self._requests.move(request, "replaced", via=via, reason=reason, changed={**_NOWHERE, "error": None})
        if request.state == "replaced":
            return self._returned(request, chain)
        return self._lost(request, chain) if request.state == "included" else request

    def _returned(self, request: Request, chain: Chain) -> Request:
        """To what it was before. It is not broadcast again: its rival is, which somebody wanted in its place."""
        reason = "what was in a block in its place no longer is"
        back: State = next(state for state, _, _ in reversed(request.history) if state != "replaced")
        after = self._requests.move(request, back, reason=reason)
        for rival in self._requests.rivals(request):
            if rival.state == "included":
                self.refresh(self._requests.get(rival.request), chain)
        return after

    def _lost(self, request: Request, chain: Chain) -> Request:
        reason = f"block {request.block} is no longer in the chain, or no longer has the transaction"
        after = self._requests.move(request, "broadcast", reason=reason, changed=_NOWHERE)
        if request.raw is not None:
            try:
                chain.node.broadcast(request.raw)
            except Refusal as refusal:
                _log.warning("request %s not broadcast again: %s", request.request, refusal)
        return after
