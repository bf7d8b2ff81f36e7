"""Whether one intent may take the place of another. Every journal asks for itself; host and client ask first, to fail
early and to say what it takes."""

from __future__ import annotations

from strongroom.chains.bitcoin.keys import WalletKeys
from strongroom.errors import Refusal
from strongroom.intent.decoding import decode
from strongroom.intent.intent import Intent
from strongroom.journal.entry import Candidate, Entry
from strongroom.journal.quorum import Quorum
from strongroom.wallet.order import Order


def require_witnesses(order: Order) -> Quorum:
    """How many journals must agree. Raises Refusal `no_witnesses`."""
    if order.quorum is None:
        raise Refusal("no_witnesses", "the wallet's order names no witness, so no journal remembers what was signed")
    return order.quorum


def require_replacement(intent: Intent, replaced: Intent, order: Order, keys: WalletKeys) -> None:
    """intent: of this wallet, and names the other one in `replaces`. Raises Refusal: `no_witnesses`, `intent_mismatch`,
    `journal_conflict`, or a decoder's."""
    require_witnesses(order)
    if intent.replaces != replaced.request or intent.wallet != replaced.wallet:
        raise Refusal("intent_mismatch", f"it does not replace request {replaced.request.hex()} of this wallet")
    draft, other = _entry(intent, keys), _entry(replaced, keys)
    if not set(draft.once) & set(other.once):
        reason = f"it uses up nothing of what request {replaced.request.hex()} uses up: the same nonce, a shared input"
        raise Refusal("journal_conflict", reason)
    if not draft.supersedes(other):
        raise Refusal("journal_conflict", draft.objection(other))


def _entry(intent: Intent, keys: WalletKeys) -> Entry:
    """As a journal would have it, but for time and spends, which do not matter here."""
    effects = decode(intent, keys).effects
    request, expiry = intent.request, intent.expiry
    return Candidate(request, intent.intent_id, 0, expiry, effects, intent.replaces, intent.path).entry(())
