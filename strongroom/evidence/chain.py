"""A Nitro document's certificates: one straight path from the pinned root to the leaf that signed the document.

Follows AWS's attestation_process.md sections 3.2.3 and 3.2.4 (github.com/aws/aws-nitro-enclaves-nsm-api). The web's
default policy is not usable: AWS's leaf has no authority key identifier and its key usage is not critical.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import verification
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy

from strongroom.errors import Refusal

MAX_BUNDLE: Final = 8
"""Certificates above the leaf. AWS uses four: root, region, zone, instance."""


@dataclass(frozen=True)
class Path:
    """certificates: root first, leaf last, parsed and all on P-384, but not verified until `verify` has returned."""

    certificates: tuple[x509.Certificate, ...]

    @classmethod
    def parse(cls, bundle: Sequence[bytes], leaf: bytes) -> Path:
        """Raises Refusal `evidence_chain`."""
        return cls(tuple(_certificate(der) for der in (*bundle, leaf)))

    @property
    def leaf_key(self) -> ec.EllipticCurvePublicKey:
        return _p384(self.certificates[-1])

    @property
    def begins(self) -> int:
        """Unix seconds: from then on every certificate is valid."""
        return max(int(each.not_valid_before_utc.timestamp()) for each in self.certificates)

    @property
    def expires(self) -> int:
        """Unix seconds: until then every certificate is valid; in practice the leaf's end."""
        return min(int(each.not_valid_after_utc.timestamp()) for each in self.certificates)

    def verify(self, at: int) -> None:
        """Signatures, names, basic constraints, path lengths, key usage, dates. Raises Refusal `evidence_chain`."""
        root, *between, leaf = self.certificates
        verifier = (
            verification.PolicyBuilder()
            .store(verification.Store([root]))
            .time(datetime.fromtimestamp(at, UTC))
            .max_chain_depth(MAX_BUNDLE)
            .extension_policies(ca_policy=_AUTHORITY, ee_policy=_LEAF)
            .build_client_verifier()
        )
        try:
            found = verifier.verify(leaf, between)
        # ValueError: the library parses names late, and then it is no VerificationError.
        except (verification.VerificationError, ValueError) as error:
            raise Refusal("evidence_chain", f"the certificates are no path to the root: {_short(error)}") from error
        # The verifier may leave certificates out and reorder them; AWS's order is fixed, so another one is a sign of
        # somebody's hand.
        if found.chain != list(reversed(self.certificates)):
            raise Refusal("evidence_chain", "the certificates are not in the order root to leaf, each of them needed")


def _certificate(der: bytes) -> x509.Certificate:
    # Where warnings are errors, bad encodings that the library still tolerates arrive as such.
    try:
        certificate = x509.load_der_x509_certificate(der)
        _p384(certificate)
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm, CryptographyDeprecationWarning) as error:
        raise Refusal("evidence_chain", f"a certificate cannot be read: {_short(error)}") from error
    # The library takes a signature that says its last bits are unused where they happen to be zero: a second encoding
    # of one certificate.
    if not der.endswith(b"\0" + certificate.signature):
        raise Refusal("evidence_chain", "a certificate's signature is no whole number of bytes")
    return certificate


def _p384(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    # The path verifier accepts weaker keys than AWS ever used.
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise Refusal("evidence_chain", "a certificate's key is not on P-384")
    if not isinstance(certificate.signature_hash_algorithm, hashes.SHA384):
        raise Refusal("evidence_chain", "a certificate is not signed with SHA-384")
    return key


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__


def _is_authority(_: Policy, __: x509.Certificate, constraints: x509.BasicConstraints) -> None:
    # The library checks it too, today.
    if not constraints.ca:
        raise ValueError("an issuer is no certificate authority")


def _signs_certificates(_: Policy, __: x509.Certificate, usage: x509.KeyUsage) -> None:
    if not usage.key_cert_sign:
        raise ValueError("an issuer may not sign certificates")


def _is_leaf(_: Policy, __: x509.Certificate, constraints: x509.BasicConstraints) -> None:
    if constraints.ca:
        raise ValueError("the leaf is a certificate authority")


def _signs_documents(_: Policy, __: x509.Certificate, usage: x509.KeyUsage) -> None:
    if not usage.digital_signature or usage.key_cert_sign:
        raise ValueError("the leaf's key is not for signatures alone")


_AUTHORITY: Final = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.CRITICAL, _is_authority)
    .require_present(x509.KeyUsage, Criticality.AGNOSTIC, _signs_certificates)
)
_LEAF: Final = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.CRITICAL, _is_leaf)
    .require_present(x509.KeyUsage, Criticality.AGNOSTIC, _signs_documents)
)
