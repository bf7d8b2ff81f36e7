"""The request for the operator's CA, the certificate that came back, and every way in which it is not ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from strongroom.errors import Refusal
from strongroom_hsm.backends import open_backends
from strongroom_hsm.identity import Certified, spki
from strongroom_hsm.keys import decode_point
from tests.hsm.authority import DAY, LEAF, START, Authority, usage
from tests.hsm.places import Place, opened


def test_the_request(place: Place) -> None:
    csr = x509.load_pem_x509_csr(place.provision().request)
    assert csr.is_signature_valid
    assert csr.subject.rfc4514_string() == "CN=hsm-a"
    assert csr.extensions.get_extension_for_class(x509.KeyUsage).value == usage(sign=True, issue=False)
    assert csr.extensions.get_extension_for_class(x509.BasicConstraints).value == LEAF[0][0]
    assert csr.signature_hash_algorithm is not None and csr.signature_hash_algorithm.name == "sha256"


def test_the_request_is_for_the_key_in_the_token(place: Place) -> None:
    csr = x509.load_pem_x509_csr(place.provision().request)
    token = place.token()
    public = token.run(lambda live: live.keys.public)
    key = csr.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey) and spki(key) == spki(public)


def test_a_point_with_and_without_its_octet_string() -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
    raw = b"\x04" + key.x.to_bytes(32, "big") + key.y.to_bytes(32, "big")
    assert decode_point(b"\x04\x41" + raw).public_numbers() == key
    assert decode_point(raw).public_numbers() == key
    off_curve = raw[:-1] + bytes((raw[-1] ^ 1,))
    for bad in (b"", raw[:-1], b"\x04\x40" + raw, off_curve, b"\x04\x41" + off_curve):
        with pytest.raises(Refusal, match="bad_configuration"):
            decode_point(bad)


def refused(place: Place, certified: Certified, **changes: Any) -> str:
    configuration = dataclasses.replace(place.configuration(), **changes)
    with pytest.raises(Refusal) as caught:
        open_backends(place.address, place.labels, place.pin, certified, configuration)
    assert caught.value.code == "bad_configuration", caught.value
    return caught.value.reason


def certified(place: Place, authority: Authority, folder: Path, **how: Any) -> Certified:
    return Certified.load(*authority.certify(place.provision().request, folder, **how))


def test_a_certificate_for_another_key(place: Place, make_place: Callable[[str], Place]) -> None:
    assert "another key" in refused(place, make_place("hsm-a").certified())


def test_a_certificate_for_another_name(place: Place) -> None:
    assert "common name" in refused(place, place.certified(), name="hsm-b")


def test_a_certificate_that_peers_would_refuse(place: Place, authority: Authority, tmp_path: Path) -> None:
    assert "ahead" not in refused(place, certified(place, authority, tmp_path, start=START - 9 * DAY, days=3))
    assert "outside" in refused(place, certified(place, authority, tmp_path, start=START + 9 * DAY))
    assert "no path" in refused(place, certified(place, authority, tmp_path, extensions=(LEAF[0],)))


def test_softhsm_does_not_start_in_production(place: Place) -> None:
    assert "SoftHSM" in refused(place, place.certified(), mode="production")


def test_another_wrapping_key_than_the_attested_one(place: Place) -> None:
    sealing = dataclasses.replace(place.configuration().sealing, key="another")
    assert "sealing key" in refused(place, place.certified(), sealing=sealing)


def test_a_chain_in_the_wrong_order(place: Place, authority: Authority, tmp_path: Path) -> None:
    certificate, chain = authority.certify(place.provision().request, tmp_path)
    pems = [each.public_bytes(Encoding.PEM) for each in authority.chain]
    chain.write_bytes(b"".join(reversed(pems)))
    refused(place, Certified.load(certificate, chain))


def test_files_that_hold_something_else(place: Place, authority: Authority, tmp_path: Path) -> None:
    certificate, chain = authority.certify(place.provision().request, tmp_path)
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    both = tmp_path / "both"
    both.write_bytes(certificate.read_bytes() * 2)
    long = tmp_path / "long"
    long.write_bytes(chain.read_bytes() * 3)
    for first, second in ((empty, chain), (both, chain), (certificate, empty), (certificate, long), (tmp_path, chain)):
        with pytest.raises(Refusal, match="bad_configuration"):
            Certified.load(first, second)


def test_an_expired_certificate_is_told(place: Place, authority: Authority, tmp_path: Path) -> None:
    backends = open_backends(
        place.address, place.labels, place.pin, certified(place, authority, tmp_path, days=2), place.configuration()
    )
    opened(backends.token)
    late = dataclasses.replace(backends, expires=0)
    assert "expired" in (late.degraded() or "")
