"""Roster and policy files: what goes in comes out, and what is not exactly right is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from strongroom.chains import evm
from strongroom.errors import Refusal
from strongroom_client import orders
from tests.client.custody import RECIPIENT, Custody

POLICY: dict[str, Any] = {
    "requesters": ["22" * 32, "11" * 32],
    "messages": True,
    "evm": {
        "chain_ids": [31337, 1],
        "recipients": ["0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc"],
        "limit": "1000000000000000000000000",
        "fee_ceiling": "10",
        "calls": [{"contract": RECIPIENT, "selector": "0xa9059cbb"}],
    },
}


def write(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value))
    return path


def test_roster_round_trip(custody: Custody, tmp_path: Path) -> None:
    roster = custody.order.order.roster
    path = write(tmp_path / "roster.json", orders.roster_document("simulated", roster))
    assert orders.load_roster(path) == ("simulated", roster)


def test_policy_is_sorted_and_exact(tmp_path: Path) -> None:
    policy = orders.load_policy(write(tmp_path / "policy.json", POLICY))
    assert policy.requesters == (b"\x11" * 32, b"\x22" * 32)
    assert policy.evm is not None
    assert policy.evm.limit == 10**24 and policy.evm.chain_ids == (1, 31337)
    assert policy.evm.calls == ((evm.parse_address(RECIPIENT), bytes.fromhex("a9059cbb")),)


def test_policy_without_a_chain(tmp_path: Path) -> None:
    assert orders.load_policy(write(tmp_path / "policy.json", {**POLICY, "evm": None})).evm is None


def _changed(**changes: Any) -> dict[str, Any]:
    return {**POLICY, "evm": {**POLICY["evm"], **changes}}


@pytest.mark.parametrize(
    "value",
    [
        {**POLICY, "unknown": 1},
        {key: POLICY[key] for key in ("requesters", "evm")},
        {**POLICY, "messages": "yes"},
        {**POLICY, "requesters": ["11" * 31]},
        {**POLICY, "requesters": ["11" * 32, "11" * 32]},
        _changed(limit=10**18),
        _changed(limit="1e18"),
        _changed(limit="-1"),
        _changed(limit="１"),
        _changed(chain_ids=[True]),
        _changed(recipients=["0x70997970c51812DC3a010C7d01b50e0d17dc79C8"]),
        _changed(recipients=[RECIPIENT, RECIPIENT]),
        _changed(calls=[{"contract": RECIPIENT, "selector": "a9059c"}]),
        [],
    ],
)
def test_policy_that_is_not_right(tmp_path: Path, value: Any) -> None:
    with pytest.raises(Refusal):
        orders.load_policy(write(tmp_path / "policy.json", value))


@pytest.mark.parametrize("text", ["", "{", '{"messages": true, "messages": false}', "nonsense"])
def test_what_is_no_json(tmp_path: Path, text: str) -> None:
    path = tmp_path / "policy.json"
    path.write_text(text)
    with pytest.raises(Refusal) as raised:
        orders.load_policy(path)
    assert raised.value.code == "bad_file" and str(path) in raised.value.reason


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trust", None),
        ("trust", "00"),
        ("root", "tpm"),
        ("measurements", {"pcr0": "00" * 48}),
        ("measurements", []),
        ("labels", {}),
        ("note", "x"),
    ],
)
def test_roster_that_is_not_right(custody: Custody, tmp_path: Path, name: str, value: Any) -> None:
    document = orders.roster_document("simulated", custody.order.order.roster)
    document["signers"][1][name] = value
    with pytest.raises(Refusal):
        orders.load_roster(write(tmp_path / "roster.json", document))


def test_unaudited_suite_needs_a_word(custody: Custody) -> None:
    order = custody.order.order
    with pytest.raises(Refusal) as raised:
        orders.build(
            order.roster, order.policy, order.officers, mode="simulated", scheme="dkls23-secp256k1", threshold=2,
            accept_unaudited=False, nonce=bytes(32),
        )  # fmt: skip
    assert raised.value.code == "suite_not_accepted"
