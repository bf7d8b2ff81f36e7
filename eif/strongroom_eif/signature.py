"""The signature section: PCR0, signed as COSE_Sign1 with ES384, beside its certificate.

    section   = [{"signing_certificate": PEM, "signature": COSE_Sign1}]
    COSE_Sign1 payload = {"register_index": 0, "register_value": PCR0}

AWS's tools write these byte strings as CBOR arrays of small integers, in this order, and read nothing else, so they are
written so here. An enclave of a signed image has PCR8, which a KMS key's policy or a roster can name in place of one
release.
"""

from __future__ import annotations

import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from strongroom.errors import Refusal
from strongroom.evidence import cose
from strongroom.wire import cbor
from strongroom_eif.image import bad

Key = ec.EllipticCurvePrivateKey
_COORDINATE: Final = 48
MAX_PEM: Final = cbor.MAX_ITEMS
"""Bytes of a certificate's PEM: each is one item of an array."""


def sign(pcr0: bytes, key: Key, certificate: bytes) -> bytes:
    """The section's content. certificate: PEM. Raises Refusal `bad_file`."""
    _require_pair(key, certificate)
    payload = cbor.encode({"register_index": 0, "register_value": list(pcr0)})
    r, s = utils.decode_dss_signature(key.sign(cose.signed_bytes(payload), ec.ECDSA(hashes.SHA384())))
    pair = r.to_bytes(_COORDINATE, "big") + s.to_bytes(_COORDINATE, "big")
    document = cbor.encode([cose.PROTECTED, {}, payload, pair])
    return _section(certificate, document)


def _section(certificate: bytes, document: bytes) -> bytes:
    """A list of one map of two: the certificate stands first, against RFC 8949's order, or QEMU boots no such image."""
    fields = (("signing_certificate", certificate), ("signature", document))
    return b"\x81\xa2" + b"".join(cbor.encode(name) + cbor.encode(list(value)) for name, value in fields)


def verify(section: bytes, pcr0: bytes) -> x509.Certificate:
    """The certificate whose key signed this PCR0. Who that is, the reader must know. Raises Refusal `bad_image`."""
    try:
        certificate, document = _parse(section)
        sign1 = cose.parse(document)
        named = cbor.decode_foreign(sign1.payload)
        sign1.verify(_public_key(certificate))
    except Refusal as refusal:
        raise bad(f"the signature section: {refusal.reason}") from None
    if named != {"register_index": 0, "register_value": list(pcr0)}:
        raise bad("the signature is of another image: it names another PCR0")
    return certificate


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def load_key(pem: bytes) -> Key:
    """Raises Refusal `bad_file` for what is no private key on P-384 without a passphrase."""
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        raise Refusal("bad_file", "the key is no PEM private key without a passphrase") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP384R1):
        raise Refusal("bad_file", "an image is signed with a key on P-384")
    return key


def _require_pair(key: Key, certificate: bytes) -> None:
    if len(certificate) > MAX_PEM:
        raise Refusal("bad_file", f"the certificate's PEM has more than {MAX_PEM} bytes")
    try:
        parsed = x509.load_pem_x509_certificate(certificate)
    except ValueError:
        raise Refusal("bad_file", "the certificate is not PEM of an X.509 certificate") from None
    if parsed.public_key() != key.public_key():
        raise Refusal("bad_file", "the certificate is of another key")
    if parsed.not_valid_after_utc < datetime.datetime.now(datetime.UTC):
        raise Refusal("bad_file", f"the certificate ended on {parsed.not_valid_after_utc:%Y-%m-%d}; AWS boots no such")


def _parse(section: bytes) -> tuple[x509.Certificate, bytes]:
    value = cbor.decode_foreign(section)
    entry = value[0] if isinstance(value, list) and len(value) == 1 else None
    if not isinstance(entry, dict) or set(entry) != {"signing_certificate", "signature"}:
        raise bad("it is not a list of one map with a certificate and a signature")
    try:
        return x509.load_pem_x509_certificate(_bytes(entry["signing_certificate"])), _bytes(entry["signature"])
    except ValueError:
        raise bad("its certificate cannot be read") from None


def _public_key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise bad("its certificate's key is not on P-384")
    return key


def _bytes(value: cbor.Foreign) -> bytes:
    """From an array of small integers, as serde writes a Vec<u8>, or from a byte string."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, list) and all(isinstance(each, int) and 0 <= each < 256 for each in value):
        return bytes(each for each in value if isinstance(each, int))
    raise bad("a byte string is none")
