"""Roster files: what goes in comes out, and what is not exactly right is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from strongroom.errors import Refusal
from strongroom_client import orders
from tests.client.custody import Custody


def write(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value))
    return path


def test_roster_round_trip(custody: Custody, tmp_path: Path) -> None:
    roster = custody.order.order.roster
    path = write(tmp_path / "roster.json", orders.roster_document("simulated", roster))
    assert orders.load_roster(path) == ("simulated", roster)


@pytest.mark.parametrize("text", ["", "{", '{"mode": "simulated", "mode": "production"}', "nonsense"])
def test_what_is_no_json(tmp_path: Path, text: str) -> None:
    path = tmp_path / "roster.json"
    path.write_text(text)
    with pytest.raises(Refusal) as raised:
        orders.load_roster(path)
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
