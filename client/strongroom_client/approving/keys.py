"""What an approver signs with: a key file (Ed25519 or P-256, PKCS#8 PEM), or a passkey in the browser."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from strongroom.approval import Approval, Approver, Decision, Key, approval_digest, verify
from strongroom.approval.approver import Algorithm
from strongroom.approval.webauthn import Assertion
from strongroom.errors import Refusal
from strongroom_client import keyfiles

Secret = Ed25519PrivateKey | ec.EllipticCurvePrivateKey


def create(path: Path, algorithm: Algorithm, passphrase: bytes | None) -> Key:
    """A new key file. Raises Refusal `file_exists`."""
    secret: Secret = Ed25519PrivateKey.generate() if algorithm == "ed25519" else ec.generate_private_key(ec.SECP256R1())
    keyfiles.write_private(path, keyfiles.pem(secret, passphrase))
    return public(secret)


def load(path: Path, passphrase: keyfiles.Passphrase) -> Secret:
    """Raises Refusal `bad_file` or `passphrase`."""
    secret = keyfiles.load_any(path, passphrase)
    if isinstance(secret, Ed25519PrivateKey):
        return secret
    if isinstance(secret, ec.EllipticCurvePrivateKey) and isinstance(secret.curve, ec.SECP256R1):
        return secret
    raise Refusal("bad_file", f"{path} holds neither an Ed25519 nor a P-256 key")


def public(secret: Secret) -> Key:
    return registered(secret.public_key())


def registered(key: object) -> Key:
    """A public key as the registry has it. Raises Refusal `bad_approver` for other algorithms."""
    if isinstance(key, Ed25519PublicKey):
        return Key("ed25519", key.public_bytes_raw())
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        point = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
        return Key("p256", point)
    raise Refusal("bad_approver", "approvers' keys are of Ed25519 or P-256")


def sign(secret: Secret, approver: Approver, decision: Decision, intent_id: bytes) -> Approval:
    """Checked as a signer checks it. Raises Refusal `approval_invalid` where the secret is another's."""
    digest = approval_digest(decision, intent_id)
    approval = Approval(approver.name, decision, _sign(secret, digest))
    verify(approval, approver, intent_id)
    return approval


def _sign(secret: Secret, digest: bytes) -> bytes:
    if isinstance(secret, Ed25519PrivateKey):
        return secret.sign(digest)
    r, s = utils.decode_dss_signature(secret.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def assertion(answer: Mapping[str, Any]) -> Assertion:
    """As the page sends it, base64url without padding. Raises Refusal `malformed_message`."""
    return Assertion(*(unbase64(answer.get(name)) for name in ("client_data", "authenticator_data", "signature")))


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unbase64(text: object) -> bytes:
    try:
        return base64.urlsafe_b64decode(f"{text}{'=' * (-len(str(text)) % 4)}") if isinstance(text, str) else _none()
    except (binascii.Error, ValueError):
        return _none()


def _none() -> bytes:
    raise Refusal("malformed_message", "the page's answer lacks base64url where it should be")
