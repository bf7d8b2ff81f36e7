"""What `signer list` says of signers that the host cannot label yet."""

from __future__ import annotations

from typing import Any

from strongroom_client.cli.signer import event_rows, labelled, load_rows
from tests.client.custody import Custody


def test_labels_come_from_the_roster_where_the_host_has_none(custody: Custody) -> None:
    first, second, third = (signer.member for signer in custody.signers)
    told = {**first.labels.value(), "operator": "as the host says"}
    rows: list[dict[str, Any]] = [
        {"name": first.name, "labels": told},
        {"name": second.name, "labels": None},
        {"name": third.name},
        {"name": "a-stranger", "labels": None},
    ]
    listed = labelled(rows, (first, second, third))
    assert [row["labels"] for row in listed] == [told, second.labels.value(), third.labels.value(), None]
    assert rows[1]["labels"] is None
    assert labelled(rows, ()) == rows


def test_use_and_events_are_shown_of_wallets_that_have_any() -> None:
    key = "ab" * 32
    load: dict[str, Any] = {
        "inflight": 2,
        "spent": 16,
        "seconds": 3600,
        "most": [56, 40000],
        "requesters": [[key, 2, 16]],
        "requester_most": [48, 20],
        "refused": 3,
        "events": [[1_800_000_000, key, "window", 16, 20], [1_800_000_001, None, "inflight", 45, 56]],
    }
    idle = {**load, "inflight": 0, "spent": 0, "refused": 0, "requesters": [], "events": []}
    signers: list[dict[str, Any]] = [
        {"name": "a", "wallets": [{"order": "cd" * 32, "load": load}, {"order": "ef" * 32, "load": idle}]},
        {"name": "b", "wallets": []},
        {"name": "c"},
    ]
    assert load_rows(signers) == [
        ["a", "cd" * 8, "the wallet", "2 of 56", "16 of 40000", "3"],
        ["a", "cd" * 8, "requester abababababababab", "2 of 48", "16 of 20", ""],
    ]
    assert event_rows(signers) == [
        ["a", "cd" * 8, "requester abababababababab", "2027-01-15 08:00:00 UTC", "16 of 20 signatures within 3600 s"],
        ["a", "cd" * 8, "the wallet", "2027-01-15 08:00:01 UTC", "45 of 56 signatures in flight"],
    ]
