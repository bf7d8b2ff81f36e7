"""Keys that are weaker than those that `provision` makes are refused at the start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass, Session
from pkcs11.types import DomainParameters
from pkcs11.util.ec import encode_named_curve_parameters

from strongroom.errors import Refusal
from strongroom_hsm import templates
from strongroom_hsm.keys import Keys
from strongroom_hsm.token import Token
from tests.hsm.places import Place, opened


def make(place: Place, work: Callable[[Session], object]) -> None:
    token = Token(place.address, place.pin, work, writable=True)
    token.open()
    token.close()


def kek(session: Session, label: str = "kek", bits: int = 256, **changes: Any) -> None:
    template = {**templates.KEK, Attribute.ALLOWED_MECHANISMS: templates.KEK_MECHANISMS, **named(changes)}
    session.generate_key(
        KeyType.AES,
        bits,
        id=b"0123456789abcdef",
        label=label,
        store=True,
        capabilities=MechanismFlag(0),
        template=template,
    )


def identity(session: Session, label: str = "identity", curve: str = "secp256r1", **changes: Any) -> None:
    parameters = encode_named_curve_parameters(curve)
    domain = session.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: parameters}, local=True)
    assert isinstance(domain, DomainParameters)
    domain.generate_keypair(
        id=b"0123456789abcdef",
        label=label,
        store=True,
        capabilities=MechanismFlag(0),
        public_template={**templates.IDENTITY_PUBLIC, Attribute.EC_PARAMS: parameters},
        private_template={
            **templates.IDENTITY_PRIVATE,
            Attribute.ALLOWED_MECHANISMS: templates.IDENTITY_MECHANISMS,
            **named(changes),
        },
    )


def named(changes: dict[str, Any]) -> dict[Attribute, Any]:
    return {Attribute[name]: value for name, value in changes.items()}


def refused(place: Place) -> str:
    token: Token[Keys] = place.token()
    with pytest.raises(Refusal) as caught:
        token.open()
    assert caught.value.code == "bad_configuration", caught.value
    token.close()
    return caught.value.reason


def both(session: Session, **changes: Any) -> None:
    identity(session, **changes)
    kek(session)


def test_what_provision_makes_is_accepted(place: Place) -> None:
    place.token().open()


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("DERIVE", True),
        ("UNWRAP", True),
        ("DECRYPT", True),
        ("SIGN", False),
        ("EXTRACTABLE", True),
        ("SENSITIVE", False),
        ("PRIVATE", False),
        ("MODIFIABLE", True),
        ("ALLOWED_MECHANISMS", (int(Mechanism.ECDSA), int(Mechanism.ECDH1_DERIVE))),
    ],
)
def test_a_weaker_identity_key(empty_place: Place, attribute: str, value: Any) -> None:
    make(empty_place, lambda session: both(session, **{attribute: value}))
    assert f"CKA_{attribute}" in refused(empty_place)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("WRAP", True),
        ("UNWRAP", True),
        ("DERIVE", True),
        ("SIGN", True),
        ("VERIFY", True),
        ("ENCRYPT", False),
        ("DECRYPT", False),
        ("EXTRACTABLE", True),
        ("SENSITIVE", False),
        ("PRIVATE", False),
        ("MODIFIABLE", True),
        ("ALLOWED_MECHANISMS", (int(Mechanism.AES_GCM), int(Mechanism.AES_ECB))),
    ],
)
def test_a_weaker_wrapping_key(empty_place: Place, attribute: str, value: Any) -> None:
    def weak(session: Session) -> None:
        identity(session)
        kek(session, **{attribute: value})

    make(empty_place, weak)
    assert f"CKA_{attribute}" in refused(empty_place)


def test_a_key_that_was_once_outside(empty_place: Place) -> None:
    """Imported, then marked sensitive: whoever imported it may have kept it."""

    def imported(session: Session) -> None:
        identity(session)
        session.create_object(
            {
                **templates.KEK,
                Attribute.CLASS: ObjectClass.SECRET_KEY,
                Attribute.KEY_TYPE: KeyType.AES,
                Attribute.LABEL: "kek",
                Attribute.ID: b"0123456789abcdef",
                Attribute.VALUE: bytes(range(32)),
            }
        )

    make(empty_place, imported)
    assert "CKA_LOCAL" in refused(empty_place)


def test_a_public_object_lies_in_the_clear(empty_place: Place) -> None:
    """The trap behind PRIVATE: SoftHSM writes such a key into its file as it is."""
    value = b"a planted key of 32 bytes, found!"[:32]

    def planted(session: Session) -> None:
        for label, private in (("open", False), ("closed", True)):
            session.create_object(
                {
                    Attribute.CLASS: ObjectClass.SECRET_KEY,
                    Attribute.KEY_TYPE: KeyType.AES,
                    Attribute.TOKEN: True,
                    Attribute.LABEL: label,
                    Attribute.PRIVATE: private,
                    Attribute.VALUE: value,
                }
            )

    make(empty_place, planted)
    holders = [each for each in empty_place.store.iterdir() if value in each.read_bytes()]
    assert len(holders) == 1


def test_other_sizes_and_curves(empty_place: Place) -> None:
    def short(session: Session) -> None:
        identity(session, curve="secp384r1")
        kek(session, bits=128)

    make(empty_place, short)
    assert "CKA_EC_PARAMS" in refused(empty_place)


def test_a_short_wrapping_key(empty_place: Place) -> None:
    def short(session: Session) -> None:
        identity(session)
        kek(session, bits=128)

    make(empty_place, short)
    assert "CKA_VALUE_LEN" in refused(empty_place)


def test_absent_and_ambiguous_keys(empty_place: Place) -> None:
    assert "no identity key" in refused(empty_place)
    make(empty_place, identity)
    opened_again = refused(empty_place)
    assert "no wrapping key" in opened_again
    for _ in range(2):
        make(empty_place, kek)
    assert "more than one wrapping key" in refused(empty_place)


def test_the_allowed_mechanisms_hold_in_the_token(place: Place) -> None:
    token = opened(place.token())

    def other(live: Any) -> None:
        live.keys.identity.sign(b"x", mechanism=Mechanism.ECDSA_SHA256)

    with pytest.raises(Exception, match="MechanismInvalid"):
        token.run(other)
