"""Proofs of misbehaviour that anyone can check, put together out of what signers signed with their boot keys.

A boot key counts only as evidence attests it: the host asks for fresh evidence and verifies it as a client would, for
it names nobody on the word of a signer alone.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from itertools import combinations

from strongroom import signatures
from strongroom.channel.blame import equivocators
from strongroom.channel.envelope import contribution_signing_bytes
from strongroom.errors import Refusal
from strongroom.evidence import verify as evidence
from strongroom.evidence.statement import require_measurements
from strongroom.wallet.order import SignedOrder
from strongroom.wire import cbor
from strongroom_host.relay.rounds import Last
from strongroom_host.signers import Signers


def boot_keys(signers: Signers, order: SignedOrder, names: Sequence[str]) -> dict[str, bytes]:
    """The attested boot key of each of these signers that gives evidence now; others are left out."""
    nonce = secrets.token_bytes(32)
    answers = signers.ask([(name, "evidence", {"nonce": nonce}) for name in names])
    keys: dict[str, bytes] = {}
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, Refusal):
            continue
        member = order.order.member(name)
        try:
            document = answer.blob("document")
            statement = evidence.verify(
                document, kind=member.root, roots=[member.trust_root(order.order.mode)], at=int(time.time())
            )
            require_measurements(statement, member.measurements)
        except Refusal:
            continue
        if statement.nonce == nonce and statement.public_key is not None:
            keys[name] = statement.public_key
    return keys


def wrong_contributions(
    signers: Signers, order: SignedOrder, ceremony: bytes, refusal: Refusal, lasts: Mapping[str, Last]
) -> Refusal | None:
    """`bad_share` against those whose signed contribution is wrong; refusal: what combining said, culprits by number.

    None where nobody signed what is wrong: then nobody can be convinced.
    """
    names = order.order.names
    named = [names[int(number) - 1] for number in refusal.culprits if number.isdecimal() and int(number) <= len(names)]
    keys = boot_keys(signers, order, named) if named else {}
    proven: list[cbor.Value] = []
    culprits: list[str] = []
    for name in named:
        last = lasts.get(name)
        if last is None or last.signature is None or name not in keys:
            continue
        if signatures.verify(keys[name], last.signature, contribution_signing_bytes(ceremony, name, last.result)):
            culprits.append(name)
            proven.append([name, keys[name], last.result, last.signature])
    if not culprits:
        return None
    proof = cbor.encode({"ceremony": ceremony, "contributions": proven})
    return Refusal(refusal.code, refusal.reason, culprits=tuple(culprits), verdict="proof", proof=proof)


def equivocation(signers: Signers, order: SignedOrder, refusals: Mapping[str, Refusal]) -> Refusal | None:
    """`equivocation` against signers that broadcast two things in one round, where two testimonies of a split view
    prove it. None where they do not: then the host, or the link, showed the signers different things."""
    testimonies = [refusal.proof for refusal in refusals.values() if refusal.code == "split_view" and refusal.proof]
    keys = boot_keys(signers, order, order.order.names) if len(testimonies) > 1 else {}
    for one, other in combinations(testimonies, 2):
        try:
            culprits = equivocators(one, other, keys)
        except Refusal:
            continue
        if culprits:
            reason = f"{', '.join(culprits)} signed two different broadcasts for one round"
            proof = cbor.encode({"testimonies": [one, other], "boot_keys": {name: keys[name] for name in culprits}})
            return Refusal("equivocation", reason, culprits=culprits, verdict="proof", proof=proof)
    return None
