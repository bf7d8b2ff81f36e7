"""Makes a signer's two keys in its token, and the request for the operator's CA. Never replaces a key that is there."""

from __future__ import annotations

import base64
import os
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass, Session
from pkcs11.exceptions import ArgumentsBad, AttributeTypeInvalid, AttributeValueInvalid, TemplateInconsistent

from strongroom.errors import Refusal
from strongroom.signer.configuration import NAME
from strongroom_hsm import templates
from strongroom_hsm.faults import TokenFault
from strongroom_hsm.identity import request
from strongroom_hsm.keys import Keys, Labels
from strongroom_hsm.pin import Pin
from strongroom_hsm.slots import TokenAddress
from strongroom_hsm.token import Token

ID_BYTES = 16


@dataclass(frozen=True)
class Provisioned:
    """request: PEM, for the operator's CA. made: which of `identity` and `kek` are new; others were found, checked."""

    request: bytes
    made: tuple[str, ...]


def provision(address: TokenAddress, labels: Labels, pin: Pin, name: str) -> Provisioned:
    """Keys where there are none, and a request for CN = `name`. May be repeated.

    Raises Refusal `bad_configuration` (also for a key that is there and weaker), `pin_incorrect`, `token_unavailable`.
    """
    if not NAME.fullmatch(name):
        raise Refusal("bad_configuration", "a signer's name is 1 to 32 of a-z, 0-9 and inner hyphens")
    made: list[str] = []

    def load(session: Session) -> Keys:
        made.extend(_make_missing(session, labels))
        return labels.load(session)

    token = Token(address, pin, load, writable=True)
    try:
        der = token.run(lambda live: request(live, name))
    except TokenFault as fault:
        raise Refusal("token_unavailable", f"the token did not sign the request: {fault}") from fault
    finally:
        token.close()
    return Provisioned(_pem(der), tuple(made))


def _make_missing(session: Session, labels: Labels) -> list[str]:
    made = []
    if not _exists(session, labels.identity, ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY):
        _make_identity(session, labels.identity)
        made.append("identity")
    if not _exists(session, labels.kek, ObjectClass.SECRET_KEY):
        _make_kek(session, labels.kek)
        made.append("kek")
    return made


def _exists(session: Session, label: str, *kinds: ObjectClass) -> bool:
    return any(list(session.get_objects({Attribute.CLASS: kind, Attribute.LABEL: label})) for kind in kinds)


def _make_identity(session: Session, label: str) -> None:
    """CKM_EC_KEY_PAIR_GEN on P-256."""
    parameters = session.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: templates.P256}, local=True)
    identifier = os.urandom(ID_BYTES)

    def generate(private: templates.Template) -> None:
        parameters.generate_keypair(
            id=identifier,
            label=label,
            store=True,
            capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
            public_template=dict(templates.IDENTITY_PUBLIC),
            private_template=dict(private),
        )

    restricted(generate, templates.IDENTITY_PRIVATE, templates.IDENTITY_MECHANISMS)


def _make_kek(session: Session, label: str) -> None:
    """CKM_AES_KEY_GEN, 256 bits."""
    identifier = os.urandom(ID_BYTES)

    def generate(template: templates.Template) -> None:
        session.generate_key(
            KeyType.AES,
            256,
            id=identifier,
            label=label,
            store=True,
            capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
            template=dict(template),
        )

    restricted(generate, templates.KEK, templates.KEK_MECHANISMS)


def restricted(
    generate: Callable[[templates.Template], None], template: templates.Template, mechanisms: tuple[int, ...]
) -> None:
    """With CKA_ALLOWED_MECHANISMS, which is optional in the standard, or else without."""
    try:
        generate({**template, Attribute.ALLOWED_MECHANISMS: mechanisms})
    except (ArgumentsBad, AttributeTypeInvalid, AttributeValueInvalid, TemplateInconsistent):
        generate(template)


def _pem(der: bytes) -> bytes:
    body = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n".encode()
