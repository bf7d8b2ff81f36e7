"""What `signer list` says of signers that the host cannot label yet."""

from __future__ import annotations

from typing import Any

from strongroom_client.cli.signer import labelled
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
