"""The envelope of a data key: the one form that KMS writes, and nothing near it."""

from __future__ import annotations

import os

import pytest
from asn1crypto import cms as oracle
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.errors import Refusal
from strongroom_enclave.cms import RecipientKey, parse
from strongroom_simulator.envelope import envelop, enveloped_data

DATA_KEY = bytes(range(32))


@pytest.fixture(scope="module")
def key() -> RecipientKey:
    return RecipientKey()


def public(key: RecipientKey) -> rsa.RSAPublicKey:
    loaded = serialization.load_der_public_key(key.public)
    assert isinstance(loaded, rsa.RSAPublicKey)
    return loaded


@pytest.fixture(scope="module")
def honest(key: RecipientKey) -> bytes:
    return envelop(DATA_KEY, public(key))


def refused(key: RecipientKey, envelope: bytes) -> str:
    with pytest.raises(Refusal) as caught:
        key.open(envelope)
    assert caught.value.code == "sealer_refused"
    return caught.value.reason


def test_a_data_key_arrives_in_bytes_that_can_be_wiped(key: RecipientKey, honest: bytes) -> None:
    assert key.open(honest) == bytearray(DATA_KEY)
    assert public(key).key_size == 2048


def test_the_envelope_is_what_the_standard_says(honest: bytes) -> None:
    info = oracle.ContentInfo.load(honest, strict=True)
    assert honest.startswith(b"\x30\x80") and honest.endswith(bytes(10))
    [recipient] = info["content"]["recipient_infos"]
    assert len(recipient.chosen["rid"].native) == 32


def test_the_ber_and_the_der_of_one_envelope_say_the_same(key: RecipientKey, honest: bytes) -> None:
    der = oracle.ContentInfo.load(honest).dump(force=True)
    assert der != honest and key.open(der) == bytearray(DATA_KEY)


def test_an_envelope_for_another_enclave(key: RecipientKey) -> None:
    assert "another enclave" in refused(key, envelop(DATA_KEY, public(RecipientKey())))


@pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
def test_something_else_than_a_data_key(key: RecipientKey, size: int) -> None:
    refused(key, envelop(bytes(size), public(key)))


def sealed(
    key: RecipientKey, *, content_key: bytes, plain: bytes, oaep: padding.AsymmetricPadding | None = None
) -> tuple[bytes, bytes, bytes]:
    iv = os.urandom(16)
    encryptor = Cipher(algorithms.AES(content_key), modes.CBC(iv)).encryptor()
    wrapping = oaep or padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
    return public(key).encrypt(content_key, wrapping), iv, encryptor.update(plain) + encryptor.finalize()


def test_padding_that_is_none(key: RecipientKey) -> None:
    for tail in (bytes(16), b"\x10" * 15 + b"\x0f", b"\x0f" * 15 + b"\x10"):
        encrypted, iv, content = sealed(key, content_key=bytes(32), plain=DATA_KEY + tail)
        refused(key, enveloped_data(bytes(32), encrypted, iv, content))


def test_a_content_key_of_another_size(key: RecipientKey) -> None:
    encrypted, iv, content = sealed(key, content_key=bytes(16), plain=DATA_KEY + b"\x10" * 16)
    refused(key, enveloped_data(bytes(32), encrypted, iv, content))


def test_another_padding_of_the_content_key(key: RecipientKey) -> None:
    sha1 = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)
    for wrapping in (sha1, padding.PKCS1v15()):
        encrypted, iv, content = sealed(key, content_key=bytes(32), plain=DATA_KEY + b"\x10" * 16, oaep=wrapping)
        refused(key, enveloped_data(bytes(32), encrypted, iv, content))


def altered(honest: bytes, old: str, new: str) -> bytes:
    changed = honest.replace(bytes.fromhex(old), bytes.fromhex(new))
    assert changed != honest
    return changed


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("06092a864886f70d010703", "06092a864886f70d010702", id="SignedData"),
        pytest.param("3080020102", "3080020100", id="version 0 of the data"),
        pytest.param("020102 8020", "020100 8020", id="version 0 of the recipient"),
        pytest.param("06092a864886f70d010107", "06092a864886f70d010101", id="PKCS #1 v1.5"),
        pytest.param("0609608648016503040201", "0609608648016503040203", id="SHA-512"),
        pytest.param("06092a864886f70d010701", "06092a864886f70d010702", id="content that is no data"),
        pytest.param("060960864801650304012a", "0609608648016503040116", id="AES-192"),
    ],
)
def test_another_algorithm_or_version(key: RecipientKey, honest: bytes, old: str, new: str) -> None:
    refused(key, altered(honest, old, new))


def test_two_recipients(key: RecipientKey, honest: bytes) -> None:
    info = oracle.ContentInfo.load(honest)
    recipients = info["content"]["recipient_infos"]
    recipients.append(recipients[0].copy())
    refused(key, info.dump(force=True))


def test_bytes_after_it_and_too_many_of_them(key: RecipientKey, honest: bytes) -> None:
    refused(key, honest + b"\x00")
    refused(key, honest[:-1])
    refused(key, bytes(5000))
    refused(key, b"")


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damage_raises_refusals_alone(honest: bytes, data: st.DataObject) -> None:
    damaged = bytearray(honest)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        encrypted, iv, content = parse(bytes(damaged))
    except Refusal as refusal:
        assert refusal.code == "sealer_refused"
    else:
        assert (len(encrypted) <= 4096, len(iv), len(content)) == (True, 16, 48)
