"""Approvers with their secrets: key files, machines, and an authenticator that can be told to misbehave."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.approval import Approval, Approver, Decision, Key, Passkey, approval_digest
from strongroom.approval.approver import Algorithm, Kind
from strongroom.approval.webauthn import Assertion

Secret = Ed25519PrivateKey | ec.EllipticCurvePrivateKey
RP, ORIGIN = "localhost", "http://localhost:47113"
PRESENT_AND_VERIFIED = 0x05


@dataclass(frozen=True)
class Held:
    """An entry of the registry with its secret."""

    approver: Approver
    secret: Secret

    def approval(self, intent_id: bytes, decision: Decision = "approve") -> Approval:
        digest = approval_digest(decision, intent_id)
        proof = assertion(self.secret, digest) if self.approver.passkey else sign_digest(self.secret, digest)
        return Approval(self.approver.name, decision, proof)


def held(
    name: str,
    groups: Sequence[str] = ("treasury",),
    *,
    algorithm: Algorithm = "ed25519",
    passkey: bool = False,
    kind: Kind = "person",
    weight: int = 1,
    seed: str | None = None,
    requests_as: Sequence[bytes] = (),
) -> Held:
    """seed: what the key follows from; the name, unless told otherwise."""
    number = hashlib.sha256((seed or name).encode()).digest()
    secret: Secret = Ed25519PrivateKey.from_private_bytes(number)
    if algorithm == "p256":
        secret = ec.derive_private_key(int.from_bytes(number, "big") >> 1, ec.SECP256R1())
    credential = Passkey(RP, (ORIGIN,), b"credential of " + name.encode()) if passkey else None
    key = Key(algorithm, public(secret))
    return Held(
        Approver(name, kind, tuple(sorted(groups)), weight, key, credential, tuple(sorted(requests_as))), secret
    )


def public(secret: Secret) -> bytes:
    if isinstance(secret, Ed25519PrivateKey):
        return secret.public_key().public_bytes_raw()
    return secret.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)


def sign_digest(secret: Secret, digest: bytes) -> bytes:
    if isinstance(secret, Ed25519PrivateKey):
        return secret.sign(digest)
    r, s = utils.decode_dss_signature(secret.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def client_data(challenge: bytes, /, **changed: object) -> bytes:
    """As a browser writes them. changed: members with other values, in place, or more of them at the end."""
    encoded = base64.urlsafe_b64encode(challenge).decode().rstrip("=")
    members = {"type": "webauthn.get", "challenge": encoded, "origin": ORIGIN, "crossOrigin": False, **changed}
    return json.dumps(members, separators=(",", ":")).encode()


def authenticator_data(rp: str = RP, flags: int = PRESENT_AND_VERIFIED, counter: int = 0, more: bytes = b"") -> bytes:
    return hashlib.sha256(rp.encode()).digest() + bytes((flags,)) + counter.to_bytes(4, "big") + more


def assertion(
    secret: Secret, challenge: bytes, data: bytes | None = None, authenticator: bytes | None = None
) -> Assertion:
    """A valid one, unless data or authenticator data are given that make it none: what is signed is what is given."""
    data = client_data(challenge) if data is None else data
    authenticator = authenticator_data() if authenticator is None else authenticator
    return Assertion(data, authenticator, sign(secret, authenticator + hashlib.sha256(data).digest()))


def sign(secret: Secret, message: bytes) -> bytes:
    """As WebAuthn has it: DER of ECDSA with SHA-256, or Ed25519."""
    if isinstance(secret, Ed25519PrivateKey):
        return secret.sign(message)
    return secret.sign(message, ec.ECDSA(hashes.SHA256()))


def with_passkey(one: Held, change: Callable[[Passkey], Passkey]) -> Approver:
    assert one.approver.passkey is not None
    return replace(one.approver, passkey=change(one.approver.passkey))
