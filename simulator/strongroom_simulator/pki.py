"""The simulator's certificate authorities: Nitro's, the KMS endpoint's, the operator's, and a release's signing key.

One directory of PEM files, keys readable by their owner alone. An existing file is kept, so that evidence and sealed
blobs outlive a restart.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BEGINS: Final = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp())
ENDS: Final = int(datetime(2050, 1, 1, tzinfo=UTC).timestamp())
"""Life of the authorities, in Unix seconds: long, like AWS's root, and fixed, so that tests may move the clock."""

NITRO_ROOT: Final = "nitro-root"
KMS_AUTHORITY: Final = "kms-ca"
KMS_SERVER: Final = "kms"
OPERATOR: Final = "operator-ca"
RELEASE: Final = "release"


@dataclass(frozen=True)
class Identity:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the certificate's DER: what roots and authorities are pinned by."""
        return hashlib.sha256(self.der).digest()


def create(directory: Path) -> None:
    """Makes whatever the directory lacks."""
    directory.mkdir(parents=True, exist_ok=True)
    for stem, name in (
        (NITRO_ROOT, "simulated.nitro-enclaves"),
        (KMS_AUTHORITY, "simulated KMS authority"),
        (OPERATOR, "simulated operator authority"),
        (RELEASE, "simulated release"),
    ):
        if not (directory / f"{stem}.pem").exists():
            save(directory, stem, root(name))
    if not (directory / f"{KMS_SERVER}.pem").exists():
        save(directory, KMS_SERVER, kms_server(load(directory, KMS_AUTHORITY)))


def root(common_name: str) -> Identity:
    key = ec.generate_private_key(ec.SECP384R1())
    extensions = (_authority(None), _usage(certificates=True, documents=True), _own_id(key.public_key()))
    return issue(None, key, name(common_name), extensions, BEGINS, ENDS)


def kms_server(authority: Identity) -> Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName(
        [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))],
    )
    extensions = (
        _LEAF,
        _usage(documents=True),
        Extension(names, False),
        Extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        _own_id(key.public_key()),
        _issuer_id(authority),
    )
    return issue(authority, key, name("localhost"), extensions, BEGINS, ENDS)


@dataclass(frozen=True)
class Extension:
    value: x509.ExtensionType
    critical: bool


def name(common_name: str) -> x509.Name:
    """In the shape of AWS's own: C=US, O=Amazon, OU=AWS, but nobody should take it for one."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Strongroom simulator"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def issue(
    issuer: Identity | None,
    key: ec.EllipticCurvePrivateKey,
    subject: x509.Name,
    extensions: Iterable[Extension],
    begins: int,
    ends: int,
) -> Identity:
    """A certificate for `key`, signed by `issuer`, or by itself. Times in Unix seconds."""
    certificate = certify(issuer, key, key.public_key(), subject, extensions, begins, ends)
    return Identity(certificate, key)


def certify(
    issuer: Identity | None,
    signing_key: ec.EllipticCurvePrivateKey,
    public_key: ec.EllipticCurvePublicKey,
    subject: x509.Name,
    extensions: Iterable[Extension],
    begins: int,
    ends: int,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(begins, UTC))
        .not_valid_after(datetime.fromtimestamp(ends, UTC))
    )
    for extension in extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(signing_key if issuer is None else issuer.key, hashes.SHA384())


# --- A Nitro instance's chain, extension by extension like AWS's (see tests/evidence/test_nitro.py) ---


@dataclass(frozen=True)
class Chain:
    """What an NSM signs with. bundle: DER, root first, without the leaf."""

    bundle: tuple[bytes, ...]
    leaf: Identity
    expires: int


def issue_chain(nitro_root: Identity, module_id: str, at: int, life: int) -> Chain:
    """root -> region -> zone -> instance -> leaf, as at the time `at`; the leaf lives `life` seconds more."""
    instance = module_id.partition("-enc")[0]
    above = [nitro_root]
    days = 86_400
    for depth, (subject, lifetime) in enumerate(
        (
            ("simulated-1.nitro-enclaves", 20 * days),
            ("zonal.simulated-1.nitro-enclaves", 5 * days),
            (f"{instance}.simulated-1.nitro-enclaves", days),
        )
    ):
        key = ec.generate_private_key(ec.SECP384R1())
        extensions = [_authority(2 - depth), _usage(certificates=True, documents=depth < 2)]
        if depth < 2:
            extensions += [_own_id(key.public_key()), _issuer_id(above[-1])]
        above.append(issue(above[-1], key, name(subject), extensions, at - lifetime // 4, at + lifetime))
    leaf_key = ec.generate_private_key(ec.SECP384R1())
    # AWS: no key identifiers on the leaf, and its key usage is not critical.
    extensions = [_LEAF, Extension(_usage(documents=True).value, False)]
    leaf = issue(above[-1], leaf_key, name(f"{module_id}.simulated-1"), extensions, at - 3, at + life)
    return Chain(tuple(each.der for each in above), leaf, at + life)


# --- An HSM's identity ---


def issue_identity(
    operator: Identity, public_key: ec.EllipticCurvePublicKey, signer: str, *, begins: int, ends: int
) -> x509.Certificate:
    """Certifies an identity key that was generated inside a token, for the signer of this name."""
    extensions = (
        _LEAF,
        _usage(documents=True),
        Extension(x509.SubjectKeyIdentifier.from_public_key(public_key), False),
        _issuer_id(operator),
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, signer)])
    return certify(operator, operator.key, public_key, subject, extensions, begins, ends)


# --- Extensions ---

_LEAF: Final = Extension(x509.BasicConstraints(ca=False, path_length=None), True)


def _authority(path_length: int | None) -> Extension:
    return Extension(x509.BasicConstraints(ca=True, path_length=path_length), True)


def _usage(*, certificates: bool = False, documents: bool = False) -> Extension:
    usage = x509.KeyUsage(
        digital_signature=documents,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )
    return Extension(usage, True)


def _own_id(key: ec.EllipticCurvePublicKey) -> Extension:
    return Extension(x509.SubjectKeyIdentifier.from_public_key(key), False)


def _issuer_id(issuer: Identity) -> Extension:
    return Extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False)


# --- Files ---


def save(directory: Path, stem: str, identity: Identity) -> None:
    raw = identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private(directory / f"{stem}.key", raw)
    (directory / f"{stem}.pem").write_bytes(identity.certificate.public_bytes(Encoding.PEM))


def load(directory: Path, stem: str) -> Identity:
    key = serialization.load_pem_private_key((directory / f"{stem}.key").read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{stem}.key is no elliptic-curve key")
    return Identity(load_certificate(directory, stem), key)


def load_certificate(directory: Path, stem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / f"{stem}.pem").read_bytes())


def write_private(path: Path, raw: bytes) -> None:
    """Created with mode 0600, never wider for a moment."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(raw)
