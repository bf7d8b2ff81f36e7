"""Has a transaction take the place of one that is signed and in no block yet: the same for a higher fee, or nothing.

What is replaced is read from the intent that its requester signed, never from what the host says about it:

 1. The intent is of the request that was asked for                                           prepared_mismatch
 2. A requester whom a policy of the wallet's officers names signed it       unknown_requester, intent_signature
 3. The new one uses up the same, pays more, and does the same or nothing        journal_conflict, no_witnesses
 4. The policy in force allows it: fee ceiling, and for the same effects all else                       policy_*

Every journal asks 3 and 4 again. That the old one is in no block is the host's word; the chain takes one of both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.chains import evm
from strongroom.chains.evm import Transaction
from strongroom.errors import Refusal
from strongroom.intent.decoding import decode
from strongroom.intent.intent import Intent
from strongroom.intent.replacing import require_replacement, require_witnesses
from strongroom.wallet.certificate import Body
from strongroom_client import standings, transactions
from strongroom_client.api import Api, Json, unhex
from strongroom_client.directed import directed
from strongroom_client.policies.proving import proofs, provers
from strongroom_client.transactions import SignedIntent

RAISED: Final = 8
"""An eighth more than before: nodes take a replacement that pays a tenth more (go-ethereum's `txpool.pricebump`)."""

_TOO_LATE: Final = frozenset({"included", "confirmed", "replaced"})


def read(answer: Json, request: str) -> Intent:
    """Rule 1. answer: the request as the host shows it. Raises Refusal."""
    intent = Intent.decode(unhex(answer, "intent"))
    if intent.request.hex() != request:
        raise Refusal("prepared_mismatch", "the host answered with another request than the one that was asked for")
    return intent


def require_open(api: Api, body: Body, intent: Intent, answer: Json) -> None:
    """Rule 2, and that there is something to replace. intent: what `read` gave. Raises Refusal."""
    require_witnesses(body.order.order)
    policies = directed(api, body).policies
    if not any(intent.requester in policy.requesters for policy in policies):
        raise Refusal("unknown_requester", "no requester of this wallet asked for what would be replaced")
    intent.verify(unhex(answer, "intent_signature"))
    state = str(answer.get("state"))
    if state in _TOO_LATE:
        reason = f"the request is {state}: there is nothing left to replace"
        raise Refusal("request_conflict", reason)
    if state == "pending":
        reason = "the request waits for approvals, and nothing of it was signed: it ends when its intent expires"
        raise Refusal("request_conflict", reason)


def faster(api: Api, body: Body, intent: Intent, fee: int | None) -> Transaction:
    """The same for a higher fee. fee: wei, at most, in all; None for an eighth more, or what the node asks by now."""
    return _priced(api, body, _transaction(intent), fee)


def cancelling(api: Api, body: Body, intent: Intent, fee: int | None) -> Transaction:
    """Nothing, to the wallet itself, for a higher fee. The gas limit stays: the ceiling of the fee must be higher."""
    old, own = _transaction(intent), evm.address(body.keys.key(intent.path))
    return _priced(api, body, dataclasses.replace(old, to=own, value=0, data=b"", access=()), fee)


def send(
    api: Api,
    body: Body,
    replaced: Intent,
    transaction: Transaction,
    requester: Ed25519PrivateKey,
    signers: Sequence[str] = (),
    lists: Sequence[str] = (),
) -> tuple[SignedIntent, Json]:
    """Rules 3 and 4; then as `transactions.send`."""
    policy, chain = standings.in_force(api, body), f"evm:{transaction.chain_id}"
    signed = transactions.sign_intent(
        body, "evm-transaction", transaction.encode(), requester,
        chain=chain, path=replaced.path, policy=policy, replaces=replaced.request,
    )  # fmt: skip
    require_replacement(signed.intent, replaced, body.order.order, body.keys)
    effects = decode(signed.intent, body.keys).effects
    shown = proofs(provers(lists, policy), policy, effects)
    transactions.require_allowed(policy, effects, shown, replaces=True)
    return signed, transactions.submit(api, body, signed, signers, shown)


def _transaction(intent: Intent) -> Transaction:
    if intent.kind != "evm-transaction":
        reason = f"a {intent.kind} is not made anew here: make it, and sign it with `strongroom tx sign --replaces`"
        raise Refusal("unsupported_transaction", reason)
    return Transaction.decode(intent.payload)


def _priced(api: Api, body: Body, old: Transaction, fee: int | None) -> Transaction:
    if fee is not None:
        most, tip = fee // old.gas_limit, _raised(old.max_priority_fee)
    else:
        asked = _asked(api, body, old.chain_id)
        most, tip = max(_raised(old.max_fee), asked[0]), max(_raised(old.max_priority_fee), asked[1])
    tip = min(tip, most) if old.kind == evm.transaction.FEE_MARKET else most
    return dataclasses.replace(old, max_fee=most, max_priority_fee=tip).checked()


def _raised(price: int) -> int:
    return price + max(-(-price // RAISED), 1)


def _asked(api: Api, body: Body, chain_id: int) -> tuple[int, int]:
    """What the host's node asks for gas by now; nothing where it has none, and what was paid before is raised."""
    own = evm.checksum(evm.address(body.public_key))
    try:
        answer = api.prepare(body.wallet.hex(), to=own, value=0, data=b"", chain_id=chain_id)
    except Refusal:
        return 0, 0
    prepared = Transaction.decode(unhex(answer, "payload"))
    return prepared.max_fee, prepared.max_priority_fee
