"""The signer's identity: a request signed in the token, and the certificate that the operator's CA made of it.

`cryptography` cannot sign a request with a key it does not hold, so the request (RFC 2986) is put together here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from strongroom.errors import Refusal
from strongroom.evidence.pkcs11 import MAX_CERTIFICATE, MAX_CHAIN
from strongroom_hsm.keys import Keys, sign
from strongroom_hsm.token import Live


@dataclass(frozen=True)
class Certified:
    """DER. chain: intermediates from the issuer upwards, the operator's root last."""

    certificate: bytes
    chain: tuple[bytes, ...]

    @classmethod
    def load(cls, certificate: Path, chain: Path) -> Certified:
        """PEM files. Raises Refusal `bad_configuration`."""
        leaves, above = _read_pem(certificate), _read_pem(chain)
        if len(leaves) != 1:
            raise _refused(f"{certificate} holds {len(leaves)} certificates, not the signer's own alone")
        if not 1 <= len(above) <= MAX_CHAIN:
            raise _refused(f"{chain} holds {len(above)} certificates, not 1 to {MAX_CHAIN} with the root last")
        if any(len(der) > MAX_CERTIFICATE for der in (*leaves, *above)):
            raise _refused(f"a certificate has more than {MAX_CERTIFICATE} bytes")
        return cls(leaves[0], above)

    @property
    def expires(self) -> int:
        """Unix seconds: until then every certificate is valid."""
        ends = (x509.load_der_x509_certificate(der).not_valid_after_utc for der in (self.certificate, *self.chain))
        return min(int(each.timestamp()) for each in ends)

    def check(self, key: ec.EllipticCurvePublicKey) -> None:
        """The certificate is for the key in the token. Raises Refusal `bad_configuration`."""
        certified = x509.load_der_x509_certificate(self.certificate).public_key()
        if not isinstance(certified, ec.EllipticCurvePublicKey) or spki(certified) != spki(key):
            raise _refused("the certificate is for another key than the token's identity key: certify the new request")


def _read_pem(path: Path) -> tuple[bytes, ...]:
    try:
        certificates = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _refused(f"{path} is not a PEM file of certificates: {error}") from None
    return tuple(each.public_bytes(Encoding.DER) for each in certificates)


def _refused(reason: str) -> Refusal:
    return Refusal("bad_configuration", reason)


def spki(key: ec.EllipticCurvePublicKey) -> bytes:
    """DER of the SubjectPublicKeyInfo."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


_ECDSA_WITH_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_EXTENSION_REQUEST = bytes.fromhex("06092a864886f70d01090e")
_KEY_USAGE = bytes.fromhex("0603551d0f")
_BASIC_CONSTRAINTS = bytes.fromhex("0603551d13")
_CRITICAL = bytes.fromhex("0101ff")


def request(live: Live[Keys], name: str) -> bytes:
    """A PKCS#10 request for CN = `name`, DER, signed in the token (ES256): key usage digitalSignature, no authority."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    info = _tlv(
        0x30,
        _tlv(0x02, b"\x00"),
        subject.public_bytes(),
        spki(live.keys.public),
        _tlv(0xA0, _tlv(0x30, _EXTENSION_REQUEST, _tlv(0x31, _requested_extensions()))),
    )
    signature = sign(live, info)
    der = utils.encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    whole = _tlv(0x30, info, _ECDSA_WITH_SHA256, _tlv(0x03, b"\x00", der))
    if not x509.load_der_x509_csr(whole).is_signature_valid:
        raise Refusal("internal", "the certificate request that was made does not verify")
    return whole


def _requested_extensions() -> bytes:
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    ).public_bytes()
    constraints = x509.BasicConstraints(ca=False, path_length=None).public_bytes()
    return _tlv(
        0x30,
        _tlv(0x30, _BASIC_CONSTRAINTS, _CRITICAL, _tlv(0x04, constraints)),
        _tlv(0x30, _KEY_USAGE, _CRITICAL, _tlv(0x04, usage)),
    )


def _tlv(tag: int, *parts: bytes) -> bytes:
    """One DER element (X.690 8.1)."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content
