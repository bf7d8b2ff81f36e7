"""Documents signed in the token, verified as a peer verifies them."""

from __future__ import annotations

import hashlib
import time

import pytest
from pkcs11.types import SignMixin

from strongroom.errors import Refusal
from strongroom.evidence import pkcs11
from strongroom.evidence.statement import TrustRoot, require_binding, require_measurements
from strongroom.signer.seams import Attester, Health, Sealer
from strongroom_hsm.backends import Backends
from tests.hsm.authority import Authority
from tests.hsm.places import Place


def test_a_peer_accepts_it(backends: Backends, place: Place, authority: Authority) -> None:
    document = backends.attester.attest(nonce=b"n" * 32, user_data=b"u" * 32, public_key=b"p" * 32)
    root = TrustRoot("pkcs11", "simulated", authority.fingerprint)
    statement = pkcs11.verify(document, root=root, at=int(time.time()))
    require_binding(statement, nonce=b"n" * 32, user_data=b"u" * 32)
    require_measurements(statement, {"configuration": place.configuration().digest()})
    assert (statement.subject, statement.public_key) == ("hsm-a", b"p" * 32)
    assert abs(statement.timestamp - time.time()) < 5
    assert backends.attester.root == "pkcs11"


def test_it_describes_the_token(backends: Backends, place: Place) -> None:
    token = pkcs11.unverified(backends.attester.attest(nonce=b"", user_data=b"", public_key=b"")).token
    assert (token.label, token.manufacturer, token.model) == (place.label, "SoftHSM project", "SoftHSM v2")
    assert token.library == "SoftHSM Implementation of PKCS11"
    assert len(token.serial) == 16 and token.keeps_keys_in_files


@pytest.mark.parametrize("field", ["nonce", "user_data", "public_key"])
def test_a_field_over_the_limit(backends: Backends, field: str) -> None:
    given = {"nonce": bytes(1024), "user_data": bytes(1024), "public_key": bytes(1024)}
    assert len(backends.attester.attest(**given)) < pkcs11.MAX_DOCUMENT
    with pytest.raises(Refusal, match=f"malformed_message: {field}"):
        backends.attester.attest(**{**given, field: bytes(1025)})


def test_a_faulty_signature_does_not_leave(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
    live = backends.token.run(lambda live: live)
    monkeypatch.setattr(type(live.keys.identity), "sign", lambda *_, **__: bytes(64), raising=False)
    assert isinstance(live.keys.identity, SignMixin)
    with pytest.raises(Refusal, match="token_unavailable: the token made a signature"):
        backends.attester.attest(nonce=b"", user_data=b"", public_key=b"")


def test_the_seams(backends: Backends) -> None:
    seams: tuple[Sealer, Attester, Health] = (backends.sealer, backends.attester, backends)
    assert all(seams)
    assert backends.degraded() is None


def test_the_pinned_root_is_the_last_of_the_chain(backends: Backends, authority: Authority) -> None:
    document = backends.attester.attest(nonce=b"", user_data=b"", public_key=b"")
    assert hashlib.sha256(pkcs11.unverified(document).chain[-1]).digest() == authority.fingerprint
