"""Writes `CiphertextForRecipient`: CMS EnvelopedData (RFC 5652 section 6.1) in the very BER that AWS's KMS emits.

KMS streams it: indefinite lengths outside, definite ones inside (the sample in
github.com/aws/aws-nitro-enclaves-sdk-c, tests/kmstool-enclaves/cms_test.c).
"""

from __future__ import annotations

import hashlib
import os
from typing import Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives import padding as block_padding
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_SEQUENCE, _SET, _INTEGER, _OCTETS, _OID, _CONTEXT_0, _CONTEXT_1 = 0x30, 0x31, 0x02, 0x04, 0x06, 0xA0, 0xA1
_KEY_IDENTIFIER: Final = 0x80
_END: Final = b"\x00\x00"

_ENVELOPED_DATA: Final = bytes.fromhex("06092a864886f70d010703")
_DATA: Final = bytes.fromhex("06092a864886f70d010701")
_AES_256_CBC: Final = bytes.fromhex("060960864801650304012a")
_SHA_256: Final = bytes.fromhex("300d06096086480165030402010500")
_OAEP: Final = bytes.fromhex("06092a864886f70d010107")
_MGF1: Final = bytes.fromhex("06092a864886f70d010108")


def envelop(plaintext: bytes, recipient: rsa.RSAPublicKey) -> bytes:
    key, iv = os.urandom(32), os.urandom(16)
    padder = block_padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES256(key), modes.CBC(iv)).encryptor()
    content = encryptor.update(padder.update(plaintext) + padder.finalize()) + encryptor.finalize()
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
    return enveloped_data(_key_identifier(recipient), recipient.encrypt(key, oaep), iv, content)


def enveloped_data(identifier: bytes, encrypted_key: bytes, iv: bytes, content: bytes) -> bytes:
    algorithm = _der(
        _SEQUENCE,
        _OAEP + _der(_SEQUENCE, _der(_CONTEXT_0, _SHA_256) + _der(_CONTEXT_1, _der(_SEQUENCE, _MGF1 + _SHA_256))),
    )
    two = _der(_INTEGER, b"\x02")
    recipient = _der(_SEQUENCE, two + _der(_KEY_IDENTIFIER, identifier) + algorithm + _der(_OCTETS, encrypted_key))
    cipher = _der(_SEQUENCE, _AES_256_CBC + _der(_OCTETS, iv))
    encrypted = _ber(_SEQUENCE, _DATA + cipher + _ber(_CONTEXT_0, _der(_OCTETS, content)))
    return _ber(_SEQUENCE, _ENVELOPED_DATA + _ber(_CONTEXT_0, _ber(_SEQUENCE, two + _der(_SET, recipient) + encrypted)))


def _key_identifier(key: rsa.RSAPublicKey) -> bytes:
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _ber(tag: int, content: bytes) -> bytes:
    """Of indefinite length."""
    return bytes((tag, 0x80)) + content + _END
