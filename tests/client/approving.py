"""A host that holds one request, and approvers who read it: what it says of the request is up to the test."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from strongroom.approval import Approval, Approver, Demand
from strongroom.chains import evm
from strongroom.chains.evm import Transaction
from strongroom.policy.document import Policy
from strongroom.policy.lists import Entry, Recipients
from strongroom.policy.terms import Tier
from strongroom_client.transactions import SignedIntent, sign_intent
from tests.client.custody import CHAIN_ID, Custody, policy

ETHER = 10**18
ACME, BETA = b"\xac" * 20, b"\xbe" * 20
STRANGER = b"\x99" * 20
LABELS = {ACME: "Acme Industries", BETA: "Beta Holdings"}


def demanding(approvers: Sequence[Approver], demand: Demand) -> Callable[[bytes], Policy]:
    """Of a requester's key: transfers of more than half an ether need approvals; the recipients have labels."""

    def made(requester: bytes) -> Policy:
        plain = policy(requester)
        entries = tuple(sorted(Entry(evm.text(each), label) for each, label in LABELS.items()))
        rules = tuple(
            replace(rule, to=("partners",), most=9 * ETHER, tiers=(Tier(ETHER // 2, (demand,)),))
            if rule.kind == "transfer"
            else rule
            for rule in plain.rules
        )
        ordered = tuple(sorted(approvers, key=lambda each: each.name))
        return replace(plain, approvers=ordered, rules=rules, lists=(Recipients("partners", entries),))

    return made


class Approving(Custody):
    """held: the request that is asked for, by its id. shown: what the host answers for it, which a test may change."""

    def __init__(self, folder: Path, approvers: Sequence[Approver], demand: Demand, scheme: str) -> None:
        super().__init__(folder, scheme, made_policy=demanding(approvers, demand))
        self.held: dict[str, SignedIntent] = {}
        self.given: dict[str, list[Approval]] = {}

    def transfer(self, to: bytes = ACME, value: int = ETHER, **changes: Any) -> SignedIntent:
        payload = Transaction(CHAIN_ID, 0, 1, 10**9, 21_000, to, value).encode()
        chain = f"evm:{CHAIN_ID}"
        return self.hold(sign_intent(self.body, "evm-transaction", payload, self.requester, chain=chain, **changes))

    def hold(self, signed: SignedIntent) -> SignedIntent:
        self.held[signed.intent.request.hex()] = signed
        return signed

    def _answer(self, request: httpx.Request) -> httpx.Response:
        _, _, after = request.url.path.partition("/v1/requests/")
        name, _, action = after.partition("/")
        if name not in self.held:
            return super()._answer(request)
        if action == "approvals":
            raw = bytes.fromhex(json.loads(request.content)["approval"])
            self.given.setdefault(name, []).append(Approval.decode(raw))
        return httpx.Response(200, json=self.lies.get("request", lambda honest: honest)(self.view(name)))

    def view(self, name: str) -> dict[str, Any]:
        signed = self.held[name]
        rows = [
            {"approver": each.approver, "decision": each.decision, "approval": each.encode().hex(), "at": 0}
            for each in self.given.get(name, ())
        ]
        return {
            "request": name,
            "state": "pending",
            "intent": signed.intent.encode().hex(),
            "intent_signature": signed.signature.hex(),
            "approvals": rows,
            "missing": ["1 of treasury must approve, and 0 of treasury did"],
        }
