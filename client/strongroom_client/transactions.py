"""Has transactions and texts signed: what is signed is what was asked for, and what comes back is what was signed.

Of a transfer or a call the host fills nonce, gas and fees; this client decodes the very bytes itself and compares them
with the request. Rule 4 is for every kind of request:

 1. The payload is a canonical unsigned EIP-1559 transaction                              malformed_transaction
 2. Chain, recipient, value and data are those asked for                                  prepared_mismatch
 3. The wallet's own policy allows it (the signers judge again)                           policy_*
 4. What comes back is those very bytes, finished with signatures that all verify         signed_mismatch
    under the wallet's key, or the keys derived from it
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
from strongroom.chains import evm
from strongroom.chains.effects import Effects
from strongroom.chains.evm import Transaction
from strongroom.errors import CODES, Refusal
from strongroom.intent.decoding import decode
from strongroom.intent.finishing import Finished, finish, verify
from strongroom.intent.intent import Intent, Kind, intent_signing_bytes
from strongroom.policy.decide import Circumstances, decide
from strongroom.policy.document import Policy
from strongroom.policy.history import NO_HISTORY
from strongroom.policy.lists import Proof, Prover
from strongroom.wallet.certificate import Body
from strongroom.wire import cbor
from strongroom_client import keyfiles, standings
from strongroom_client.api import Api, Json, problem, unhex
from strongroom_client.policies.proving import proofs, provers

LIFE: Final = 600
"""Seconds until an intent expires."""

_UNITS: Final = {"wei": 0, "gwei": 9, "ether": 18, "eth": 18}
_VALUE: Final = re.compile(r"([0-9]{1,78})(?:\.([0-9]{0,78}))? *([a-z]*)")

HANDED_BACK: Final = 5.0
"""Seconds after which what is signed, and has no error, is sent nowhere: a host that has a node sends it at once."""

ENDS: Final = frozenset({"confirmed", "replaced", "refused", "failed", "expired"})
SETTLED: Final = ENDS | {"included"}
MINED: Final = frozenset({"included", "confirmed"})
SIGNED: Final = frozenset({"signed", "broadcast", "included", "confirmed"})


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


def parse_path(text: str) -> tuple[int, ...]:
    """`m/0/5` or `0/5`; empty for the wallet's own key. Raises Refusal `malformed_message`."""
    steps = text.removeprefix("m").strip("/").split("/") if text.strip("m/") else []
    if not all(step.isascii() and step.isdecimal() and len(step) <= 10 for step in steps):
        raise Refusal("malformed_message", f"{text!r} is no path such as m/0/5; hardened steps need the whole key")
    return tuple(map(int, steps))


def prepare(
    api: Api, body: Body, asked: Transfer, policy: Policy, lists: Sequence[Prover] = ()
) -> tuple[Transaction, tuple[Proof, ...]]:
    """Rules 1 to 3, and the proofs that signers will want. body: the verified certificate's. lists: whole ones, of
    which the policy has the root. Raises Refusal; nothing was signed then."""
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
    found = proofs(lists, policy, effects)
    require_allowed(policy, effects, found)
    return transaction, found


def require_allowed(policy: Policy, effects: Effects, shown: Sequence[Proof] = (), *, replaces: bool = False) -> None:
    """Lease, freeze and history are for the signers to judge, who know what officers directed since, and what was
    signed; all else is judged here. replaces: whether it takes the place of another request. Raises Refusal."""
    now = int(time.time())
    circumstances = Circumstances(now, renewed=max(now + 1, policy.issued), proofs=shown, replaces=replaces)
    decide(policy.anywhere(), effects, circumstances, NO_HISTORY)


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
    chain: str = "",
    path: tuple[int, ...] = (),
    life: int = LIFE,
    policy: Policy | None = None,
    replaces: bytes | None = None,
) -> SignedIntent:
    """An intent over exactly this payload, signed by the requester.

    chain: as effects name it; empty for `message`. policy: the one in force; None for the order's. replaces: the
    request whose place it takes.
    """
    intent = Intent(
        wallet=body.wallet,
        kind=kind,
        payload=payload,
        request=secrets.token_bytes(16),
        requester=keyfiles.public(requester),
        expiry=int(time.time()) + life,
        policy=(policy or body.order.order.policy).digest(),
        chain=chain,
        path=path,
        replaces=replaces,
    )
    return SignedIntent(intent, requester.sign(intent_signing_bytes(intent.intent_id)))


def submit(
    api: Api, body: Body, signed: SignedIntent, signers: Sequence[str] = (), shown: Sequence[Proof] = ()
) -> Json:
    """The request as the host has it, after rule 4. Raises the refusal of whoever refused it.

    signers: the set to try first; empty: the host's choice. shown: proofs, for the signers."""
    raw = [cbor.encode(proof.value()) for proof in shown]
    answer = api.submit(signed.intent.encode(), signed.signature, signers, raw)
    check(answer, signed.intent, body)
    return answer


def check(request: Json, intent: Intent, body: Body) -> Finished | None:
    """Rule 4, for whatever the host says of the request now: what was signed, None where nothing is signed yet.

    Raises the refusal where it ended badly, and `signed_mismatch` where what came back is anything else."""
    raise_failure(request)
    signatures = request.get("signatures") or []
    if not signatures and request.get("state") not in SIGNED:
        return None
    try:
        signed = [bytes.fromhex(each) for each in signatures]
    except (TypeError, ValueError):
        raise Refusal("malformed_message", "the host's answer has signatures that are not hexadecimal") from None
    verify(decode(intent, body.keys).to_sign, body.keys, signed)
    finished = finish(intent, body.keys, signed)
    transaction = request.get("transaction") or {}
    shown = {"result": request.get("result"), **{name: transaction.get(name) for name in ("raw", "hash")}}
    true = {"result": finished.raw.hex(), "raw": finished.raw.hex(), "hash": finished.name}
    if any(shown[name] != true[name] for name in (true if finished.name else ("result",))):
        raise Refusal("signed_mismatch", "what came back differs from the bytes that you approved")
    return finished


def send(
    api: Api,
    body: Body,
    asked: Transfer,
    requester: Ed25519PrivateKey,
    signers: Sequence[str] = (),
    lists: Sequence[str] = (),
) -> tuple[SignedIntent, Json]:
    """The intent over what the host prepared, and the request as the host has it. Raises Refusal.

    lists: NAME=FILE of each long list that the policy has as a root.
    """
    policy = standings.in_force(api, body)
    transaction, shown = prepare(api, body, asked, policy, provers(lists, policy))
    chain, payload = f"evm:{transaction.chain_id}", transaction.encode()
    signed = sign_intent(body, "evm-transaction", payload, requester, chain=chain, policy=policy)
    return signed, submit(api, body, signed, signers, shown)


def raw_transaction(request: Json) -> bytes:
    transaction = request.get("transaction")
    if not isinstance(transaction, dict):
        raise Refusal("malformed_message", "the host's answer has no transaction")
    return unhex(transaction, "raw")


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
