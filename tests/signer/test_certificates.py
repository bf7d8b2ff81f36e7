"""Certificates at a signer: it attests what it knows itself, once, and bound to the question."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from strongroom.evidence import verify as evidence
from strongroom.wallet.certificate import Body, TestSignature, attested_user_data, certificate_hash
from strongroom.wallet.members import verify_member
from strongroom.wallet.order import SignedOrder
from tests.native.driver import run_dkg
from tests.signer.cluster import NOW, Cluster, loaded
from tests.wallet.orders import ED25519, OFFICER_KEYS, signed
from tests.wire.refused import refused


@pytest.fixture(scope="module")
def fresh() -> Cluster:
    """Dealt, not certified; its body is honest. For tests in which nobody attests it."""
    cluster = loaded(certified=False)
    cluster.body = cluster.make_body()
    return cluster


def certify(cluster: Cluster, body: bytes | None, name: str = "a") -> Any:
    return cluster[name].call("wallet.certify", wallet=cluster.wallet, body=body, nonce=b"\5" * 32)


def other_share() -> Any:
    return run_dkg(ED25519, 2, 3)[0]


def retested(body: Body) -> TestSignature:
    return dataclasses.replace(body.tests[0], signature=bytes(64))


def reordered(body: Body) -> SignedOrder:
    return signed(dataclasses.replace(body.order.order, nonce=bytes(32)))


LIES: list[tuple[str, Callable[[Body], dict[str, Any]]]] = [
    ("the wallet", lambda body: {"wallet": bytes(32)}),
    ("the epoch", lambda body: {"epoch": 2}),
    ("the public key", lambda body: {"public_key": other_share().public_key}),
    ("a verification share", lambda body: {"verification_shares": (*body.verification_shares[:2], bytes(32))}),
    ("their order", lambda body: {"verification_shares": body.verification_shares[::-1]}),
    ("the package", lambda body: {"package": other_share().public_package()}),
    ("the chain code", lambda body: {"chain_code": bytes(32)}),
    ("the transcript", lambda body: {"transcript": bytes(32)}),
    ("no tests", lambda body: {"tests": ()}),
    ("a test too few", lambda body: {"tests": body.tests[:1]}),
    ("a wrong test", lambda body: {"tests": (retested(body), body.tests[1])}),
    ("another order", lambda body: {"order": reordered(body)}),
]


@pytest.mark.parametrize("lie", [row[1] for row in LIES], ids=[row[0] for row in LIES])
def test_a_certificate_that_lies_is_not_attested(fresh: Cluster, lie: Callable[[Body], dict[str, Any]]) -> None:
    body = Body.decode(fresh.body or b"")
    refused("bad_certificate", certify, fresh, dataclasses.replace(body, **lie(body)).encode())
    assert fresh["a"].phase == "dealt"
    refused("wrong_phase", fresh["a"].call, "wallet.attest", wallet=fresh.wallet, nonce=bytes(32))


def test_what_is_no_certificate_is_refused(fresh: Cluster) -> None:
    refused("malformed_cbor", certify, fresh, b"")
    refused("malformed_message", certify, fresh, b"\xa0")
    assert fresh["a"].phase == "dealt"


def test_the_orders_signatures_may_be_other_officers_of_the_quorum() -> None:
    """The certificate names the order, not who of the quorum signed this copy of it."""
    cluster = loaded(certified=False)
    body = Body.decode(cluster.make_body())
    other = signed(cluster.order, tuple(OFFICER_KEYS)[1:])
    certify(cluster, dataclasses.replace(body, order=other).encode())
    few = signed(cluster.order, tuple(OFFICER_KEYS)[:1])
    refused("order_not_signed", certify, cluster, dataclasses.replace(body, order=few).encode(), "b")


def test_an_attestation_is_bound_to_certificate_nonce_and_epoch() -> None:
    cluster = loaded(certified=False)
    body = cluster.make_body()
    digest = attested_user_data(certificate_hash(body), 1)
    for name in cluster.names:
        answers = [certify(cluster, body, name)]
        answers.append(cluster[name].call("wallet.attest", wallet=cluster.wallet, nonce=b"\6" * 32))
        for answer, nonce in zip(answers, (b"\5" * 32, b"\6" * 32), strict=True):
            document = answer["document"]
            statement = verify_member(cluster.order, name, document, nonce=nonce, user_data=digest, at=NOW)
            assert statement.public_key == cluster[name].call("status")["public_key"]
            wrong = {"nonce": bytes(32), "user_data": digest}
            refused("evidence_nonce", verify_member, cluster.order, name, document, at=NOW, **wrong)
            wrong = {"nonce": nonce, "user_data": attested_user_data(certificate_hash(body), 2)}
            refused("evidence_binding", verify_member, cluster.order, name, document, at=NOW, **wrong)
    assert evidence.read_document(document) == document


def test_a_wallet_has_one_certificate() -> None:
    """Test signatures of FROST are random: the same wallet certified twice would have two hashes."""
    cluster = loaded(certified=False)
    first, second = cluster.make_body(), cluster.make_body()
    assert first != second
    certify(cluster, first)
    certify(cluster, first)
    reason = refused("bad_certificate", certify, cluster, second).reason
    assert "another certificate" in reason
    assert cluster["a"].phase == "certified"
