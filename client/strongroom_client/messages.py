"""Signs a text: bound to the wallet and to this purpose before it is signed, or as the wallets of a chain sign theirs;
never so that it could be a transaction of any chain (docs/specification.md section 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.errors import Refusal
from strongroom.intent.decoding import decode
from strongroom.intent.finishing import Finished
from strongroom.intent.intent import Kind
from strongroom.wallet.certificate import Body
from strongroom_client import standings
from strongroom_client.api import Api, Json
from strongroom_client.transactions import SignedIntent, check, require_allowed, sign_intent, submit

_KINDS: Final[Mapping[str, Kind]] = {
    "": "message",
    "evm": "evm-text",
    "bitcoin": "bitcoin-text",
    "solana": "solana-text",
}


def kind_of(chain: str) -> Kind:
    """chain: as effects name it, or empty for Strongroom's own text. Raises Refusal `unsupported_transaction`."""
    family = chain.partition(":")[0]
    if family not in _KINDS:
        raise Refusal("unsupported_transaction", f"no texts are signed for {chain!r}")
    return _KINDS[family]


def signed_bytes(signed: SignedIntent, body: Body) -> bytes:
    """The very bytes that are handed to the signature algorithm."""
    return decode(signed.intent, body.keys).to_sign[0].message


def sign(
    api: Api,
    body: Body,
    text: str,
    requester: Ed25519PrivateKey,
    signers: Sequence[str] = (),
    *,
    chain: str = "",
    path: tuple[int, ...] = (),
) -> tuple[SignedIntent, Finished, Json]:
    """The intent, the signature as verifiers of its kind take it, and the request as the host has it.

    Raises Refusal.
    """
    policy = standings.in_force(api, body)
    signed = sign_intent(body, kind_of(chain), text.encode(), requester, chain=chain, path=path, policy=policy)
    require_allowed(policy, decode(signed.intent, body.keys).effects)
    answer = submit(api, body, signed, signers)
    finished = check(answer, signed.intent, body)
    if finished is None:
        missing = "; ".join(map(str, answer.get("missing") or ())) or "the host does not say for what"
        raise Refusal("approval_missing", f"request {answer.get('request')} waits: {missing}")
    return signed, finished, answer
