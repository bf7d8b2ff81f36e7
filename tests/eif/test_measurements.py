"""Measurements by the rule that the hypervisor follows, and signatures that make PCR8."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import replace

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID

from strongroom.errors import Refusal
from strongroom.wire import cbor
from strongroom_eif import signature
from strongroom_eif.image import Image
from strongroom_eif.measurements import measure, sign

IMAGE = Image(b"kernel", b"cmdline", (b"init", b"application", b"more"), b"{}")
TOMORROW = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)


def certified(
    curve: ec.EllipticCurve | None = None, until: datetime.datetime = TOMORROW
) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    key = ec.generate_private_key(curve or ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "release")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(until - datetime.timedelta(days=2)).not_valid_after(until)
    return key, builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def register(data: bytes) -> bytes:
    return hashlib.sha384(bytes(48) + hashlib.sha384(data).digest()).digest()


def test_registers() -> None:
    assert measure(IMAGE) == {
        "pcr0": register(b"kernelcmdlineinitapplicationmore"),
        "pcr1": register(b"kernelcmdlineinit"),
        "pcr2": register(b"applicationmore"),
    }


def test_one_ramdisk_leaves_pcr2_that_of_nothing() -> None:
    """As AWS's own images have it where there is no application: known from nitro-cli's documentation."""
    alone = Image(b"kernel", b"cmdline", (b"init",), b"{}")
    assert measure(alone)["pcr2"].hex() == (
        "21b9efbc184807662e966d34f390821309eeac6802309798826296bf3e8bec7c10edb30948c90ba67310f7b964fc500a"
    )


def test_what_is_not_measured() -> None:
    assert measure(replace(IMAGE, memory=1 << 30, cpus=4, metadata=b'{"a":1}')) == measure(IMAGE)


def test_a_signed_image_has_pcr8_and_is_otherwise_the_same() -> None:
    key, certificate = certified()
    signed = Image.decode(sign(IMAGE, key, certificate).encode())
    measured = dict(measure(signed))
    der = x509.load_pem_x509_certificate(certificate).public_bytes(serialization.Encoding.DER)
    assert measured.pop("pcr8") == register(der)
    assert measured == measure(IMAGE)


def test_the_signature_as_another_reader_sees_it() -> None:
    key, certificate = certified()
    section = sign(IMAGE, key, certificate).signature
    assert section is not None
    (entry,) = cbor2.loads(section)
    assert bytes(entry["signing_certificate"]) == certificate
    # QEMU's reader takes the certificate for the first of the map (hw/core/eif.c), and AWS's tools write it there.
    assert list(entry) == ["signing_certificate", "signature"]
    protected, unprotected, payload, pair = cbor2.loads(bytes(entry["signature"]))
    assert (cbor2.loads(protected), unprotected) == ({1: -35}, {})
    named = cbor2.loads(payload)
    assert (named["register_index"], bytes(named["register_value"])) == (0, measure(IMAGE)["pcr0"])
    r, s = int.from_bytes(pair[:48], "big"), int.from_bytes(pair[48:], "big")
    message = cbor2.dumps(["Signature1", protected, b"", payload])
    key.public_key().verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA384()))


def test_signing_again_replaces_the_signature() -> None:
    (key, certificate), (other_key, other) = certified(), certified()
    again = sign(sign(IMAGE, key, certificate), other_key, other)
    assert measure(again)["pcr8"] != measure(sign(IMAGE, key, certificate))["pcr8"]


def test_a_signature_of_another_image() -> None:
    section = sign(IMAGE, *certified()).signature
    assert section is not None
    other = Image(b"kernel", b"cmdline", (b"init", b"another"), b"{}", section)
    with pytest.raises(Refusal, match="another image") as caught:
        measure(other)
    assert caught.value.code == "bad_image"


def test_a_signature_by_another_key_than_the_certificates() -> None:
    key, certificate = certified()
    section = signature.sign(measure(IMAGE)["pcr0"], key, certificate)
    (entry,) = cbor2.loads(section)
    entry["signing_certificate"] = list(certified()[1])
    with pytest.raises(Refusal, match="signature section") as caught:
        measure(IMAGE.signed(cbor.encode([entry])))
    assert caught.value.code == "bad_image"


@pytest.mark.parametrize(
    "section",
    [
        b"",
        b"\x80",
        cbor.encode([{}]),
        cbor.encode([{"signing_certificate": [], "signature": []}]),
        cbor.encode([{"signing_certificate": [256], "signature": [1]}]),
        cbor.encode([{"signing_certificate": b"-----", "signature": b"\x84"}]),
        cbor.encode(["certificate", "signature"]),
    ],
)
def test_what_is_no_signature(section: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        measure(IMAGE.signed(section))
    assert caught.value.code == "bad_image"


def test_keys_and_certificates_that_cannot_sign() -> None:
    key, certificate = certified()
    for bad_certificate in (
        certified()[1],
        b"none",
        certificate + bytes(5000),
        _of(key, datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)),
    ):
        with pytest.raises(Refusal) as caught:
            sign(IMAGE, key, bad_certificate)
        assert caught.value.code == "bad_file"
    for pem in (b"none", _pem(certified(ec.SECP256R1())[0])):
        with pytest.raises(Refusal) as caught:
            signature.load_key(pem)
        assert caught.value.code == "bad_file"
    assert signature.load_key(_pem(key)).public_key() == key.public_key()


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def _of(key: ec.EllipticCurvePrivateKey, until: datetime.datetime) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ended")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(until - datetime.timedelta(days=2)).not_valid_after(until)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
