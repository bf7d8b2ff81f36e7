"""The bytes in and out of a signer: every request gets an answer, and no answer says more than it should."""

from __future__ import annotations

import hashlib
import logging
import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom import schemes
from strongroom.errors import Refusal
from strongroom.evidence import verify as evidence
from strongroom.evidence.statement import TrustRoot, require_binding
from strongroom.policy.shown import NOTHING
from strongroom.wire import cbor, frame
from tests.signer.cluster import NOW, Cluster, Node, authorities, loaded
from tests.wallet.orders import ED25519
from tests.wire.refused import refused

OPERATIONS = {
    "status",
    "evidence",
    "tickets",
    "order.accept",
    "channel.open",
    "channel.answer",
    "channel.prove",
    "channel.accept",
    "channel.finish",
    "dkg.start",
    "test.start",
    "wallet.certify",
    "wallet.attest",
    "wallet.load",
    "pair.start",
    "sign.start",
    "ceremony.step",
    "ceremony.abort",
}


@pytest.fixture(scope="module")
def node() -> Node:
    return Node("a", "nitro")


def code_of(answer: bytes) -> str:
    with pytest.raises(Refusal) as caught:
        frame.decode_answer(answer)
    return caught.value.code


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "malformed_cbor"),
        (b"\xff" * 100, "malformed_cbor"),
        (b"\x81" * 100_000, "malformed_cbor"),
        (cbor.encode([1, "status", {}]) + b"\0", "malformed_cbor"),
        (cbor.encode([2, "status", {}]), "malformed_message"),
        (cbor.encode([1, "status"]), "malformed_message"),
        (cbor.encode([1, "status", []]), "malformed_message"),
        (cbor.encode([1, "status", {"more": 1}]), "malformed_message"),
        (cbor.encode([1, "", {}]), "unknown_request"),
        (cbor.encode([1, "Status", {}]), "unknown_request"),
        (cbor.encode([1, "sign.digest", {}]), "unknown_request"),
        (cbor.encode([1, "x" * 100_000, {}]), "unknown_request"),
    ],
    ids=range(12),
)
def test_rubbish_is_answered_with_its_code(node: Node, payload: bytes, code: str) -> None:
    assert code_of(node.signer.handle(payload)) == code


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80))
def test_no_bytes_make_a_signer_raise(payload: bytes) -> None:
    assert code_of(SIGNER.signer.handle(payload)) in ("malformed_cbor", "malformed_message", "unknown_request")


SIGNER = Node("a", "nitro")
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 300), st.sampled_from([bytes(16), bytes(32), bytes(64), b"", b"x"]),
    st.text(max_size=5), st.lists(st.sampled_from([bytes(16), "a", "b", ["a", b""], 1]), max_size=3),
)  # fmt: skip
KEYS = st.sampled_from(
    ["order", "peer", "message", "wallet", "tickets", "attempt", "set", "intent", "signature", "approvals", "ceremony",
     "round", "messages", "record", "body", "nonce", "count"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(OPERATIONS)), st.dictionaries(KEYS, VALUES, max_size=8))
def test_no_body_makes_a_signer_fail_inside(operation: str, body: dict[str, Any]) -> None:
    """Whatever fields a request carries: an answer, or a refusal that is not `internal`."""
    try:
        frame.decode_answer(SIGNER.signer.handle(frame.encode_request(operation, body)))
    except Refusal as refusal:
        assert refusal.kind != "internal", refusal


REQUIRED: dict[str, dict[str, Any]] = {
    "status": {},
    "evidence": {"nonce": bytes(32)},
    "tickets": {"count": 1},
    "order.accept": {"order": b""},
    "channel.open": {"order": bytes(32), "peer": "b"},
    **{
        f"channel.{step}": {"order": bytes(32), "peer": "b", "message": b""}
        for step in ("answer", "prove", "accept", "finish")
    },
    "dkg.start": {"order": bytes(32), "tickets": [], "attempt": 0},
    "test.start": {"wallet": bytes(32), "set": [], "tickets": [], "attempt": 0},
    "pair.start": {"wallet": bytes(32), "peer": "b", "tickets": [], "attempt": 0},
    "sign.start": {
        "wallet": bytes(32),
        "intent": b"",
        "signature": bytes(64),
        "approvals": [],
        "shown": NOTHING.value(),
        "set": [],
        "tickets": [],
        "attempt": 0,
    },
    "ceremony.step": {"ceremony": bytes(32), "round": 1, "messages": []},
    "ceremony.abort": {"ceremony": bytes(32)},
    "wallet.certify": {"wallet": bytes(32), "body": b"", "nonce": bytes(32)},
    "wallet.attest": {"wallet": bytes(32), "nonce": bytes(32)},
    "wallet.load": {"record": b"", "body": None},
}


def test_the_operations_are_those_of_the_specification(node: Node) -> None:
    assert REQUIRED.keys() == OPERATIONS
    for operation in OPERATIONS:
        answer = node.signer.handle(frame.encode_request(operation, REQUIRED[operation]))
        try:
            frame.decode_answer(answer)
        except Refusal as refusal:
            assert refusal.code != "unknown_request"


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_fields_are_exactly_those_of_the_specification(operation: str) -> None:
    """One that is missing, added, or of another type is refused, before anything else of the request counts."""
    cluster = loaded()
    body = dict(REQUIRED[operation])
    known = {"order": cluster.order_id, "wallet": cluster.wallet}
    body.update({key: value for key, value in known.items() if key in body and operation != "order.accept"})
    for wrong in (
        {**body, "more": 1},
        *({key: value for key, value in body.items() if key != left} for left in body),
        *({**body, key: {"no": 1}} for key in body),
    ):
        refused("malformed_message", cluster["a"].call, operation, **wrong)


# --- What is always allowed ---


def test_status_says_who_it_is(node: Node) -> None:
    status = node.call("status")
    assert set(status) == {
        "name", "mode", "root", "phase", "reason", "boot", "clock", "configuration", "public_key", "suites", "wallets",
        "inflight",
    }  # fmt: skip
    assert (status["name"], status["mode"], status["root"]) == ("a", "simulated", "nitro")
    assert (status["phase"], status["reason"], status["clock"]) == ("ready", None, NOW)
    assert (status["configuration"], status["wallets"], status["inflight"]) == (node.configuration.digest(), [], 0)
    assert (len(status["boot"]), len(status["public_key"])) == (16, 32)
    assert {suite["suite"] for suite in status["suites"]} == set(schemes.suites())
    assert all(set(s) == {"suite", "library", "version", "auditor", "randomness"} for s in status["suites"])


def test_status_shows_each_wallet() -> None:
    cluster = Cluster().accept().link("a", "b")
    status = cluster["a"].status()
    assert status.pop("load")["inflight"] == 0  # tests/attacks/test_exhaustion.py
    assert status == {
        "wallet": None,
        "order": cluster.order_id,
        "epoch": 1,
        "phase": "ordered",
        "place": "serving",
        "scheme": ED25519,
        "paired": [],
        "journal": None,
        "channels": [["b", NOW + 3 * 3600]],
    }


def test_a_degraded_signer_says_what_it_lost() -> None:
    node = Node("a", "nitro")
    node.health.reason = "the token is gone"
    assert (node.call("status")["phase"], node.call("status")["reason"]) == ("degraded", "the token is gone")


def test_boot_and_boot_key_are_new_at_every_start() -> None:
    node = Node("a", "nitro")
    before = node.call("status")
    node.start()
    after = node.call("status")
    assert before["boot"] != after["boot"] and before["public_key"] != after["public_key"]
    assert before["configuration"] == after["configuration"]


@pytest.mark.parametrize(("name", "root"), [("a", "nitro"), ("c", "pkcs11")])
def test_evidence_answers_the_nonce_and_names_the_configuration(name: str, root: Any) -> None:
    node, nonce = Node(name, root), os.urandom(32)
    answer = node.call("evidence", nonce=nonce)
    pinned = TrustRoot(root, "simulated", authorities().fingerprint(root))
    statement = evidence.verify(answer["document"], kind=answer["root"], roots=[pinned], at=NOW)
    digest = node.configuration.digest()
    user_data = hashlib.sha256(b"strongroom/evidence/v1" + digest).digest()
    require_binding(statement, nonce=nonce, user_data=user_data)
    assert statement.public_key == node.call("status")["public_key"]
    measured = statement.measurements["pcr16" if root == "nitro" else "configuration"]
    assert measured == (node.configuration.pcr16() if root == "nitro" else digest)


@pytest.mark.parametrize("count", [0, 257, -1, True, "1"])
def test_tickets_come_in_bounded_numbers(node: Node, count: Any) -> None:
    refused("malformed_message", node.call, "tickets", count=count)


def test_tickets_are_random_and_all_different(node: Node) -> None:
    tickets = node.call("tickets", count=256)["tickets"] + node.call("tickets", count=1)["tickets"]
    assert len(set(tickets)) == 257
    assert {len(ticket) for ticket in tickets} == {16}


# --- What goes wrong inside ---


@pytest.mark.parametrize("error", [RuntimeError, ValueError, KeyError, MemoryError, RecursionError, AssertionError])
def test_an_internal_error_says_its_type_and_not_its_text(
    error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    """What the text holds nobody knows: a key, a share, a path."""
    node = Node("a", "nitro")
    assert hasattr(node.attester, "fails")
    node.attester.fails = error("the secret share is 0x1234")
    caplog.set_level(logging.INFO)
    answer = node.signer.handle(frame.encode_request("evidence", {"nonce": bytes(32)}))
    assert code_of(answer) == "internal"
    assert b"1234" not in answer and error.__name__.encode() in answer
    assert "1234" not in caplog.text and error.__name__ in caplog.text
    node.attester.fails = None
    node.call("evidence", nonce=bytes(32))


def test_a_refusal_of_a_seam_is_passed_on_whole(node: Node) -> None:
    other = Node("a", "nitro")
    assert hasattr(other.attester, "fails")
    other.attester.fails = Refusal("token_unavailable", "the token is gone")
    refusal = refused("token_unavailable", other.call, "evidence", nonce=bytes(32))
    assert (refusal.reason, refusal.retryable) == ("the token is gone", True)
