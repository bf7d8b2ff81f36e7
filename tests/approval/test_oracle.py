"""python-fido2, as a relying party, agrees with ours about what is an assertion; but for what it leaves open."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from typing import Any

import pytest
from fido2.cose import CoseKey
from fido2.server import Fido2Server
from fido2.webauthn import (
    Aaguid,
    AttestedCredentialData,
    AuthenticationResponse,
    AuthenticatorAssertionResponse,
    AuthenticatorData,
    CollectedClientData,
    PublicKeyCredentialRpEntity,
    UserVerificationRequirement,
)

from strongroom.approval import webauthn
from strongroom.approval.approver import Algorithm
from strongroom.approval.webauthn import Assertion
from strongroom.errors import Refusal
from tests.approval.keys import ORIGIN, RP, Held, assertion, authenticator_data, client_data, held

CHALLENGE = hashlib.sha256(b"a challenge").digest()
ALGORITHMS: tuple[Algorithm, ...] = ("ed25519", "p256")


def theirs(one: Held, proof: Assertion) -> bool:
    assert one.approver.passkey is not None
    server = Fido2Server(PublicKeyCredentialRpEntity(id=RP, name="x"), verify_origin=lambda origin: origin == ORIGIN)
    identifier = one.approver.passkey.credential
    public = CoseKey.for_alg(-8 if one.approver.key.algorithm == "ed25519" else -7).from_cryptography_key(
        one.secret.public_key()
    )
    known = AttestedCredentialData.create(Aaguid.NONE, identifier, public)
    state = {
        "challenge": base64.urlsafe_b64encode(CHALLENGE).decode().rstrip("="),
        "user_verification": UserVerificationRequirement.REQUIRED,
    }
    try:
        response = AuthenticatorAssertionResponse(
            client_data=CollectedClientData(proof.client_data),
            authenticator_data=AuthenticatorData(proof.authenticator_data),
            signature=proof.signature,
        )
        server.authenticate_complete(state, [known], AuthenticationResponse(raw_id=identifier, response=response))
    except Exception:
        # It has no one exception for what it refuses.
        return False
    return True


def ours(one: Held, proof: Assertion) -> bool:
    assert one.approver.passkey is not None
    try:
        webauthn.verify(proof, one.approver.key, one.approver.passkey, CHALLENGE, "bob")
    except Refusal:
        return False
    return True


CASES: dict[str, tuple[dict[str, Any], bytes | None, bool]] = {
    "honest": ({}, None, True),
    "more members": ({"extra": "x"}, None, True),
    "a counter": ({}, authenticator_data(counter=1 << 31), True),
    "synchronised": ({}, authenticator_data(flags=0x1D), True),
    "a registration": ({"type": "webauthn.create"}, None, False),
    "another challenge": ({"challenge": "AAAA"}, None, False),
    "another origin": ({"origin": "https://evil.example"}, None, False),
    "another relying party": ({}, authenticator_data(rp="evil.example"), False),
    "nobody present": ({}, authenticator_data(flags=0x04), False),
    "nobody verified": ({}, authenticator_data(flags=0x01), False),
    "trailing bytes": ({}, authenticator_data(more=b"\x00"), False),
}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("changed", "authenticator", "good"), CASES.values(), ids=CASES)
def test_both_say_the_same(
    algorithm: Algorithm, changed: dict[str, Any], authenticator: bytes | None, good: bool
) -> None:
    one = held("bob", algorithm=algorithm, passkey=True)
    proof = assertion(one.secret, CHALLENGE, client_data(CHALLENGE, **changed), authenticator)
    assert (ours(one, proof), theirs(one, proof)) == (good, good)
    forged = dataclasses.replace(proof, signature=proof.signature[:-1] + bytes((proof.signature[-1] ^ 1,)))
    assert (ours(one, forged), theirs(one, forged)) == (False, False)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_where_ours_is_stricter(algorithm: Algorithm) -> None:
    """A page inside another one, which level 3 lets a relying party accept; another encoding of the same JSON."""
    one = held("bob", algorithm=algorithm, passkey=True)
    framed = assertion(one.secret, CHALLENGE, client_data(CHALLENGE, crossOrigin=True))
    spaced = assertion(one.secret, CHALLENGE, client_data(CHALLENGE).replace(b'":', b'": '))
    assert (ours(one, framed), ours(one, spaced)) == (False, False)
    assert theirs(one, spaced)
