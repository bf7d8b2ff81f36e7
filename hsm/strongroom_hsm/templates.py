"""What the two keys in the token may do, and nothing more: the templates they are made with, and the check at start.

The defaults of tokens and of python-pkcs11 allow too much: an EC key that also derives, an AES key that also wraps.
A key that wraps another or decrypts under any mode gives away what it seals. PRIVATE = false makes SoftHSM write the
key in the clear and every session read it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass, PKCS11Error, Session
from pkcs11.attributes import AttributeMapper
from pkcs11.exceptions import AttributeTypeInvalid
from pkcs11.types import Key
from pkcs11.util.ec import encode_named_curve_parameters

from strongroom.errors import Refusal

P256: Final[bytes] = encode_named_curve_parameters("secp256r1")

Template = Mapping[Attribute, Any]

_KEPT_INSIDE: Final[dict[Attribute, Any]] = {
    Attribute.TOKEN: True,
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.MODIFIABLE: False,
}

IDENTITY_PRIVATE: Final[Template] = {
    **_KEPT_INSIDE,
    Attribute.SIGN: True,
    Attribute.SIGN_RECOVER: False,
    Attribute.DECRYPT: False,
    Attribute.UNWRAP: False,
    Attribute.DERIVE: False,
}
IDENTITY_PUBLIC: Final[Template] = {
    Attribute.TOKEN: True,
    Attribute.PRIVATE: False,
    Attribute.MODIFIABLE: False,
    Attribute.EC_PARAMS: P256,
    Attribute.VERIFY: True,
    Attribute.ENCRYPT: False,
    Attribute.WRAP: False,
    Attribute.DERIVE: False,
}
KEK: Final[Template] = {
    **_KEPT_INSIDE,
    Attribute.ENCRYPT: True,
    Attribute.DECRYPT: True,
    Attribute.SIGN: False,
    Attribute.VERIFY: False,
    Attribute.WRAP: False,
    Attribute.UNWRAP: False,
    Attribute.DERIVE: False,
}

_BORN_INSIDE: Final[dict[Attribute, Any]] = {
    Attribute.LOCAL: True,
    Attribute.ALWAYS_SENSITIVE: True,
    Attribute.NEVER_EXTRACTABLE: True,
}
"""Set by the token itself: generated there, never imported, never released."""

_IDENTITY_FOUND: Final[Template] = {
    Attribute.CLASS: ObjectClass.PRIVATE_KEY,
    Attribute.KEY_TYPE: KeyType.EC,
    Attribute.EC_PARAMS: P256,
    **IDENTITY_PRIVATE,
    **_BORN_INSIDE,
}
_KEK_FOUND: Final[Template] = {
    Attribute.CLASS: ObjectClass.SECRET_KEY,
    Attribute.KEY_TYPE: KeyType.AES,
    Attribute.VALUE_LEN: 32,
    **KEK,
    **_BORN_INSIDE,
}

IDENTITY_MECHANISMS: Final = (int(Mechanism.ECDSA),)
KEK_MECHANISMS: Final = (int(Mechanism.AES_GCM),)

_MAY_BE_UNKNOWN: Final = frozenset(
    {Attribute.MODIFIABLE, Attribute.SIGN_RECOVER, Attribute.SIGN, Attribute.VERIFY, Attribute.EC_PARAMS}
)
"""Attributes that some tokens do not have for a class; what a token does not know, it cannot allow. A curve that is
not told is known from the public key."""


def mapper() -> AttributeMapper:
    """python-pkcs11's attributes, and CKA_ALLOWED_MECHANISMS, which it lacks."""
    attributes = AttributeMapper()
    attributes.register_handler(
        Attribute.ALLOWED_MECHANISMS,
        lambda values: struct.pack(f"{len(values)}L", *values),
        lambda raw: struct.unpack(f"{len(raw) // struct.calcsize('L')}L", raw),
    )
    return attributes


def check_identity(key: Key, label: str) -> None:
    """Raises Refusal `bad_configuration` unless the private key is as tight as IDENTITY_PRIVATE."""
    _check(key, _IDENTITY_FOUND, IDENTITY_MECHANISMS, f"identity key {label!r}")


def check_kek(key: Key, label: str) -> None:
    """Raises Refusal `bad_configuration` unless the key is as tight as KEK."""
    _check(key, _KEK_FOUND, KEK_MECHANISMS, f"wrapping key {label!r}")


def _check(key: Key, wanted: Template, mechanisms: tuple[int, ...], what: str) -> None:
    for attribute, value in wanted.items():
        try:
            found = key[attribute]
        except AttributeTypeInvalid:
            if attribute in _MAY_BE_UNKNOWN and value is not True:
                continue
            raise weak(what, f"the token does not tell CKA_{attribute.name}") from None
        if found != value:
            shown = found.hex() if isinstance(found, bytes) else found
            raise weak(what, f"CKA_{attribute.name} is {shown}")
    _check_mechanisms(key, mechanisms, what)


def _check_mechanisms(key: Key, mechanisms: tuple[int, ...], what: str) -> None:
    # Optional in the standard: absent or empty where a token cannot restrict them.
    try:
        found = key[Attribute.ALLOWED_MECHANISMS]
    except PKCS11Error:
        return
    if not set(found) <= set(mechanisms):
        raise weak(what, "CKA_ALLOWED_MECHANISMS allows more than it needs")


def weak(what: str, reason: str) -> Refusal:
    return Refusal("bad_configuration", f"{what} is not the key that `provision` makes: {reason}")


def find_one(session: Session, kind: ObjectClass, label: str, what: str) -> Key:
    """Raises Refusal `bad_configuration` where there is none, or more than one."""
    found = list(session.get_objects({Attribute.CLASS: kind, Attribute.LABEL: label}))
    if len(found) != 1:
        count = "no" if not found else "more than one"
        raise Refusal("bad_configuration", f"the token has {count} {what} labelled {label!r}")
    return found[0]  # type: ignore[return-value]
