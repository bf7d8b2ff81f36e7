"""A passkey's assertion: every check of WebAuthn section 7.2 that is ours, each with what it keeps out."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from strongroom.approval import Approval, Approver, approval_digest, verify
from strongroom.approval.approver import Algorithm
from strongroom.approval.webauthn import Assertion
from strongroom.errors import Refusal
from tests.approval.keys import ORIGIN, assertion, authenticator_data, client_data, held, with_passkey
from tests.wire.refused import refused

BOB = held("bob", algorithm="p256", passkey=True)
INTENT = hashlib.sha256(b"an intent").digest()
CHALLENGE = approval_digest("approve", INTENT)
HONEST = assertion(BOB.secret, CHALLENGE)


def judged(proof: Assertion, approver: Approver = BOB.approver) -> None:
    verify(Approval("bob", "approve", proof), approver, INTENT)


def reason(data: bytes | None = None, authenticator: bytes | None = None, approver: Approver = BOB.approver) -> str:
    return refused("approval_invalid", judged, assertion(BOB.secret, CHALLENGE, data, authenticator), approver).reason


@pytest.mark.parametrize("algorithm", ["ed25519", "p256"])
def test_an_honest_assertion(algorithm: Algorithm) -> None:
    one = held("bob", algorithm=algorithm, passkey=True)
    approval = one.approval(INTENT)
    assert Approval.decode(approval.encode()) == approval
    verify(approval, one.approver, INTENT)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"type": "webauthn.create"}, "the type"),
        ({"challenge": "AAAA"}, "another request"),
        ({"origin": "https://evil.example"}, "another page"),
        ({"origin": ORIGIN + "0"}, "another page"),
        ({"origin": ORIGIN[:-1]}, "another page"),
        ({"origin": "https://localhost:47113"}, "another page"),
        ({"crossOrigin": True, "topOrigin": ORIGIN}, "inside another"),
        ({"crossOrigin": "false"}, "inside another"),
    ],
)
def test_client_data_that_say_something_else(changed: dict[str, object], said: str) -> None:
    assert said in reason(client_data(CHALLENGE, **changed))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        client_data(CHALLENGE)[:-1],
        client_data(CHALLENGE) + b"\n",
        client_data(CHALLENGE) + b"}",
        b" " + client_data(CHALLENGE),
        b"\xef\xbb\xbf" + client_data(CHALLENGE),
        client_data(CHALLENGE).replace(b":", b": "),
        client_data(CHALLENGE).replace(b'"crossOrigin":false', b'"more":1,"crossOrigin":false'),
        client_data(CHALLENGE, more=1).replace(b',"crossOrigin":false', b""),
        client_data(CHALLENGE, topOrigin="https://evil.example").replace(b',"crossOrigin":false', b""),
        client_data(CHALLENGE).replace(b'"type"', b'"type":"webauthn.get","type"'),
        client_data(CHALLENGE).replace(b"localhost", b"loc\\u0061lhost"),
    ],
)
def test_client_data_in_another_encoding(data: bytes) -> None:
    reason(data)


def test_what_a_client_adds_at_the_end_is_its_own() -> None:
    judged(assertion(BOB.secret, CHALLENGE, client_data(CHALLENGE, other_keys_can_be_added_here="do not compare")))


def test_safari_says_nothing_where_no_page_is_around_its_own() -> None:
    judged(assertion(BOB.secret, CHALLENGE, client_data(CHALLENGE).replace(b',"crossOrigin":false', b"")))


def test_several_origins_may_be_pinned() -> None:
    other = "https://approve.example.com"
    approver = with_passkey(BOB, lambda passkey: dataclasses.replace(passkey, origins=(ORIGIN, other)))
    judged(assertion(BOB.secret, CHALLENGE, client_data(CHALLENGE, origin=other)), approver)
    judged(assertion(BOB.secret, CHALLENGE), approver)


@pytest.mark.parametrize(
    ("authenticator", "said"),
    [
        (authenticator_data(rp="evil.example"), "another relying party"),
        (authenticator_data()[:36], "another relying party"),
        (b"", "another relying party"),
        (authenticator_data(flags=0x04), "present"),
        (authenticator_data(flags=0x01), "verified nobody"),
        (authenticator_data(flags=0x00), "present"),
        (authenticator_data(flags=0x45), "longer or shorter"),
        (authenticator_data(flags=0x45, more=bytes(64)), "longer or shorter"),
        (authenticator_data(more=b"\xa0"), "longer or shorter"),
        (authenticator_data(flags=0x85), "longer or shorter"),
        (authenticator_data(flags=0x15), "backed up"),
    ],
)
def test_authenticator_data_that_say_something_else(authenticator: bytes, said: str) -> None:
    assert said in reason(authenticator=authenticator)


@pytest.mark.parametrize(
    "authenticator",
    [
        authenticator_data(flags=0x0D),
        authenticator_data(flags=0x1D),
        authenticator_data(counter=7),
        authenticator_data(flags=0x85, more=b"\xa0"),
    ],
)
def test_backups_counters_and_extensions_are_no_gate(authenticator: bytes) -> None:
    judged(assertion(BOB.secret, CHALLENGE, authenticator=authenticator))


def test_only_the_pinned_key_by_the_pinned_algorithm() -> None:
    ed25519 = held("bob", passkey=True)
    for signed, approver in (
        (ed25519, BOB.approver),
        (BOB, ed25519.approver),
        (held("eve", algorithm="p256"), BOB.approver),
    ):
        refused("approval_invalid", judged, assertion(signed.secret, CHALLENGE), approver)
    secret = rsa.generate_private_key(65537, 1024)
    signed_data = HONEST.authenticator_data + hashlib.sha256(HONEST.client_data).digest()
    by_rsa = secret.sign(signed_data, padding.PKCS1v15(), hashes.SHA256())[:80]
    refused("approval_invalid", judged, dataclasses.replace(HONEST, signature=by_rsa))


def test_a_passkey_signs_assertions_and_a_key_file_digests() -> None:
    plain = held("bob", algorithm="p256")
    refused("approval_invalid", verify, plain.approval(INTENT), BOB.approver, INTENT)
    refused("approval_invalid", verify, BOB.approval(INTENT), plain.approver, INTENT)


@given(st.binary(max_size=120), st.binary(max_size=80), st.binary(max_size=80))
def test_any_bytes_are_refused_and_nothing_else_happens(data: bytes, authenticator: bytes, signature: bytes) -> None:
    for proof in (
        Assertion(data, authenticator, signature),
        Assertion(client_data(CHALLENGE), authenticator, signature),
    ):
        refused("approval_invalid", judged, proof)
    with pytest.raises(Refusal):
        Approval.decode(data)


@given(st.data())
def test_no_byte_of_an_assertion_may_change(data: st.DataObject) -> None:
    field = data.draw(st.sampled_from(("client_data", "authenticator_data", "signature")))
    value = bytearray(getattr(HONEST, field))
    value[data.draw(st.integers(0, len(value) - 1))] ^= data.draw(st.integers(1, 255))
    refused("approval_invalid", judged, dataclasses.replace(HONEST, **{field: bytes(value)}))
