"""Signs a text with an Ed25519 or BIP-340 wallet. The text is bound to the wallet and to this purpose before it is
signed, so that it can never be a transaction of any chain (docs/specification.md section 6)."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom import schemes
from strongroom.chains import message
from strongroom.errors import Refusal
from strongroom.policy.decide import decide
from strongroom.policy.history import NO_HISTORY
from strongroom.wallet.certificate import Body
from strongroom_client import standings
from strongroom_client.api import Api, Json, unhex
from strongroom_client.transactions import lasting, raise_failure, sign_intent


def signed_bytes(body: Body, text: str) -> bytes:
    """The very bytes that are handed to the signature algorithm."""
    payload = text.encode()
    if schemes.suite(body.order.order.scheme).taproot:
        return message.tagged(body.wallet, payload)
    return message.domain_separated(body.wallet, payload)


def sign(
    api: Api, body: Body, text: str, requester: Ed25519PrivateKey, signers: Sequence[str] = ()
) -> tuple[bytes, Json]:
    """The signature, verified here, and the request as the host has it. Raises Refusal."""
    policy = standings.in_force(api, body)
    decide(policy, message.effects(text.encode()), lasting(policy), NO_HISTORY)
    signed = sign_intent(body, "message", text.encode(), requester, policy=policy)
    answer = api.submit(signed.intent.encode(), signed.signature, signers)
    raise_failure(answer)
    signature = unhex(answer, "signature")
    if not schemes.verify(body.order.order.scheme, body.public_key, signed_bytes(body, text), signature):
        raise Refusal("signed_mismatch", "the signature does not verify under the wallet's key")
    return signature, answer
