"""Sends a transfer or a call: what is signed here is what was asked for, and what comes back is what was signed.

The host fills nonce, gas and fees; this client decodes the very bytes itself and compares them with the request:

 1. The payload is a canonical unsigned EIP-1559 transaction                              malformed_transaction
 2. Chain, recipient, value and data are those asked for                                  prepared_mismatch
 3. The wallet's own policy allows it (the signers judge again)                           policy_*
 4. The raw transaction that comes back is those bytes with a signature                   signed_mismatch
    that verifies under the wallet's key
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom import schemes
from strongroom.chains import evm, rlp
from strongroom.chains.evm import Transaction
from strongroom.errors import CODES, Refusal
from strongroom.intent.intent import Intent, Kind, intent_signing_bytes
from strongroom.policy.decide import Circumstances, decide
from strongroom.policy.document import Policy
from strongroom.policy.history import NO_HISTORY
from strongroom.wallet.certificate import Body
from strongroom_client import keyfiles, standings
from strongroom_client.api import Api, Json, problem, unhex

LIFE: Final = 600
"""Seconds until an intent expires."""

_UNITS: Final = {"wei": 0, "gwei": 9, "ether": 18, "eth": 18}
_VALUE: Final = re.compile(r"([0-9]{1,78})(?:\.([0-9]{0,78}))? *([a-z]*)")

HANDED_BACK: Final = 5.0
"""Seconds after which what is signed, and has no error, is sent nowhere: a host that has a node sends it at once."""

ENDS: Final = frozenset({"confirmed", "refused", "failed", "expired"})
SETTLED: Final = ENDS | {"included"}


@dataclass(frozen=True)
class Transfer:
    """What a person asks for. value in wei; to is 20 bytes; chain_id None: whichever one the policy allows."""

    to: bytes
    value: int
    data: bytes = b""
    chain_id: int | None = None


@dataclass(frozen=True)
class SignedIntent:
    intent: Intent
    signature: bytes


def parse_value(text: str) -> int:
    """`12`, `12 wei`, `3gwei`, `0.05 ether`, to wei, exactly. Raises Refusal `malformed_transaction`."""
    found = _VALUE.fullmatch(text.strip())
    whole, fraction, unit = (found[1], (found[2] or "").rstrip("0"), found[3] or "wei") if found else ("", "", "")
    # In integers: Decimal rounds to 28 digits without a word.
    decimals = _UNITS.get(unit, -1)
    amount = int(whole + fraction.ljust(decimals, "0")) if len(fraction) <= decimals else 1 << 256
    if amount >= 1 << 256:
        raise Refusal("malformed_transaction", f"{text!r} is no amount such as 12, 3gwei or 0.05ether")
    return amount


def prepare(api: Api, body: Body, asked: Transfer, policy: Policy) -> Transaction:
    """Rules 1 to 3. body: the verified certificate's. Raises Refusal; nothing was signed then."""
    answer = api.prepare(
        body.wallet.hex(), to=evm.checksum(asked.to), value=asked.value, data=asked.data, chain_id=asked.chain_id
    )
    # 1
    payload = unhex(answer, "payload")
    transaction = Transaction.decode(payload)
    if transaction.encode() != payload:
        raise Refusal("malformed_transaction", "the payload is not the one encoding of its transaction")
    # 2
    _compare(transaction, asked)
    # 3
    effects = transaction.effects(evm.address(body.public_key))
    decide(policy, effects, lasting(policy), NO_HISTORY)
    return transaction


def lasting(policy: Policy) -> Circumstances:
    """Lease and freeze are for the signers to judge, who know what officers directed since; all else is judged here."""
    now = int(time.time())
    return Circumstances(now, renewed=max(now + 1, policy.issued))


def _compare(transaction: Transaction, asked: Transfer) -> None:
    pairs: list[tuple[str, object, object]] = [
        ("recipient", evm.checksum(transaction.to), evm.checksum(asked.to)),
        ("value", transaction.value, asked.value),
        ("call data", transaction.data.hex(), asked.data.hex()),
    ]
    if asked.chain_id is not None:
        pairs.append(("chain", transaction.chain_id, asked.chain_id))
    for what, prepared, wanted in pairs:
        if prepared != wanted:
            raise Refusal("prepared_mismatch", f"the host prepared {what} {prepared}, you asked for {wanted}")


def sign_intent(
    body: Body,
    kind: Kind,
    payload: bytes,
    requester: Ed25519PrivateKey,
    *,
    life: int = LIFE,
    policy: Policy | None = None,
) -> SignedIntent:
    """An intent over exactly this payload, signed by the requester. policy: the one in force; None for the order's."""
    intent = Intent(
        wallet=body.wallet,
        kind=kind,
        payload=payload,
        request=secrets.token_bytes(16),
        requester=keyfiles.public(requester),
        expiry=int(time.time()) + life,
        policy=(policy or body.order.order.policy).digest(),
    )
    return SignedIntent(intent, requester.sign(intent_signing_bytes(intent.intent_id)))


def submit(api: Api, body: Body, signed: SignedIntent, signers: Sequence[str] = ()) -> Json:
    """The request as the host has it, after rule 4. Raises the refusal of whoever refused it.

    signers: the set to try first; empty: the host's choice."""
    answer = api.submit(signed.intent.encode(), signed.signature, signers)
    check(answer, signed.intent.payload, body)
    return answer


def check(request: Json, payload: bytes, body: Body) -> None:
    """Rule 4, for whatever the host says of the request now. Raises the refusal where it ended badly."""
    raise_failure(request)
    if request.get("transaction"):
        check_raw(raw_transaction(request), payload, body)


def send(
    api: Api, body: Body, asked: Transfer, requester: Ed25519PrivateKey, signers: Sequence[str] = ()
) -> tuple[Transaction, Json]:
    policy = standings.in_force(api, body)
    transaction = prepare(api, body, asked, policy)
    signed = sign_intent(body, "evm-transaction", transaction.encode(), requester, policy=policy)
    return transaction, submit(api, body, signed, signers)


def raw_transaction(request: Json) -> bytes:
    transaction = request.get("transaction")
    if not isinstance(transaction, dict):
        raise Refusal("malformed_message", "the host's answer has no transaction")
    return unhex(transaction, "raw")


def check_raw(raw: bytes, payload: bytes, body: Body) -> bytes:
    """The signature (65 bytes) of a raw transaction. Raises Refusal `signed_mismatch`."""
    transaction = Transaction.decode(payload)
    items = rlp.decode(raw[1:]) if raw[:1] == evm.TYPE else []
    if isinstance(items, bytes) or len(items) != 12:
        raise Refusal("signed_mismatch", "what came back is no signed EIP-1559 transaction")
    parity, r, s = (rlp.integer(item, bits=256, what="signature") for item in items[9:])
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes((parity & 1,))
    if transaction.signed(signature) != raw:
        raise Refusal("signed_mismatch", "the raw transaction differs from the bytes that you approved")
    if not schemes.verify(body.order.order.scheme, body.public_key, transaction.digest(), signature):
        raise Refusal("signed_mismatch", "the signature does not verify under the wallet's key")
    return signature


def transaction_hash(raw: bytes) -> bytes:
    return schemes.keccak256(raw)


def raise_failure(request: Json) -> None:
    """A request that ended badly carries its problem."""
    error = request.get("error")
    if isinstance(error, dict) and error.get("code") in CODES:
        raise problem(error)


def wait(
    api: Api,
    request: str,
    *,
    until: frozenset[str] = SETTLED,
    timeout: float = 120.0,
    pause: float = 0.25,
    progress: Callable[[str], None] = lambda state: None,
) -> Json:
    """Polls until the request reaches one of the states `until`, or ends; after `timeout` seconds, whatever it is.

    Of a chain that the host has no node for, a signed transaction is as far as it gets, and so is a message.
    """
    deadline = time.monotonic() + timeout
    last, since = "", 0.0
    while True:
        answer = api.request(request)
        state = str(answer.get("state"))
        if state != last:
            progress(state)
            last, since = state, time.monotonic()
        if state == "signed" and not answer.get("error") and time.monotonic() - since > HANDED_BACK:
            return answer
        if state in until or state in ENDS or time.monotonic() > deadline:
            return answer
        time.sleep(pause)
