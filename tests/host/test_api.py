"""What clients see: a valid document, strict JSON, keys, problems with stable codes, the same request once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from strongroom.errors import CODES
from strongroom_host.api import schemas
from strongroom_host.custody import Custody
from strongroom_host.problems import MEDIA_TYPE, STATUS, status
from strongroom_host.storage.wallets import Wallet
from tests.host.world import World, cut, refuse, when


def body(world: World, wallet: Wallet, text: str = "hello", **changes: object) -> dict[str, Any]:
    intent, signature = world.message(wallet.body.wallet, text, **changes)
    return {"intent": intent.hex(), "signature": signature.hex()}


def problem(response: Any, status_code: int, code: str) -> dict[str, Any]:
    assert response.status_code == status_code, response.text
    assert response.mimetype == MEDIA_TYPE
    read: dict[str, Any] = response.get_json(force=True)
    schemas.Problem.model_validate(read)
    assert read["code"] == code and read["status"] == status_code and read["remedy"] == CODES[code].remedy
    return read


def test_the_document_is_valid_openapi(client: FlaskClient) -> None:
    document = client.get("/v1/openapi.json", headers={"Authorization": ""}).get_json()
    validate(document)
    assert document["openapi"] == "3.1.0"
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert all(operation["responses"]["default"]["content"][MEDIA_TYPE] for operation in operations)
    assert all(operation["summary"] for operation in operations)
    assert "/v1/wallets/{wallet}/prepare" in document["paths"]


def test_every_code_has_a_status() -> None:
    assert set(STATUS) >= {code.kind for code in CODES.values()}
    assert all(400 <= status(code) < 600 for code in CODES)


def test_health_needs_no_key_and_all_else_does(client: FlaskClient) -> None:
    stranger = {"Authorization": ""}
    assert schemas.Health.model_validate(client.get("/v1/health", headers=stranger).get_json()).status == "ok"
    for path in ("/v1/signers", "/v1/wallets", "/v1/requests", "/v1/requests/" + "0" * 32, "/nowhere"):
        answer = client.get(path, headers=stranger)
        problem(answer, 401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "Bearer another", "Basic a key for tests", "a key for tests"])
def test_another_key_is_none(client: FlaskClient, value: str) -> None:
    problem(client.get("/v1/wallets", headers={"Authorization": value}), 401, "unauthorized")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"not json",
        b"[]",
        b'"text"',
        b'{"intent": "00", "intent": "01", "signature": ""}',
        b'{"intent": NaN}',
        b'{"intent": 7, "signature": ""}',
        b'{"intent": "0", "signature": "00"}',
        b'{"intent": "AB", "signature": "00"}',
        b'{"signature": "00"}',
        b'{"intent": "00", "signature": "' + b"00" * 64 + b'", "bypass": true}',
        b"\xff",
    ],
)
def test_a_body_that_is_not_what_the_document_says(client: FlaskClient, raw: bytes) -> None:
    answer = client.post("/v1/requests", data=raw, content_type="application/json")
    problem(answer, 400, "malformed_message")


def test_the_input_is_not_echoed(client: FlaskClient) -> None:
    answer = client.post("/v1/requests", json={"intent": "a secret", "signature": "another"})
    assert "a secret" not in answer.text and "intent" in answer.text


def test_another_content_type(client: FlaskClient) -> None:
    problem(client.post("/v1/requests", data="{}", content_type="text/plain"), 400, "malformed_message")


def test_a_body_over_the_limit(client: FlaskClient) -> None:
    answer = client.post("/v1/requests", data=b" " * (2 << 20), content_type="application/json")
    problem(answer, 413, "oversized_message")


def test_paths_and_methods_that_are_none(client: FlaskClient) -> None:
    problem(client.get("/v1/nothing"), 404, "not_found")
    problem(client.delete("/v1/wallets"), 405, "not_found")
    problem(client.get("/v1/wallets/" + "00" * 32), 404, "unknown_wallet")
    problem(client.get("/v1/requests/" + "00" * 16), 404, "not_found")
    problem(client.get("/v1/wallets/xyz"), 400, "malformed_message")
    problem(client.get("/v1/signers/nobody/evidence?nonce=" + "00" * 32), 404, "not_found")


def test_an_exception_is_a_problem_without_its_text(
    client: FlaskClient, custody: Custody, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ValueError("a path, a key, a name")

    monkeypatch.setattr(custody.wallets, "all", fail)
    client.application.config["PROPAGATE_EXCEPTIONS"] = False
    assert "a path" not in json.dumps(problem(client.get("/v1/wallets"), 500, "internal"))
    assert "ValueError" in caplog.text


def test_a_wallet_from_order_to_attestations(client: FlaskClient, world: World) -> None:
    order = {"order": world.order().encode().hex()}
    made = client.post("/v1/wallets", json=order)
    assert made.status_code == 201
    wallet = schemas.Wallet.model_validate(made.get_json())
    assert wallet.phase == "certified" and [signer.name for signer in wallet.signers] == list(world.names)
    assert client.get(f"/v1/wallets/{wallet.wallet}").get_json() == made.get_json()
    assert client.get("/v1/wallets").get_json() == {"wallets": [made.get_json()]}
    certificate = client.get(f"/v1/wallets/{wallet.wallet}/certificate").get_json()
    assert schemas.Certificate.model_validate(certificate).certificate
    answer = client.post(f"/v1/wallets/{wallet.wallet}/attestations", json={"nonce": "11" * 32})
    assert len(schemas.Attestations.model_validate(answer.get_json()).attestations) == 3


def test_an_order_that_signers_refuse(client: FlaskClient, world: World) -> None:
    world[2].twist = when("order.accept", lambda _request, _handle: refuse("order_not_signed"))
    answer = client.post("/v1/wallets", json={"order": world.order().encode().hex()})
    read = problem(answer, 403, "order_not_signed")
    assert [each["signer"] for each in read["refusals"]] == [world[2].name]


def test_signers_with_their_labels(client: FlaskClient, world: World, wallet: Wallet) -> None:
    world[2].twist = when("status", cut)
    rows = schemas.Signers.model_validate(client.get("/v1/signers").get_json()).signers
    assert [row.reachable for row in rows] == [True, False, True]
    assert rows[1].phase == "unreachable" and rows[1].reason is not None
    assert rows[0].labels is not None and rows[0].labels.machine == "machine-1"
    assert rows[0].wallets[0]["wallet"] == wallet.wallet
    assert {suite.suite for suite in rows[0].suites} >= {"dkls23-secp256k1", "frost-ed25519"}


def test_evidence_for_a_nonce(client: FlaskClient, world: World) -> None:
    answer = client.get(f"/v1/signers/{world[1].name}/evidence?nonce=" + "22" * 32)
    evidence = schemas.Evidence.model_validate(answer.get_json())
    assert evidence.root == "nitro" and "22" * 32 in evidence.document
    problem(client.get(f"/v1/signers/{world[1].name}/evidence?nonce=22"), 400, "malformed_message")
    problem(client.get(f"/v1/signers/{world[1].name}/evidence"), 400, "malformed_message")


def test_a_request_and_the_same_request(client: FlaskClient, world: World, wallet: Wallet) -> None:
    sent = body(world, wallet)
    first = client.post("/v1/requests", json=sent)
    assert first.status_code == 201
    request = schemas.Request.model_validate(first.get_json())
    assert request.state == "signed" and request.transaction is None and request.signatures
    world[1].asked.clear()
    again = client.post("/v1/requests", json=sent)
    assert again.status_code == 200 and again.get_json() == first.get_json()
    assert "ceremony.step" not in world[1].asked  # found in the database while the first trip was under way
    assert client.get(f"/v1/requests/{request.request}").get_json() == first.get_json()
    assert client.post(f"/v1/requests/{request.request}/retry", json={}).get_json() == first.get_json()
    listed = schemas.Requests.model_validate(client.get(f"/v1/requests?wallet={wallet.wallet}").get_json())
    assert [each.request for each in listed.requests] == [request.request]
    assert client.get("/v1/requests?wallet=" + "00" * 32).get_json() == {"requests": []}
    problem(client.get("/v1/requests?wallet=x"), 400, "malformed_message")


def test_an_idempotency_key_with_another_body(client: FlaskClient, world: World, wallet: Wallet) -> None:
    key = {"Idempotency-Key": "one"}
    sent = body(world, wallet)
    assert client.post("/v1/requests", json=sent, headers=key).status_code == 201
    assert client.post("/v1/requests", json=sent, headers=key).status_code == 200
    other = client.post("/v1/requests", json=body(world, wallet, "other"), headers=key)
    problem(other, 422, "idempotency_conflict")
    assert len(client.get("/v1/requests").get_json()["requests"]) == 1
    problem(client.post("/v1/requests", json=sent, headers={"Idempotency-Key": "x" * 256}), 400, "malformed_message")


def test_another_intent_under_the_same_request_id(client: FlaskClient, world: World, wallet: Wallet) -> None:
    assert client.post("/v1/requests", json=body(world, wallet, request=bytes(16))).status_code == 201
    problem(client.post("/v1/requests", json=body(world, wallet, "b", request=bytes(16))), 409, "request_conflict")


def test_refusals_name_who_refused(client: FlaskClient, world: World, wallet: Wallet) -> None:
    for number in (1, 2):
        world[number].twist = when("sign.start", lambda _request, _handle: refuse("policy_message"))
    read = problem(client.post("/v1/requests", json=body(world, wallet)), 403, "policy_message")
    assert {(each["signer"], each["code"]) for each in read["refusals"]} == {
        (world[number].name, "policy_message") for number in (1, 2)
    }
    recorded = schemas.Request.model_validate(client.get(f"/v1/requests/{read['request']}").get_json())
    assert recorded.state == "refused" and recorded.error is not None and recorded.error["code"] == "policy_message"


def test_a_set_that_is_none(client: FlaskClient, world: World, wallet: Wallet) -> None:
    for signers in (["signer-1"], ["signer-1", "signer-1"], ["signer-1", "signer-9"]):
        answer = client.post("/v1/requests", json={**body(world, wallet), "signers": signers})
        assert answer.status_code in (400, 403), answer.text


def test_too_few_signers(client: FlaskClient, world: World, wallet: Wallet) -> None:
    for number in (1, 2):
        world[number].twist = when("sign.start", cut)
    answer = client.post("/v1/requests", json=body(world, wallet))
    assert problem(answer, 503, "quorum_unavailable")["retryable"] is True
    assert answer.headers["Retry-After"] == "1"


def test_a_wallet_without_witnesses_has_no_journals(client: FlaskClient, wallet: Wallet) -> None:
    path = f"/v1/wallets/{wallet.wallet}/journals"
    for answer in (client.get(path), client.post(path, json={})):
        assert (answer.status_code, answer.get_json()["code"]) == (403, "no_witnesses")
    assert client.post(f"/v1/wallets/{wallet.wallet}/waivers", json={"waiver": "00"}).status_code == 400


def test_prepare_without_a_node(client: FlaskClient, wallet: Wallet) -> None:
    sent = {"to": "0x70997970c51812dc3a010c7d01b50e0d17dc79c8", "value": "1"}
    problem(client.post(f"/v1/wallets/{wallet.wallet}/prepare", json=sent), 403, "policy_chain")
    for wrong in (
        {**sent, "value": "01"},
        {**sent, "value": "-1"},
        {**sent, "to": "0x1"},
        {**sent, "to": "0x" + "Ab" * 20},
    ):
        answer = client.post(f"/v1/wallets/{wallet.wallet}/prepare", json=wrong)
        assert answer.status_code == 400, answer.text


def test_an_idempotency_key_with_another_order(client: FlaskClient, world: World) -> None:
    key = {"Idempotency-Key": "one"}
    order = {"order": world.order().encode().hex()}
    first = client.post("/v1/wallets", json=order, headers=key)
    assert first.status_code == 201
    assert client.post("/v1/wallets", json=order, headers=key).get_json() == first.get_json()
    other = client.post("/v1/wallets", json={"order": world.order().encode().hex()}, headers=key)
    problem(other, 422, "idempotency_conflict")
    assert len(client.get("/v1/wallets").get_json()["wallets"]) == 1
