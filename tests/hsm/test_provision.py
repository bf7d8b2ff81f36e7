"""Provisioning makes what is missing, never replaces what is there, and may be repeated."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pkcs11 import Attribute, KeyType, MechanismFlag, Session
from pkcs11.exceptions import AttributeTypeInvalid

from strongroom.errors import Refusal
from strongroom_hsm import templates
from strongroom_hsm.provision import provision, restricted
from strongroom_hsm.token import Token
from tests.hsm.places import Place


def key_of(request: bytes) -> bytes:
    return x509.load_pem_x509_csr(request).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_it_may_be_repeated(empty_place: Place) -> None:
    first, second = empty_place.provision(), empty_place.provision()
    assert (first.made, second.made) == (("identity", "kek"), ())
    assert key_of(first.request) == key_of(second.request)


def test_it_gives_the_library_back(empty_place: Place) -> None:
    empty_place.provision()
    empty_place.token().open()


def test_the_keys_have_random_ids(empty_place: Place) -> None:
    empty_place.provision()
    token = empty_place.token()
    kek_id = token.run(lambda live: live.keys.kek_id)
    assert len(kek_id) == 16 and len(set(kek_id)) > 4


def test_it_does_not_touch_a_weaker_key(empty_place: Place) -> None:
    def weak(session: Session) -> None:
        session.generate_key(
            KeyType.AES, 256, label="kek", id=b"1", store=True, capabilities=MechanismFlag.ENCRYPT | MechanismFlag.WRAP
        )

    token = Token(empty_place.address, empty_place.pin, weak, writable=True)
    token.open()
    token.close()
    with pytest.raises(Refusal, match="bad_configuration: wrapping key"):
        empty_place.provision()
    count = Token(
        empty_place.address,
        empty_place.pin,
        lambda session: len(list(session.get_objects({Attribute.LABEL: "kek"}))),
    )
    assert count.run(lambda live: live.keys) == 1
    count.close()


def test_a_token_that_cannot_restrict_mechanisms() -> None:
    asked: list[templates.Template] = []

    def generate(template: templates.Template) -> None:
        asked.append(template)
        if Attribute.ALLOWED_MECHANISMS in template:
            raise AttributeTypeInvalid

    restricted(generate, templates.KEK, templates.KEK_MECHANISMS)
    assert asked == [{**templates.KEK, Attribute.ALLOWED_MECHANISMS: templates.KEK_MECHANISMS}, templates.KEK]


@pytest.mark.parametrize("name", ["", "HSM", "a b", "-a", "a" * 33, "a\n"])
def test_a_name_that_no_signer_may_have(empty_place: Place, name: str) -> None:
    with pytest.raises(Refusal, match="bad_configuration: a signer's name"):
        provision(empty_place.address, empty_place.labels, empty_place.pin, name)


def test_a_wrong_pin(empty_place: Place) -> None:
    empty_place.write_pin("wrong pin")
    with pytest.raises(Refusal, match="pin_incorrect"):
        empty_place.provision()
