"""The two keys of a signer in its token: found by label, checked, and the one that signs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from pkcs11 import Attribute, Mechanism, ObjectClass, Session
from pkcs11.types import Key, SignMixin

from strongroom.errors import Refusal
from strongroom_hsm import templates
from strongroom_hsm.token import Live


@dataclass(frozen=True)
class Labels:
    """CKA_LABEL of the identity key pair and of the wrapping key."""

    identity: str
    kek: str

    def load(self, session: Session) -> Keys:
        """Raises Refusal `bad_configuration`: absent, ambiguous, or weaker than its template."""
        private = templates.find_one(session, ObjectClass.PRIVATE_KEY, self.identity, "identity key")
        templates.check_identity(private, self.identity)
        if not isinstance(private, SignMixin):
            raise templates.weak(f"identity key {self.identity!r}", "it does not sign")
        kek = templates.find_one(session, ObjectClass.SECRET_KEY, self.kek, "wrapping key")
        templates.check_kek(kek, self.kek)
        public = templates.find_one(session, ObjectClass.PUBLIC_KEY, self.identity, "public identity key")
        return Keys(private, decode_point(public[Attribute.EC_POINT]), kek, bytes(kek[Attribute.ID]))


@dataclass(frozen=True)
class Keys:
    """Handles that live as long as their session. kek_id: CKA_ID, random, written into every wrapped key."""

    identity: SignMixin
    public: ec.EllipticCurvePublicKey
    kek: Key
    kek_id: bytes


def decode_point(raw: bytes) -> ec.EllipticCurvePublicKey:
    """CKA_EC_POINT: a DER OCTET STRING around the uncompressed point; some tokens leave the wrapping out."""
    point = raw[2:] if len(raw) == 67 and raw[:2] == b"\x04\x41" else raw
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise Refusal("bad_configuration", "the token's identity key is not a point of P-256") from None


def sign(live: Live[Keys], message: bytes) -> bytes:
    """ES256 by the identity key: r ‖ s, 64 bytes, checked before it leaves. Raises Refusal `token_unavailable`."""
    digest = hashlib.sha256(message).digest()
    signature = live.keys.identity.sign(digest, mechanism=Mechanism.ECDSA)
    try:
        if len(signature) != 64:
            raise InvalidSignature
        der = utils.encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
        live.keys.public.verify(der, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    except InvalidSignature:
        raise Refusal("token_unavailable", "the token made a signature that its own public key refuses") from None
    return bytes(signature)
