"""An operator's certificate authority, and the ways in which it can be wrong."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes, CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding

DAY = timedelta(days=1)
START = datetime.now(UTC).replace(microsecond=0) - DAY


def usage(*, sign: bool, issue: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=sign,
        key_cert_sign=issue,
        crl_sign=issue,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


Extensions = tuple[tuple[x509.ExtensionType, bool], ...]

AUTHORITY: Extensions = (
    (x509.BasicConstraints(ca=True, path_length=None), True),
    (usage(sign=False, issue=True), True),
)
LEAF: Extensions = (
    (x509.BasicConstraints(ca=False, path_length=None), True),
    (usage(sign=True, issue=False), True),
)


@dataclass
class Authority:
    """Valid from yesterday for `days`."""

    name: str = "operator root"
    key: CertificateIssuerPrivateKeyTypes = field(default_factory=lambda: ec.generate_private_key(ec.SECP384R1()))
    issuer: Authority | None = None
    extensions: Extensions = AUTHORITY
    start: datetime = START
    days: int = 3650
    digest: hashes.SHA256 | hashes.SHA384 = field(default_factory=hashes.SHA384)

    def __post_init__(self) -> None:
        above = self.issuer or self
        self.certificate = above.issue(self.name, self.key.public_key(), self.extensions, self.start, self.days)

    def issue(
        self,
        name: str | x509.Name,
        key: CertificatePublicKeyTypes,
        extensions: Extensions = LEAF,
        start: datetime = START,
        days: int = 365,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(common(name) if isinstance(name, str) else name)
            .issuer_name(common(self.name))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + days * DAY)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, self.digest)

    @property
    def chain(self) -> list[x509.Certificate]:
        """This authority, its issuer, and so on to the root."""
        return [self.certificate, *(self.issuer.chain if self.issuer else [])]

    @property
    def fingerprint(self) -> bytes:
        return hashlib.sha256(der(self.chain[-1])).digest()

    def certify(self, request: bytes, folder: Path, **how: object) -> tuple[Path, Path]:
        """What an operator does with the PEM of a request: the paths of certificate and chain."""
        csr = x509.load_pem_x509_csr(request)
        assert csr.is_signature_valid
        key = csr.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        certificate = self.issue(csr.subject, key, **how)  # type: ignore[arg-type]
        paths = folder / "certificate.pem", folder / "chain.pem"
        paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        paths[1].write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in self.chain))
        return paths


def common(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def weak_rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)
