"""The judgement: the same code in every signer, where it binds, and in the host, where it only fails early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from strongroom import schemes
from strongroom.approval import Approval, Demand, require
from strongroom.chains import evm
from strongroom.chains.bitcoin.keys import WalletKeys
from strongroom.chains.effects import Effects, ToSign
from strongroom.channel import bundle
from strongroom.errors import Refusal
from strongroom.intent.decoding import Decoded, decode
from strongroom.intent.intent import MAX_LIFE, Intent
from strongroom.policy.decide import Circumstances, Decision, decide
from strongroom.policy.document import Policy
from strongroom.policy.history import NO_HISTORY, History
from strongroom.wallet.order import Order


@dataclass(frozen=True)
class Wallet:
    """What a judge knows of the wallet. identifier: its id; keys: those that its addresses follow from."""

    identifier: bytes
    order: Order
    keys: WalletKeys


@dataclass(frozen=True)
class Judged:
    """An intent that is allowed. to_sign: the messages, in their order. decision: what it spends, and demands.

    policy, circumstances: by what it was judged.
    """

    effects: Effects
    to_sign: tuple[ToSign, ...]
    decision: Decision
    policy: Policy
    circumstances: Circumstances

    @property
    def demands(self) -> tuple[Demand, ...]:
        """Approvals must meet them all."""
        return self.decision.demands

    def counted(self, history: History) -> Decision:
        """The same by another history, which can only refuse: what is spent and demanded follows from the effects, so
        that signatures and approvals stay verified. Raises Refusal."""
        return decide(self.policy, self.effects, self.circumstances, history)


def judge(
    intent: Intent,
    signature: bytes,
    wallet: Wallet,
    policy: Policy,
    circumstances: Circumstances,
    approvals: Sequence[Approval] | None,
    history: History = NO_HISTORY,
) -> Judged:
    """What is signed, if order, policy and approvers allow it. Raises Refusal otherwise.

    policy: the one in force. circumstances: with the judge's own clock. approvals: all that came with the request.
    None is for whoever only asks what would be demanded, as the host does before it collects; a signer has none, or
    some, and never None.
    """
    now = circumstances.now
    if intent.wallet != wallet.identifier:
        raise Refusal("intent_mismatch", "the intent is for another wallet")
    if intent.policy != policy.digest():
        raise Refusal("intent_mismatch", "the intent was made under another policy than the one in force")
    if intent.expiry <= now:
        raise Refusal("intent_expired", f"the intent expired {now - intent.expiry} seconds ago")
    if intent.expiry > now + MAX_LIFE:
        raise Refusal("intent_expired", f"the intent's expiry is more than {MAX_LIFE} seconds ahead")
    policy.require_requester(intent.requester)
    intent.verify(signature)
    decoded = decode(intent, wallet.keys)
    _require_bounded(decoded, wallet.order)
    replacing = replace(circumstances, replaces=intent.replaces is not None)
    decision = decide(policy, decoded.effects, replacing, history)
    if replacing.replaces and not decision.rules:
        _require_to_itself(intent, wallet, decoded.effects)
    if approvals is not None:
        require(decision.demands, approvals, policy.approvers, intent.intent_id, intent.requester)
    return Judged(decoded.effects, decoded.to_sign, decision, policy, replacing)


def _require_to_itself(intent: Intent, wallet: Wallet, effects: Effects) -> None:
    """No rule was asked about a cancel. To anybody else its zero would be a payment in their history, from an address
    that they know, or a call of their contract's."""
    own = f"0x{evm.address(wallet.keys.key(intent.path)).hex()}" if effects.transfers else ""
    if any(each.to != own for each in effects.transfers):
        raise Refusal("policy_recipient", f"a cancel sends nothing to the wallet itself, which is {own}")


def _require_bounded(decoded: Decoded, order: Order) -> None:
    most = bundle.most_signatures(order.threshold, pairwise=schemes.suite(order.scheme).pairwise)
    if len(decoded.to_sign) > most:
        reason = f"it wants {len(decoded.to_sign)} signatures; {most} are made for one intent: split it"
        raise Refusal("unsupported_transaction", reason)
