"""Whether a wallet is what its officers ordered: asked of every signer, believed of nobody in between.

The rules, in the order in which they are applied; only then is an address shown:

 1. The certificate's body names the wallet that was asked for, in this client's mode          bad_certificate
 2. Its order is signed by the quorum of the officers pinned here                              order_not_signed
 3. The wallet id follows from order, transcript and key; test signatures cover every signer    bad_certificate
 4. Exactly the roster's signers answered a nonce that was drawn here, just now                 bad_certificate
    Where no address is shown, t of them are enough (`verify_for_use`)
 5. Each answer is evidence that leads to the roster's root for that signer, at our clock       evidence_*
 6. Each is bound to our nonce, the hash of this very body, and its epoch               evidence_nonce, _binding
 7. Each program is the one the roster pins, or the wallet's active release            evidence_measurement
 8. No two enclaves run on one instance (PCR4), which no roster has to pin               evidence_measurement

The address is computed here from the verified key; what the host calls the address is compared, never shown.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from strongroom.errors import Refusal
from strongroom.evidence import verify as evidence
from strongroom.evidence.statement import Mode, Statement, require_binding, require_measurements
from strongroom.signer.configuration import Officers
from strongroom.wallet.certificate import Body, Certificate, attested_user_data, certificate_hash, verify_body
from strongroom.wallet.members import Roster
from strongroom.wallet.order import Member, Order, SignedOrder
from strongroom_client.api import Api, Json, unhex
from strongroom_client.directed import directed


@dataclass(frozen=True)
class Verified:
    """A wallet whose signers all vouched for it, freshly. at: Unix seconds of this client's clock."""

    body: Body
    statements: tuple[tuple[Member, Statement], ...]
    nonce: bytes
    at: int

    @property
    def order(self) -> Order:
        return self.body.order.order

    @property
    def away(self) -> tuple[str, ...]:
        """The signers that did not vouch; nobody where `verify` made this."""
        vouched = {member.name for member, _ in self.statements}
        return tuple(name for name in self.order.names if name not in vouched)

    @property
    def wallet(self) -> str:
        return self.body.wallet.hex()

    @property
    def address(self) -> str:
        return self.body.address


def create(api: Api, order: SignedOrder, *, officers: Officers, mode: Mode) -> Verified:
    """Has the signers create the wallet, then verifies it like any other. Raises Refusal."""
    answer = api.create_wallet(order.encode())
    verified = verify(api, wallet_name(answer), officers=officers, mode=mode)
    if verified.body.order.order_id != order.order_id:
        raise Refusal("bad_certificate", "the host created a wallet for another order than the one it was sent")
    return verified


def wallet_name(answer: Json) -> str:
    value = answer.get("wallet")
    if not isinstance(value, str):
        raise Refusal("malformed_message", "the host's answer names no wallet")
    return value


def verify(api: Api, wallet: str, *, officers: Officers, mode: Mode) -> Verified:
    """All rules above, with a fresh nonce and this machine's clock. Raises Refusal."""
    return _verify(api, wallet, officers, mode, every=True)


def verify_for_use(api: Api, wallet: str, *, officers: Officers, mode: Mode) -> Verified:
    """As `verify`, to sign with a wallet and not to pay into it: while n - t signers are away, t of them vouch. One of
    any t is honest, and vouches for no wallet but the one that it holds a share of. Raises Refusal."""
    return _verify(api, wallet, officers, mode, every=False)


def _verify(api: Api, wallet: str, officers: Officers, mode: Mode, *, every: bool) -> Verified:
    certificate = Certificate.decode(api.certificate(wallet))
    body = check_body(certificate, wallet, officers=officers, mode=mode)
    nonce = secrets.token_bytes(32)
    answers = api.attestations(wallet, nonce)
    at = int(time.time())
    roster = directed(api, body).roster(body.order.order)
    verified = check_answers(certificate, body, answers, roster, nonce=nonce, at=at, every=every)
    check_shown(api.wallet(wallet), verified)
    return verified


def check_body(certificate: Certificate, wallet: str, *, officers: Officers, mode: Mode) -> Body:
    # 1
    body = Body.decode(certificate.body)
    if body.wallet.hex() != wallet:
        raise Refusal("bad_certificate", "the certificate is of another wallet than the one asked for")
    if body.order.order.mode != mode:
        raise Refusal("mode_mismatch", f"the wallet is of mode {body.order.order.mode}, this client of mode {mode}")
    # 2, 3
    return verify_body(body, officers)


def check_answers(
    certificate: Certificate,
    body: Body,
    answers: Sequence[Json],
    roster: Roster,
    *,
    nonce: bytes,
    at: int,
    every: bool = True,
) -> Verified:
    """roster: what each member must measure by now. every: whether all signers must have answered, or t."""
    # 4
    order = body.order.order
    by_name = {answer.get("signer"): answer for answer in answers}
    enough = len(by_name) >= (len(order.names) if every else order.threshold)
    if len(by_name) != len(answers) or not set(by_name) <= set(order.names) or not enough:
        missing = ", ".join(sorted(set(order.names) - set(map(str, by_name)))) or "nobody, but others did"
        raise Refusal("bad_certificate", f"not exactly the roster's signers vouched for the wallet; missing: {missing}")
    user_data = attested_user_data(certificate_hash(certificate.body), body.epoch)
    statements = []
    for member in map(roster.member, order.names):
        if member.name not in by_name:
            continue
        document = unhex(by_name[member.name], "document")
        statements.append((member, check_evidence(document, member, order.mode, nonce, user_data, at)))
    # 8
    require_instances(statements)
    return Verified(body, tuple(statements), nonce, at)


def require_instances(statements: Sequence[tuple[Member, Statement]]) -> None:
    """An instance that replaces a lost one has another PCR4 than the roster's officers knew; whoever gets at one
    instance must not reach two shares."""
    seen: dict[bytes, str] = {}
    for member, statement in statements:
        instance = statement.measurements.get("pcr4")
        if instance is None:
            continue
        if instance in seen:
            names = (seen[instance], member.name)
            raise Refusal("evidence_measurement", f"{names[0]} and {names[1]} are on one instance", culprits=names)
        seen[instance] = member.name


def check_evidence(document: bytes, member: Member, mode: Mode, nonce: bytes, user_data: bytes, at: int) -> Statement:
    """Rules 5 to 7 for one signer. A refusal names it."""
    try:
        # 5
        statement = evidence.verify(document, kind=member.root, roots=[member.trust_root(mode)], at=at)
        if member.root == "pkcs11" and statement.subject != member.name:
            raise Refusal("evidence_binding", f"the evidence is that of {statement.subject}")
        # 6
        require_binding(statement, nonce=nonce, user_data=user_data)
        # 7
        require_measurements(statement, member.measurements)
    except Refusal as refusal:
        raise Refusal(refusal.code, f"{member.name}: {refusal.reason}", culprits=(member.name,)) from refusal
    return statement


def check_shown(shown: Json, verified: Verified) -> None:
    """What the host shows to everybody else must be what was verified: a swapped address is an attack, not a typo."""
    for name, value in (("address", verified.address), ("public_key", verified.body.public_key.hex())):
        if name in shown and shown[name] != value:
            reason = f"the host shows {name} {str(shown[name])[:70]}, the signers' certificate gives {value}"
            raise Refusal("bad_certificate", reason)
