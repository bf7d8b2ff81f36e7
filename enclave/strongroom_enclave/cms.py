"""Opens `CiphertextForRecipient`: a data key that KMS encrypted to this enclave alone.

The form is CMS EnvelopedData (RFC 5652 section 6.1) in BER, and this much of it: one recipient by subject key
identifier, RSAES-OAEP with SHA-256 throughout, AES-256-CBC around exactly one data key. What differs is refused.

The envelope is not authenticated: whoever has seen the public key can make one. See kms.py for what stops that.
"""

from __future__ import annotations

from typing import Any, Final

from asn1crypto import cms
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from strongroom.errors import Refusal

DATA_KEY: Final = 32
MAX_ENVELOPE: Final = 4096

_BLOCK: Final = 16
_PADDING: Final = bytes((_BLOCK,)) * _BLOCK
"""PKCS #7 after a data key, which ends on a block's border."""


class RecipientKey:
    """An RSA-2048 key that lives in this process's memory alone; a new one at each boot."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def public(self) -> bytes:
        """SubjectPublicKeyInfo in DER, for `public_key` of the attestation document."""
        return self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def open(self, envelope: bytes) -> bytearray:
        """The data key, which the caller wipes. Raises Refusal `sealer_refused`."""
        encrypted_key, iv, content = parse(envelope)
        oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
        try:
            key = self._key.decrypt(encrypted_key, oaep)
        except ValueError as error:
            raise Refusal("sealer_refused", "the answer of KMS is encrypted to another enclave") from error
        return _decrypt(key, iv, content)


def _decrypt(key: bytes, iv: bytes, content: bytes) -> bytearray:
    if len(key) != algorithms.AES256.key_size // 8:
        raise Refusal("sealer_refused", "the answer of KMS holds a content key of another size")
    plain = bytearray(len(content) + _BLOCK - 1)
    decryptor = Cipher(algorithms.AES256(key), modes.CBC(iv)).decryptor()
    decryptor.update_into(content, plain)
    if plain[DATA_KEY : len(content)] != _PADDING:
        plain[:] = bytes(len(plain))
        raise Refusal("sealer_refused", "the answer of KMS does not decrypt to a data key")
    # A slice would leave a second copy of the key behind.
    del plain[DATA_KEY:]
    return plain


def parse(envelope: bytes) -> tuple[bytes, bytes, bytes]:
    """Encrypted content key, IV and ciphertext. Raises Refusal `sealer_refused`."""
    if len(envelope) > MAX_ENVELOPE:
        raise _wrong(f"of {len(envelope)} bytes")
    try:
        info = cms.ContentInfo.load(envelope, strict=True)
        if info["content_type"].native != "enveloped_data":
            raise _wrong("that is no EnvelopedData")
        return _enveloped(info["content"])
    # asn1crypto parses lazily and says what is wrong in whatever type comes to hand.
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise _wrong("that is no CMS") from error


def _enveloped(data: Any) -> tuple[bytes, bytes, bytes]:
    if data["version"].native != "v2" or data["originator_info"].native or data["unprotected_attrs"].native:
        raise _wrong("of another version")
    if len(data["recipient_infos"]) != 1 or data["recipient_infos"][0].name != "ktri":
        raise _wrong("for other recipients than one")
    recipient = data["recipient_infos"][0].chosen
    if recipient["version"].native != "v2" or recipient["rid"].name != "subject_key_identifier":
        raise _wrong("whose recipient is not named by its key")
    _require_oaep(recipient["key_encryption_algorithm"])
    content = data["encrypted_content_info"]
    cipher = content["content_encryption_algorithm"]
    if content["content_type"].native != "data" or cipher["algorithm"].native != "aes256_cbc":
        raise _wrong("that is not AES-256-CBC around data")
    iv, ciphertext = cipher["parameters"].native, content["encrypted_content"].native
    if len(iv) != _BLOCK or len(ciphertext) != DATA_KEY + _BLOCK:
        raise _wrong("around something else than one data key")
    return recipient["encrypted_key"].native, iv, ciphertext


def _require_oaep(algorithm: Any) -> None:
    parameters = algorithm["parameters"]
    if (
        algorithm["algorithm"].native != "rsaes_oaep"
        or parameters["hash_algorithm"]["algorithm"].native != "sha256"
        or parameters["mask_gen_algorithm"]["algorithm"].native != "mgf1"
        or parameters["mask_gen_algorithm"]["parameters"]["algorithm"].native != "sha256"
        or parameters["p_source_algorithm"]["parameters"].native != b""
    ):
        raise _wrong("that is not RSAES-OAEP with SHA-256")


def _wrong(what: str) -> Refusal:
    return Refusal("sealer_refused", f"the answer of KMS is an envelope {what}")
