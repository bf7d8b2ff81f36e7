"""Entries for a policy file: key files of two algorithms, passkeys that have signed once, and what is neither."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from typer.testing import CliRunner

from strongroom.approval import Approver, verify
from strongroom.approval.approver import Algorithm
from strongroom_client.approving import enrolment, keys
from strongroom_client.approving.enrolment import Entry
from strongroom_client.approving.keys import base64url
from strongroom_client.cli.commands import app
from strongroom_client.documents import Document
from strongroom_client.policies import reading
from tests.approval.keys import Held, assertion, client_data, held
from tests.client.custody import no_passphrase
from tests.wire.refused import refused

INTENT = hashlib.sha256(b"an intent").digest()
PORT = 47113
ENTRY = Entry("bob", ["treasury", "compliance"], 2, requests_as=[bytes(32)])


@pytest.mark.parametrize("algorithm", ["ed25519", "p256"])
@pytest.mark.parametrize("passphrase", [None, b"correct horse"])
def test_a_key_file_signs_what_its_entry_verifies(
    tmp_path: Path, algorithm: Algorithm, passphrase: bytes | None
) -> None:
    path = tmp_path / "key.pem"
    key = keys.create(path, algorithm, passphrase)
    assert path.stat().st_mode & 0o777 == 0o600
    secret = keys.load(path, (lambda: passphrase) if passphrase else no_passphrase)
    assert keys.public(secret) == key and key.algorithm == algorithm
    approver = ENTRY.with_key(key)
    verify(keys.sign(secret, approver, "approve", INTENT), approver, INTENT)
    verify(keys.sign(secret, approver, "reject", INTENT), approver, INTENT)
    refused("file_exists", keys.create, path, algorithm, None)


def test_other_keys_are_none(tmp_path: Path) -> None:
    others: list[ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey] = [
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 2048),
    ]
    for number, other in enumerate(others):
        path = tmp_path / f"{number}.pem"
        path.write_bytes(
            other.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        refused("bad_file", keys.load, path, no_passphrase)
        refused("bad_approver", keys.registered, other.public_key())


@pytest.mark.parametrize("one", [held("bob", ["a", "b"], weight=3), held("bob", algorithm="p256", passkey=True)])
def test_an_entry_is_what_a_policy_file_reads(one: Held) -> None:
    written = json.loads(json.dumps(enrolment.document(one.approver)))
    policy = reading.read(Document({"requesters": [], "approvers": [written]}, "a policy"), 1, Path())
    assert policy.approvers == (one.approver,)


def test_the_command_prints_an_entry_and_keeps_the_key(tmp_path: Path) -> None:
    path = tmp_path / "bob.pem"
    arguments = ["approver", "enrol", "bob", "--group", "treasury", "--key", str(path), "--unencrypted", "--json"]
    printed = [CliRunner().invoke(app, arguments) for _ in range(2)]
    assert [each.exit_code for each in printed] == [0, 0]
    first, second = (json.loads(each.stdout) for each in printed)
    assert first == second and first["key"]["public"] == keys.public(keys.load(path, no_passphrase)).public.hex()
    wrong = CliRunner().invoke(app, [*arguments, "--kind", "officer"])
    assert wrong.exit_code == 2
    assert CliRunner().invoke(app, [*arguments, "--requests-as", "xyz"]).exit_code == 1


# --- Passkeys ---


def said(one: Held, challenge: bytes, **changes: Any) -> dict[str, Any]:
    public = one.secret.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    made = assertion(one.secret, challenge, client_data(challenge))
    fields = {
        "credential": b"a credential",
        "public": public,
        "client_data": made.client_data,
        "authenticator_data": made.authenticator_data,
        "signature": made.signature,
    }
    return {**{name: base64url(value) for name, value in fields.items()}, **changes}


class Enrolment:
    """A page for `bob`, and the challenge that stands in it."""

    def __init__(self) -> None:
        self.page = enrolment.passkey_page(ENTRY, PORT)
        marker = 'data-challenge="'
        start = self.page.html.index(marker) + len(marker)
        self.challenge = keys.unbase64(self.page.html[start : self.page.html.index('"', start)])

    def answer(self, fields: dict[str, Any]) -> Approver:
        return self.page.answer(fields).result


@pytest.mark.parametrize("algorithm", ["ed25519", "p256"])
def test_a_passkey_is_enrolled_by_its_first_signature(algorithm: Algorithm) -> None:
    page, one = Enrolment(), held("bob", algorithm=algorithm, passkey=True)
    approver = page.answer(said(one, page.challenge))
    assert approver.key == one.approver.key and approver.weight == 2 and approver.groups == ("compliance", "treasury")
    assert approver.passkey is not None and approver.passkey.origins == (f"http://localhost:{PORT}",)
    verify(one.approval(INTENT), approver, INTENT)


def test_a_passkey_that_did_not_sign_is_not_enrolled() -> None:
    page, one, other = Enrolment(), held("bob", passkey=True), held("eve", passkey=True)
    refused("approval_invalid", page.answer, said(one, bytes(32)))
    refused("approval_invalid", page.answer, said(one, page.challenge) | {"public": said(other, b"")["public"]})
    refused("bad_approver", page.answer, said(one, page.challenge, public=base64url(b"no key")))
    refused("bad_approver", page.answer, said(one, page.challenge, credential=""))
    for name in ("public", "credential", "client_data", "authenticator_data", "signature"):
        for value in (None, 7, "é"):
            refused("malformed_message", page.answer, said(one, page.challenge, **{name: value}))
    assert Enrolment().challenge != page.challenge
