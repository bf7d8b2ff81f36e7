"""Stored things as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from strongroom import schemes
from strongroom.chains import evm
from strongroom.intent.finishing import TRANSACTIONS
from strongroom.policy.lists import Proof
from strongroom.wallet.order import Member
from strongroom.wire import cbor
from strongroom.wire.fields import Fields
from strongroom_host.relay.relay import EPOCH
from strongroom_host.relay.wallets import Dealt
from strongroom_host.storage.approvals import Kept
from strongroom_host.storage.requests import Request
from strongroom_host.storage.wallets import Wallet

Json = dict[str, Any]


def wallet(each: Wallet) -> Json:
    order = each.signed_order.order
    public_key, address = None, None
    if each.dealt is not None:
        key = Dealt.parse(Fields.decode(each.dealt, "dealt")).public_key
        public_key, address = key.hex(), address_of(order.scheme, key)
    return {
        "wallet": each.wallet,
        "order": each.signed_order.order_id.hex(),
        "phase": each.phase,
        "mode": order.mode,
        "scheme": order.scheme,
        "threshold": order.threshold,
        "epoch": EPOCH,
        "public_key": public_key,
        "address": address,
        "signers": [member(one) for one in order.roster],
    }


def address_of(scheme: str, public_key: bytes) -> str:
    """As the certificate gives it: EIP-55, or the key that signatures verify under, in hex."""
    if schemes.suite(scheme).digest:
        return evm.checksum(evm.address(public_key))
    return schemes.wallet_key(scheme, public_key).hex()


def member(each: Member) -> Json:
    return {
        "name": each.name,
        "root": each.root,
        "trust": each.trust.hex(),
        "measurements": {name: value.hex() for name, value in each.measurements.items()},
        "labels": labels(each),
    }


def labels(each: Member) -> Json:
    return dict(each.labels.value())


def approval(each: Kept) -> Json:
    said = each.approval
    return {"approver": said.approver, "decision": said.decision, "approval": each.raw.hex(), "at": each.at}


def request(
    each: Request,
    approvals: Sequence[Kept] | None = None,
    missing: Sequence[str] | None = None,
    proofs: Sequence[Proof] | None = None,
    replaced_by: Sequence[str] | None = None,
) -> Json:
    """approvals, missing, proofs, replaced_by: None in lists, where they are not looked up."""
    transaction = None
    if each.raw is not None and each.kind in TRANSACTIONS:
        transaction = {
            "hash": each.hash,
            "raw": each.raw.hex(),
            "chain_id": each.chain_id,
            "nonce": each.nonce,
            "block": each.block,
            "confirmations": each.confirmations,
            "status": each.status,
        }
    return {
        "request": each.request,
        "wallet": each.wallet,
        "kind": each.kind,
        "state": each.state,
        "replaces": each.replaces,
        "replaced_by": None if replaced_by is None else list(replaced_by),
        "intent": each.intent.hex(),
        "intent_signature": each.intent_signature.hex(),
        "approvals": None if approvals is None else [approval(one) for one in approvals],
        "proofs": None if proofs is None else [cbor.encode(proof.value()).hex() for proof in proofs],
        "missing": None if missing is None else list(missing),
        "signers": list(each.signers),
        "attempt": each.attempt,
        "signatures": [signature.hex() for signature in each.signatures],
        "result": None if each.raw is None else each.raw.hex(),
        "transaction": transaction,
        "error": each.error,
        "history": [{"state": state, "at": at, "reason": reason} for state, at, reason in each.history],
    }
