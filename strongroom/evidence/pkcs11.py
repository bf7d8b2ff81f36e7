"""Verifies the evidence of a signer beside a PKCS#11 HSM, without a clock and without the network.

The rules, in the order in which they are applied, so that the reason given is the most telling one:

 1. The document is an untagged COSE_Sign1, ES256, at most 32 KiB, in deterministic CBOR      evidence_malformed
 2. Its payload has the fields of docs/specification.md, no others, each within bounds         evidence_malformed
 3. The last certificate of its chain is the pinned root, by SHA-256                           evidence_root
 4. It says the mode that the root is pinned for; SoftHSM is never in production               mode_mismatch
 5. All certificates parse; ECDSA with SHA-2 on P-256 or P-384, the leaf on P-256              evidence_chain
 6. The document is signed by the key of its leaf                                              evidence_signature
 7. It was made within the certificates' lives and not after the verifier's time               evidence_expired
 8. The certificates are alive at the verifier's time                                          evidence_expired
 9. They form one path from the root to the leaf, in that order                                evidence_chain
10. The leaf's one common name is the name in the payload                                      evidence_chain

What it proves: whoever commands a key that the operator's authority certified under this name answered. That the key
cannot leave the HSM is the operator's word, and the program beside the HSM is measured by nobody.

How old a document may be is no rule here: a peer's document is fresh by our nonce and our clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import verification
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy

from strongroom.errors import Refusal
from strongroom.evidence.statement import Statement, TrustRoot
from strongroom.wire import cbor
from strongroom.wire.fields import Fields, bytes_item

PROTECTED: Final = bytes.fromhex("a10126")
"""The map {1: -7}: algorithm ES256 (RFC 9053 table 1). The one protected header there is, compared as bytes."""

EXTERNAL: Final = b"strongroom/pkcs11-evidence/v1"
"""COSE's external data (RFC 9052 section 4.3): the identity key also signs certificate requests."""

MAX_DOCUMENT: Final = 32 << 10
MAX_CERTIFICATE: Final = 4096
MAX_CHAIN: Final = 4
"""Certificates above the leaf, the root counted."""
MAX_BINDING: Final = 1024
"""Bytes of nonce, user_data and public_key, each."""
CONFIGURATION_SIZE: Final = 48
SKEW: Final = 300
"""Seconds by which a document may be ahead of the verifier's clock. Then it is judged at its own time."""

_UNREADABLE: Final = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    CryptographyDeprecationWarning,
)
"""What `cryptography` raises for certificates that it cannot read; the last where warnings are errors."""

_COORDINATE: Final = 32
_MAX_TIME: Final = 1 << 33
"""Seconds: bounded so that it can become a date (the year 2242)."""


@dataclass(frozen=True)
class TokenDescription:
    """What the PKCS#11 library says of itself and its token. Versions are "major.minor". Nobody attests any of it."""

    library: str
    library_version: str
    manufacturer: str
    model: str
    serial: str
    label: str
    hardware_version: str
    firmware_version: str

    def value(self) -> dict[str, cbor.Value]:
        return {name: getattr(self, name) for name in _TOKEN_FIELDS}

    @classmethod
    def parse(cls, fields: Fields) -> TokenDescription:
        description = cls(**{name: fields.text(name, most=64) for name in _TOKEN_FIELDS})
        fields.end()
        return description

    @property
    def keeps_keys_in_files(self) -> bool:
        return "softhsm" in f"{self.library} {self.manufacturer} {self.model}".lower()


_TOKEN_FIELDS: Final = tuple(TokenDescription.__dataclass_fields__)


@dataclass(frozen=True)
class Payload:
    """What a document says, unverified. timestamp: Unix seconds. chain: DER, intermediates first, the root last."""

    mode: str
    name: str
    nonce: bytes
    user_data: bytes
    public_key: bytes
    timestamp: int
    configuration: bytes
    certificate: bytes
    chain: tuple[bytes, ...]
    token: TokenDescription

    def encode(self) -> bytes:
        return cbor.encode(
            {
                "v": 1,
                "mode": self.mode,
                "name": self.name,
                "nonce": self.nonce,
                "user_data": self.user_data,
                "public_key": self.public_key,
                "timestamp": self.timestamp,
                "configuration": self.configuration,
                "certificate": self.certificate,
                "chain": list(self.chain),
                "token": self.token.value(),
            }
        )

    @classmethod
    def decode(cls, raw: bytes) -> Payload:
        """Raises Refusal `malformed_cbor` or `malformed_message`."""
        fields = Fields.decode(raw, "payload")
        fields.version()
        payload = cls(
            mode=fields.text("mode"),
            name=fields.text("name", most=64),
            nonce=fields.blob("nonce", most=MAX_BINDING),
            user_data=fields.blob("user_data", most=MAX_BINDING),
            public_key=fields.blob("public_key", most=MAX_BINDING),
            timestamp=fields.integer("timestamp", most=_MAX_TIME),
            configuration=fields.blob("configuration", size=CONFIGURATION_SIZE),
            certificate=fields.blob("certificate", most=MAX_CERTIFICATE),
            chain=fields.items("chain", _certificate_item, most=MAX_CHAIN),
            token=TokenDescription.parse(fields.fields("token")),
        )
        fields.end()
        if not payload.chain:
            raise Refusal("malformed_message", "payload.chain is empty: the root belongs into it, last")
        return payload


def signed_bytes(payload: bytes) -> bytes:
    """The Sig_structure (RFC 9052 section 4.4) over an encoded payload: what the identity key signs, ES256."""
    return cbor.encode(["Signature1", PROTECTED, EXTERNAL, payload])


def assemble(payload: bytes, signature: bytes) -> bytes:
    """The document. signature: r ‖ s, 64 bytes (RFC 9053 section 2.1)."""
    return cbor.encode([PROTECTED, {}, payload, signature])


def verify(document: bytes, *, root: TrustRoot, at: int) -> Statement:
    """The document's content, once every rule above holds at the time `at` (Unix seconds). Raises Refusal."""
    # 1, 2
    payload, raw, signature = _parse(document)
    # 3
    if root.kind != "pkcs11" or hashlib.sha256(payload.chain[-1]).digest() != root.fingerprint:
        raise Refusal("evidence_root", f"the document's root is not the one pinned for mode {root.mode}")
    # 4
    _check_mode(payload, root)
    # 5
    path = tuple(_certificate(der) for der in (payload.certificate, *payload.chain))
    # 6
    _check_signature(_leaf_key(path[0]), raw, signature)
    # 7, 8
    judged, expires = _check_times(path, payload.timestamp, at)
    # 9, 10
    _check_path(path, judged)
    _check_name(path[0], payload.name)
    return Statement(
        root="pkcs11",
        mode=root.mode,
        subject=payload.name,
        timestamp=payload.timestamp,
        expires=expires,
        nonce=payload.nonce,
        user_data=payload.user_data,
        public_key=payload.public_key,
        measurements={"configuration": payload.configuration},
    )


def unverified(document: bytes) -> Payload:
    """The payload as it says itself, for display and for `--at`. Raises Refusal `evidence_malformed`."""
    return _parse(document)[0]


def _parse(document: bytes) -> tuple[Payload, bytes, bytes]:
    if len(document) > MAX_DOCUMENT:
        raise _malformed(f"the document has {len(document)} bytes, more than {MAX_DOCUMENT}")
    try:
        items = cbor.decode(document)
        if not isinstance(items, list) or len(items) != 4:
            raise _malformed("the document is not an untagged COSE_Sign1 of four parts")
        protected, unprotected, raw, signature = items
        if protected != PROTECTED or unprotected != {}:
            raise _malformed("the headers are not the algorithm ES256 alone")
        if not isinstance(raw, bytes) or not isinstance(signature, bytes) or len(signature) != 2 * _COORDINATE:
            raise _malformed("payload or signature is not a byte string of its length")
        return Payload.decode(raw), raw, signature
    except Refusal as error:
        if error.code == "evidence_malformed":
            raise
        raise _malformed(error.reason) from error


def _malformed(reason: str) -> Refusal:
    return Refusal("evidence_malformed", reason)


def _certificate_item(value: cbor.Value) -> bytes:
    der = bytes_item(value)
    if len(der) > MAX_CERTIFICATE:
        raise Refusal("malformed_message", f"a certificate has more than {MAX_CERTIFICATE} bytes")
    return der


def _check_mode(payload: Payload, root: TrustRoot) -> None:
    if payload.mode != root.mode:
        raise Refusal("mode_mismatch", f"the document is of another mode than {root.mode}")
    if root.mode == "production" and payload.token.keeps_keys_in_files:
        raise Refusal("mode_mismatch", "the token is SoftHSM, which keeps its keys in files")


def _certificate(der: bytes) -> x509.Certificate:
    try:
        certificate = x509.load_der_x509_certificate(der)
        key, digest = certificate.public_key(), certificate.signature_hash_algorithm
    except _UNREADABLE as error:
        raise Refusal("evidence_chain", f"a certificate cannot be read: {_short(error)}") from error
    # The path verifier accepts RSA and more.
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
        raise Refusal("evidence_chain", "a certificate's key is not on P-256 or P-384")
    if not isinstance(digest, hashes.SHA256 | hashes.SHA384 | hashes.SHA512):
        raise Refusal("evidence_chain", "a certificate is not signed with SHA-2")
    return certificate


def _leaf_key(leaf: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = leaf.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Refusal("evidence_chain", "the identity certificate's key is not on P-256")
    return key


def _check_signature(key: ec.EllipticCurvePublicKey, payload: bytes, signature: bytes) -> None:
    r = int.from_bytes(signature[:_COORDINATE], "big")
    s = int.from_bytes(signature[_COORDINATE:], "big")
    try:
        key.verify(utils.encode_dss_signature(r, s), signed_bytes(payload), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise Refusal("evidence_signature", "the signature is not one of the document's certificate") from None


def _check_times(path: Sequence[x509.Certificate], timestamp: int, at: int) -> tuple[int, int]:
    """The time at which the path is to be judged, and the end of the first certificate to end (Unix seconds)."""
    begins = max(int(each.not_valid_before_utc.timestamp()) for each in path)
    expires = min(int(each.not_valid_after_utc.timestamp()) for each in path)
    # A verifier whose clock is a little behind must not refuse a certificate as not yet valid.
    judged = max(at, timestamp)
    if judged - at > SKEW:
        raise Refusal("evidence_expired", f"the document is {judged - at} s ahead of the clock that judges it")
    if not begins <= timestamp <= expires:
        raise Refusal("evidence_expired", "the document was made outside its certificates' lives")
    if judged > expires:
        raise Refusal("evidence_expired", f"its certificates ended {judged - expires} s ago")
    return judged, expires


def _check_path(path: Sequence[x509.Certificate], at: int) -> None:
    """Signatures, names, basic constraints, path lengths, key usage, dates, critical extensions."""
    leaf, *between, anchor = path
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store([anchor]))
        .time(datetime.fromtimestamp(at, UTC))
        .max_chain_depth(MAX_CHAIN)
        .extension_policies(ca_policy=_AUTHORITY, ee_policy=_IDENTITY)
        .build_client_verifier()
    )
    try:
        found = verifier.verify(leaf, between)
    except (verification.VerificationError, *_UNREADABLE) as error:
        raise Refusal("evidence_chain", f"the certificates are no path to the root: {_short(error)}") from error
    # The verifier may leave certificates out and reorder them; a document has one form.
    if found.chain != list(path):
        raise Refusal("evidence_chain", "the certificates are not in the order leaf to root, each of them needed")


def _check_name(leaf: x509.Certificate, name: str) -> None:
    try:
        names = [each.value for each in leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    except _UNREADABLE as error:
        raise Refusal("evidence_chain", f"the certificate's subject cannot be read: {_short(error)}") from error
    if names != [name]:
        raise Refusal("evidence_chain", f"the certificate's common name is not the signer's name {name!r}")


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__


def _is_authority(_: Policy, __: x509.Certificate, constraints: x509.BasicConstraints) -> None:
    if not constraints.ca:
        raise ValueError("an issuer is no certificate authority")


def _signs_certificates(_: Policy, __: x509.Certificate, usage: x509.KeyUsage) -> None:
    if not usage.key_cert_sign:
        raise ValueError("an issuer may not sign certificates")


def _is_leaf(_: Policy, __: x509.Certificate, constraints: x509.BasicConstraints | None) -> None:
    if constraints is not None and constraints.ca:
        raise ValueError("the identity certificate is a certificate authority")


def _signs_documents(_: Policy, __: x509.Certificate, usage: x509.KeyUsage) -> None:
    if not usage.digital_signature or usage.key_cert_sign:
        raise ValueError("the identity key is not for signatures alone")


_AUTHORITY: Final = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.CRITICAL, _is_authority)
    .require_present(x509.KeyUsage, Criticality.AGNOSTIC, _signs_certificates)
)
_IDENTITY: Final = (
    ExtensionPolicy.permit_all()
    .may_be_present(x509.BasicConstraints, Criticality.AGNOSTIC, _is_leaf)
    .require_present(x509.KeyUsage, Criticality.AGNOSTIC, _signs_documents)
)
