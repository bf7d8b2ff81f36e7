"""The judgement: the same code in every signer, where it binds, and in the host, where it only fails early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from strongroom import schemes
from strongroom.approval import Approval, Demand, require
from strongroom.chains import evm, message
from strongroom.chains.effects import Effects
from strongroom.errors import Refusal
from strongroom.intent.intent import MAX_LIFE, Intent
from strongroom.policy.decide import Circumstances, decide
from strongroom.policy.document import Policy
from strongroom.policy.history import NO_HISTORY
from strongroom.wallet.order import Order


@dataclass(frozen=True)
class Judgement:
    """message: what the scheme signs, a digest of 32 bytes or the message. demands: approvals must meet them all."""

    message: bytes
    demands: tuple[Demand, ...]


def judge(
    intent: Intent,
    signature: bytes,
    order: Order,
    wallet: bytes,
    policy: Policy,
    circumstances: Circumstances,
    approvals: Sequence[Approval] | None,
) -> Judgement:
    """What is signed, if order, policy and approvers allow it. Raises Refusal otherwise.

    policy: the one in force. circumstances: with the judge's own clock. approvals: all that came with the request.
    None is for whoever only asks what would be demanded, as the host does before it collects; a signer has none, or
    some, and never None.
    """
    now = circumstances.now
    if intent.wallet != wallet:
        raise Refusal("intent_mismatch", "the intent is for another wallet")
    if intent.policy != policy.digest():
        raise Refusal("intent_mismatch", "the intent was made under another policy than the one in force")
    if intent.expiry <= now:
        raise Refusal("intent_expired", f"the intent expired {now - intent.expiry} seconds ago")
    if intent.expiry > now + MAX_LIFE:
        raise Refusal("intent_expired", f"the intent's expiry is more than {MAX_LIFE} seconds ahead")
    policy.require_requester(intent.requester)
    intent.verify(signature)
    effects, signed = decode(intent, order)
    decision = decide(policy, effects, circumstances, NO_HISTORY)
    if approvals is not None:
        require(decision.demands, approvals, policy.approvers, intent.intent_id, intent.requester)
    return Judgement(signed, decision.demands)


def decode(intent: Intent, order: Order) -> tuple[Effects, bytes]:
    """What the payload would do, and what is to be signed for it. Raises Refusal where it is not decoded in full."""
    suite = schemes.suite(order.scheme)
    if intent.kind == "message":
        if suite.digest:
            raise Refusal("intent_mismatch", f"a wallet of scheme {suite.name} signs transactions, not messages")
        separated = message.tagged if suite.taproot else message.domain_separated
        return message.effects(intent.payload), separated(intent.wallet, intent.payload)
    if not suite.digest:
        raise Refusal("intent_mismatch", f"a wallet of scheme {suite.name} has no Ethereum address")
    transaction = evm.Transaction.decode(intent.payload)
    # The digest is of the decoded transaction, encoded again: what was judged is what is signed.
    if transaction.encode() != intent.payload:
        raise Refusal("malformed_transaction", "the transaction is not encoded canonically")
    return transaction.effects(), schemes.keccak256(intent.payload)


def to_sign(intent: Intent, order: Order) -> bytes:
    """What is signed for an intent that was judged."""
    return decode(intent, order)[1]
