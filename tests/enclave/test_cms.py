"""The envelope of a data key: the one form that KMS writes, and nothing near it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from asn1crypto import cms as oracle
from asn1crypto import x509
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
    ("old", "new", "reason"),
    [
        pytest.param("06092a864886f70d010703", "06092a864886f70d010702", "no EnvelopedData", id="SignedData"),
        pytest.param("3080020102", "3080020100", "another version", id="version 0 of the data"),
        pytest.param("020102 8020", "020100 8020", "not named by its key", id="version 0 of the recipient"),
        pytest.param("06092a864886f70d010701", "06092a864886f70d010702", "around data", id="content that is no data"),
        pytest.param("060960864801650304012a", "0609608648016503040116", "around data", id="AES-192"),
    ],
)
def test_another_type_or_version(key: RecipientKey, honest: bytes, old: str, new: str, reason: str) -> None:
    assert reason in refused(key, altered(honest, old, new))


def test_cms_that_envelopes_nothing(key: RecipientKey) -> None:
    info = oracle.ContentInfo({"content_type": "data", "content": b"the key, in the clear"})
    assert "no EnvelopedData" in refused(key, info.dump())


def edited(honest: bytes, edit: Callable[[Any], None]) -> bytes:
    info = oracle.ContentInfo.load(honest)
    edit(info["content"])
    der: bytes = info.dump(force=True)
    return der


def _originator(data: Any) -> None:
    data["originator_info"] = oracle.OriginatorInfo({"certs": []})


def _unprotected(data: Any) -> None:
    data["unprotected_attrs"] = [oracle.CMSAttribute({"type": "content_type", "values": ["data"]})]


def _two_recipients(data: Any) -> None:
    data["recipient_infos"].append(data["recipient_infos"][0].copy())


def _no_recipient(data: Any) -> None:
    data["recipient_infos"] = []


def _key_encryption_key(data: Any) -> None:
    recipient = oracle.KEKRecipientInfo(
        {
            "version": "v4",
            "kekid": {"key_identifier": bytes(32)},
            "key_encryption_algorithm": {"algorithm": "aes256_wrap"},
            "encrypted_key": bytes(40),
        }
    )
    data["recipient_infos"] = [oracle.RecipientInfo("kekri", recipient)]


def _by_serial_number(data: Any) -> None:
    named = {"issuer": x509.Name.build({"common_name": "x"}), "serial_number": 1}
    data["recipient_infos"][0].chosen["rid"] = oracle.RecipientIdentifier("issuer_and_serial_number", named)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (_originator, "another version"),
        (_unprotected, "another version"),
        (_two_recipients, "recipients than one"),
        (_no_recipient, "recipients than one"),
        (_key_encryption_key, "recipients than one"),
        (_by_serial_number, "not named by its key"),
    ],
)
def test_another_shape(key: RecipientKey, honest: bytes, edit: Callable[[Any], None], reason: str) -> None:
    assert reason in refused(key, edited(honest, edit))


OAEP: dict[str, Any] = {
    "hash_algorithm": {"algorithm": "sha256"},
    "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": "sha256"}},
}


@pytest.mark.parametrize(
    "algorithm",
    [
        {"algorithm": "rsaes_pkcs1v15"},
        {"algorithm": "rsaes_oaep", "parameters": OAEP | {"hash_algorithm": {"algorithm": "sha1"}}},
        {
            "algorithm": "rsaes_oaep",
            "parameters": OAEP | {"mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": "sha1"}}},
        },
        {
            "algorithm": "rsaes_oaep",
            "parameters": OAEP | {"p_source_algorithm": {"algorithm": "p_specified", "parameters": b"label"}},
        },
    ],
)
def test_another_encryption_of_the_content_key(key: RecipientKey, honest: bytes, algorithm: dict[str, Any]) -> None:
    def edit(data: Any) -> None:
        data["recipient_infos"][0].chosen["key_encryption_algorithm"] = algorithm

    assert "RSAES-OAEP" in refused(key, edited(honest, edit)) or "no CMS" in refused(key, edited(honest, edit))


@pytest.mark.parametrize(("iv", "content"), [(15, 48), (17, 48), (16, 32), (16, 64), (16, 47)])
def test_another_size_of_content(iv: int, content: int) -> None:
    with pytest.raises(Refusal) as caught:
        parse(enveloped_data(bytes(32), bytes(256), bytes(iv), bytes(content)))
    assert "one data key" in caught.value.reason


def test_bytes_after_it_and_too_many_of_them(key: RecipientKey, honest: bytes) -> None:
    refused(key, honest + b"\x00")
    refused(key, honest[:-1])
    assert "of 5000 bytes" in refused(key, honest + bytes(5000 - len(honest)))
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
