"""Until when a measurement is trusted: warnings 30, 7 and 1 days ahead, and nothing that stops a signer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from strongroom.errors import Refusal
from strongroom_client import documents, orders
from strongroom_client.reviewing import expiry, release
from strongroom_client.reviewing.expiry import DAY, Reviewed
from tests.client.custody import Custody
from tests.cluster.commands import Ran, inside

NOW = 1_800_000_000


@pytest.fixture
def roster(custody: Custody, tmp_path: Path) -> Path:
    path = tmp_path / "roster.json"
    documents.write(path, orders.roster_document("simulated", [signer.member for signer in custody.signers]))
    return path


def image(custody: Custody, number: int) -> release.Release:
    measured = custody.signers[number].member.measurements
    return release.Release(f"release {number}", {name: measured[name] for name in release.IMAGE}, {})


@pytest.fixture
def reviews(custody: Custody, tmp_path: Path) -> Path:
    """Each signer runs an image of its own here, reviewed a year before it ends."""
    path = tmp_path / "reviews.json"
    for number in range(len(custody.signers)):
        expiry.record(path, expiry.load(path), image(custody, number), NOW - 365 * DAY, NOW + number * DAY)
    return path


def due(reviews: Path, roster: Path, at: int, *more: str) -> Ran:
    return inside(
        "evidence", "expiry", "--reviews", reviews, "--roster", roster, "--threshold", "2", "--at", str(at), *more
    )


@pytest.mark.parametrize(
    ("left", "warning"),
    [
        (31 * DAY, None),
        (30 * DAY + 1, None),
        (30 * DAY, 30),
        (7 * DAY + 1, 30),
        (7 * DAY, 7),
        (DAY + 1, 7),
        (DAY, 1),
        (1, 1),
        (0, 0),
        (-400 * DAY, 0),
    ],
)
def test_thirty_seven_and_one_days_ahead(custody: Custody, left: int, warning: int | None) -> None:
    member = custody.signers[0].member
    reviewed = Reviewed("x", image(custody, 0).measurements, NOW - DAY, NOW + left)
    [standing] = expiry.standings([member], [reviewed], NOW)
    assert standing.warning == warning and standing.due == (warning is not None)


def test_the_last_review_of_an_image_counts_and_others_do_not(custody: Custody) -> None:
    member, own, other = custody.signers[0].member, image(custody, 0).measurements, image(custody, 1).measurements
    reviews = [Reviewed("x", own, 1, NOW), Reviewed("x", own, 2, NOW + 90 * DAY), Reviewed("y", other, 3, NOW)]
    [standing] = expiry.standings([member], reviews, NOW)
    assert standing.reviewed == reviews[1] and not standing.due
    [standing] = expiry.standings([member], reviews[2:], NOW)
    assert standing.reviewed is None and standing.due


def test_the_command_warns_and_says_how_many_may_be_away(reviews: Path, roster: Path) -> None:
    quiet = due(reviews, roster, NOW - 40 * DAY, "--json")
    assert quiet.status == 0 and not quiet.json["due"] and quiet.json["may_be_away"] == 1
    ran = due(reviews, roster, NOW, "--json")
    assert ran.status == 1
    assert [row["warning_days"] for row in ran.json["signers"]] == [0, 1, 7]
    shown = due(reviews, roster, NOW)
    assert "has ended" in shown.out and "ends within 1 day " in shown.out and "ends within 7 days" in shown.out
    assert "all of them sign on; at most 1 may be away at once" in shown.out


def test_years_past_every_date_a_roster_is_as_good_as_ever(custody: Custody, reviews: Path) -> None:
    """Nothing that judges a signer knows of dates: what is verified is the same before and after."""
    roster = [signer.member for signer in custody.signers]
    late = expiry.standings(roster, expiry.load(reviews), NOW + 3650 * DAY)
    assert [each.warning for each in late] == [0] * len(roster)
    assert expiry.may_be_away(roster, 2) == len(roster) - 2
    for threshold in (0, len(roster) + 1):
        with pytest.raises(Refusal):
            expiry.may_be_away(roster, threshold)


@pytest.mark.parametrize(
    "changed",
    [
        {"until": "tomorrow"},
        {"until": 7},
        {"measurements": {}},
        {"more": 1},
        {"release": None},
    ],
)
def test_a_file_of_reviews_that_is_none(custody: Custody, reviews: Path, changed: dict[str, Any]) -> None:
    rows = json.loads(reviews.read_text())["reviews"]
    reviews.write_text(json.dumps({"reviews": [rows[0] | changed]}))
    with pytest.raises(Refusal) as caught:
        expiry.load(reviews)
    assert caught.value.code == "bad_file"


def test_a_review_does_not_end_before_it_begins(custody: Custody, tmp_path: Path) -> None:
    with pytest.raises(Refusal):
        expiry.record(tmp_path / "reviews.json", (), image(custody, 0), NOW, NOW)
    assert not (tmp_path / "reviews.json").exists()
