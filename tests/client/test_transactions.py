"""A client signs what it was asked for, and believes only what it signed."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import Any

import coincurve
import httpx
import pytest

from strongroom.chains import evm
from strongroom.chains.evm import Transaction
from strongroom.errors import Refusal
from strongroom_client import transactions
from strongroom_client.api import ATTEMPTS, Api
from strongroom_client.transactions import Transfer
from tests.client.custody import CHAIN_ID, LIMIT, RECIPIENT, Custody

TO = evm.parse_address(RECIPIENT)
THIEF = bytes.fromhex("66" * 20)


def send(custody: Custody, asked: Transfer) -> Any:
    with custody.api() as api:
        return transactions.send(api, custody.body, asked, custody.requester)[1]


def refusal(custody: Custody, asked: Transfer) -> Refusal:
    with pytest.raises(Refusal) as raised:
        send(custody, asked)
    return raised.value


def test_honest_transfer(ethereum: Custody) -> None:
    answer = send(ethereum, Transfer(TO, 5, chain_id=CHAIN_ID))
    assert transactions.raw_transaction(answer)
    (intent,) = ethereum.submitted
    assert Transaction.decode(intent.payload).value == 5
    assert intent.policy == ethereum.order.order.policy.digest()


@pytest.mark.parametrize(
    ("name", "value"), [("to", THIEF), ("value", 6), ("data", b"\xa9\x05\x9c\xbb"), ("chain_id", 1)]
)
def test_prepared_something_else(ethereum: Custody, name: str, value: Any) -> None:
    """Nothing is signed then."""
    ethereum.lies["prepare"] = lambda honest: _prepared(honest, {name: value})
    assert refusal(ethereum, Transfer(TO, 5, chain_id=CHAIN_ID)).code == "prepared_mismatch"
    assert not ethereum.submitted


def _prepared(honest: Any, change: dict[str, Any]) -> Any:
    transaction = dataclasses.replace(Transaction.decode(bytes.fromhex(honest["payload"])), **change)
    return {"payload": transaction.encode().hex()}


def test_chain_left_to_the_policy(ethereum: Custody) -> None:
    """Not asked for, the chain must still be one that the wallet's policy allows."""
    ethereum.lies["prepare"] = lambda honest: _prepared(honest, {"chain_id": 1})
    assert refusal(ethereum, Transfer(TO, 5)).code == "policy_chain"


def test_fee_over_the_ceiling(ethereum: Custody) -> None:
    ethereum.lies["prepare"] = lambda honest: _prepared(honest, {"max_fee": 10**15})
    assert refusal(ethereum, Transfer(TO, 5)).code == "policy_fee"
    assert not ethereum.submitted


def test_over_the_limit(ethereum: Custody) -> None:
    assert refusal(ethereum, Transfer(TO, LIMIT + 1)).code == "policy_limit"


def test_payload_with_trailing_bytes(ethereum: Custody) -> None:
    ethereum.lies["prepare"] = lambda honest: {"payload": honest["payload"] + "00"}
    assert refusal(ethereum, Transfer(TO, 5)).code == "malformed_transaction"


def test_signed_something_else(ethereum: Custody) -> None:
    """The host returns a true transaction of the wallet, only not this one."""
    other = send(ethereum, Transfer(TO, 7))
    ethereum.lies["requests"] = lambda honest: {**honest, "transaction": other["transaction"]}
    assert refusal(ethereum, Transfer(TO, 5)).code == "signed_mismatch"


def test_signed_by_another_key(ethereum: Custody) -> None:
    def lie(honest: Any) -> Any:
        raw = bytearray.fromhex(honest["transaction"]["raw"])
        raw[-1] ^= 1
        return {**honest, "transaction": {**honest["transaction"], "raw": raw.hex()}}

    ethereum.lies["requests"] = lie
    assert refusal(ethereum, Transfer(TO, 5)).code == "signed_mismatch"
    other = coincurve.PrivateKey(b"\1" * 32).sign_recoverable(b"\2" * 32, hasher=None)
    ethereum.lies["requests"] = lambda honest: {**honest, "signatures": [other.hex()]}
    assert refusal(ethereum, Transfer(TO, 5)).code == "signed_mismatch"


@pytest.mark.parametrize(
    ("text", "wei"),
    [
        ("0", 0),
        ("12", 12),
        ("12 wei", 12),
        ("3gwei", 3 * 10**9),
        ("0.05ether", 5 * 10**16),
        ("1.5 eth", 15 * 10**17),
        (str((1 << 256) - 1), (1 << 256) - 1),
    ],
)
def test_values(text: str, wei: int) -> None:
    assert transactions.parse_value(text) == wei


@pytest.mark.parametrize(
    "text", ["", "ether", "-1", "0.5", "1e3000", "nan", "inf", "1 btc", "0.0000000001gwei", "1,5ether"]
)
def test_what_is_no_value(text: str) -> None:
    with pytest.raises(Refusal):
        transactions.parse_value(text)


def test_repeats_keep_their_idempotency_key() -> None:
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) < ATTEMPTS:
            raise httpx.ReadError("the connection broke")
        return httpx.Response(200, json={"request": "1"})

    with Api("http://host.invalid", "key", httpx.MockTransport(answer)) as api:
        assert api.submit(b"intent", b"signature") == {"request": "1"}
    assert len(keys) == ATTEMPTS and len(set(keys)) == 1


def test_refusals_are_not_repeated() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        problem = {"code": "channel_link", "detail": "why", "culprits": ["a"], "verdict": "link"}
        return httpx.Response(502, json=problem, headers={"Content-Type": "application/problem+json"})

    with Api("http://host.invalid", "key", httpx.MockTransport(answer)) as api, pytest.raises(Refusal) as raised:
        api.submit(b"intent", b"signature")
    assert len(asked) == 1
    refused = raised.value
    assert (refused.code, refused.reason, refused.culprits, refused.verdict) == ("channel_link", "why", ("a",), "link")


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", json.dumps({"code": "invented"}).encode()])
def test_an_answer_that_is_none(content: bytes) -> None:
    with (
        Api("http://host.invalid", "key", httpx.MockTransport(lambda _: httpx.Response(500, content=content))) as api,
        pytest.raises(Refusal) as raised,
    ):
        api.signers()
    assert raised.value.code == "internal"


def told(*answers: dict[str, Any]) -> Api:
    """A host that says these one after the other, and the last for ever."""
    left = list(answers)

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=left.pop(0) if len(left) > 1 else left[0])

    return Api("http://host.invalid", "key", httpx.MockTransport(answer))


def test_what_nobody_will_broadcast_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without a node of the chain hands the transaction back, and `signed` is its end."""
    monkeypatch.setattr(transactions, "HANDED_BACK", 0.05)
    begin = time.monotonic()
    with told({"state": "signing"}, {"state": "signed", "error": None}) as api:
        assert transactions.wait(api, "00" * 16, timeout=60, pause=0.01)["state"] == "signed"
    assert time.monotonic() - begin < 30


def test_what_a_node_has_not_taken_yet_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "HANDED_BACK", 0.05)
    down = {"state": "signed", "error": {"code": "node_unavailable"}}
    with told(*[down] * 20, {"state": "included"}) as api:
        assert transactions.wait(api, "00" * 16, timeout=60, pause=0.01)["state"] == "included"
