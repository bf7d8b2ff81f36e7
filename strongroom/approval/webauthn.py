"""Verifies a passkey's assertion, as WebAuthn level 3 section 7.2 says, without a JSON or CBOR parser of its own.

The rules, in the order in which they are applied; each refusal is `approval_invalid`:

 1. Client data begin as section 5.8.1.1 has every client write them: type webauthn.get,      steps 10 to 13
    the challenge, an origin that officers pinned; then crossOrigin is false, or they end
 2. Authenticator data are of the pinned relying party (SHA-256 of its id)                     step 15
 3. The user was present and was verified; no attested credential is inside                    steps 16, 17
 4. A key that is not eligible for backup is not said to be backed up                          step 18
 5. The pinned key signed authenticator data and the hash of client data, by its algorithm     steps 20, 21

Section 5.8.1.2 is the "limited verification algorithm": the first members have one order and one encoding, so that
bytes are compared and nothing is parsed. What follows them is the client's to extend. Safari leaves crossOrigin out
where it is false, which is what its absence means (section 5.8.1), and writes nothing after the origin then.

Counters (step 22) are no gate: passkeys that live on several devices leave them at zero, and one that went backwards
would tell of a clone only to whoever remembers, which a signer that restarts does not.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Final

from strongroom.approval.approver import Key, Passkey
from strongroom.errors import Refusal
from strongroom.wire import cbor
from strongroom.wire.fields import Fields

MAX_CLIENT_DATA: Final = 1024
MAX_AUTHENTICATOR_DATA: Final = 512

_FIXED: Final = 37
"""rpIdHash[32], flags[1], signCount[4]."""

_PRESENT, _VERIFIED, _ELIGIBLE, _BACKED_UP, _ATTESTED, _EXTENDED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80


@dataclass(frozen=True)
class Assertion:
    """As the browser gave them, byte for byte. signature: DER of ECDSA, or 64 bytes of Ed25519."""

    client_data: bytes
    authenticator_data: bytes
    signature: bytes

    def value(self) -> dict[str, cbor.Value]:
        return {
            "client_data": self.client_data,
            "authenticator_data": self.authenticator_data,
            "signature": self.signature,
        }

    @classmethod
    def parse(cls, fields: Fields) -> Assertion:
        assertion = cls(
            fields.blob("client_data", most=MAX_CLIENT_DATA),
            fields.blob("authenticator_data", most=MAX_AUTHENTICATOR_DATA),
            fields.blob("signature", most=80),
        )
        fields.end()
        return assertion


def verify(assertion: Assertion, key: Key, passkey: Passkey, challenge: bytes, name: str) -> None:
    """challenge: the 32 bytes that were to be signed. name: the approver's, for the reason."""
    # 1
    _verify_client_data(assertion.client_data, passkey, challenge, name)
    # 2
    data = assertion.authenticator_data
    if len(data) < _FIXED or data[:32] != hashlib.sha256(passkey.rp.encode()).digest():
        raise _invalid(name, f"the authenticator answered for another relying party than {passkey.rp}")
    # 3
    flags = data[32]
    if not flags & _PRESENT:
        raise _invalid(name, "the authenticator does not say that a person was present")
    if not flags & _VERIFIED:
        raise _invalid(name, "the authenticator verified nobody: it needs a PIN or a fingerprint")
    if flags & _ATTESTED or (len(data) > _FIXED) != bool(flags & _EXTENDED):
        raise _invalid(name, "authenticator data are longer or shorter than their flags say")
    # 4
    if flags & _BACKED_UP and not flags & _ELIGIBLE:
        raise _invalid(name, "the key is said to be backed up, which it may not be")
    # 5
    if not key.verify(assertion.signature, data + hashlib.sha256(assertion.client_data).digest()):
        raise _invalid(name, "the passkey's signature does not verify")


def _verify_client_data(data: bytes, passkey: Passkey, challenge: bytes, name: str) -> None:
    encoded = base64.urlsafe_b64encode(challenge).rstrip(b"=")
    rest = _after(data, (b'{"type":"webauthn.get"',), name, "the type is not webauthn.get")
    rest = _after(rest, (b',"challenge":"' + encoded + b'"',), name, "the passkey signed another request or decision")
    origins = tuple(b',"origin":"' + origin.encode() + b'"' for origin in passkey.origins)
    rest = _after(rest, origins, name, f"it was signed on another page than {' or '.join(passkey.origins)}")
    if rest == b"}":
        return
    rest = _after(rest, (b',"crossOrigin":false',), name, "the page was inside another one, or does not say")
    if not (rest == b"}" or (rest.startswith(b",") and rest.endswith(b"}"))):
        raise _invalid(name, "client data do not end as they should")


def _after(data: bytes, prefixes: tuple[bytes, ...], name: str, reason: str) -> bytes:
    for prefix in prefixes:
        if data.startswith(prefix):
            return data[len(prefix) :]
    raise _invalid(name, reason)


def _invalid(name: str, reason: str) -> Refusal:
    return Refusal("approval_invalid", f"{name}: {reason}")
