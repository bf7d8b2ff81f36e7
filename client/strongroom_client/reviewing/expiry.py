"""Until when a house trusts a measurement: a calendar that warns, and never a switch (docs/adr).

`{"reviews": [{"release", "measurements", "reviewed", "until"}]}`, times in ISO 8601. Signers know nothing of it: one
whose measurement is past its date signs on, so that no date takes a wallet below its threshold. People replace
signers, one after the other; this says which, and how many may be away at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from strongroom.errors import Refusal
from strongroom.wallet.order import Member
from strongroom_client import documents
from strongroom_client.evidence import parse_time
from strongroom_client.reviewing.release import Release, measurements

DAY: Final = 86_400
WARNINGS: Final = (30, 7, 1)
"""Days ahead."""


@dataclass(frozen=True)
class Reviewed:
    """reviewed, until: Unix seconds."""

    release: str
    measurements: Mapping[str, bytes]
    reviewed: int
    until: int


@dataclass(frozen=True)
class Standing:
    """One signer's. reviewed: None where its measurements are in no review. warning: the least of WARNINGS that it is
    within, 0 past its date, None while there is time."""

    name: str
    reviewed: Reviewed | None
    warning: int | None

    @property
    def due(self) -> bool:
        return self.warning is not None or self.reviewed is None


def load(path: Path) -> tuple[Reviewed, ...]:
    """Oldest first; none where the file is not there yet. Raises Refusal `bad_file`."""
    if not path.exists():
        return ()
    document = documents.read(path)
    read = document.items("reviews", lambda value: _reviewed(value, path))
    document.end()
    return read


def record(path: Path, known: Iterable[Reviewed], release: Release, at: int, until: int) -> None:
    """Appended. Raises Refusal `bad_file` for a date that has passed."""
    if until <= at:
        raise Refusal("bad_file", f"{path}: a review that ends before it was made would trust nothing")
    rows = [_row(each) for each in (*known, Reviewed(release.name, release.measurements, at, until))]
    part = path.with_name(path.name + ".part")
    documents.write(part, {"reviews": rows})
    part.replace(path)


def standings(roster: Sequence[Member], known: Sequence[Reviewed], at: int) -> tuple[Standing, ...]:
    """Of the members whose code a Nitro root vouches for; of several reviews of one image the last one counts."""
    found = []
    for member in roster:
        if member.root != "nitro":
            continue
        reviews = [each for each in known if _covers(each, member)]
        found.append(Standing(member.name, reviews[-1] if reviews else None, _warning(reviews, at)))
    return tuple(found)


def may_be_away(roster: Sequence[Member], threshold: int) -> int:
    """How many signers may be replaced at once without taking the wallet below its threshold."""
    if not 1 <= threshold <= len(roster):
        raise Refusal("bad_file", f"a threshold of {threshold} is none of {len(roster)} signers")
    return len(roster) - threshold


def _covers(reviewed: Reviewed, member: Member) -> bool:
    return all(member.measurements.get(name, value) == value for name, value in reviewed.measurements.items())


def _warning(reviews: Sequence[Reviewed], at: int) -> int | None:
    if not reviews:
        return None
    left = reviews[-1].until - at
    if left <= 0:
        return 0
    return min((days for days in WARNINGS if left <= days * DAY), default=None)


def _reviewed(value: Any, path: Path) -> Reviewed:
    document = documents.Document(value, f"{path}: a review")
    name, measured = document.text("release"), measurements(document.take("measurements"), f"{path}: a review")
    begins, ends = _time(document, "reviewed"), _time(document, "until")
    document.end()
    return Reviewed(name, measured, begins, ends)


def _time(document: documents.Document, key: str) -> int:
    try:
        return parse_time(document.text(key))
    except (ValueError, OverflowError):
        raise document.wrong(f"has a {key} that is no time in ISO 8601") from None


def _row(reviewed: Reviewed) -> dict[str, Any]:
    return {
        "release": reviewed.release,
        "measurements": {name: value.hex() for name, value in reviewed.measurements.items()},
        "reviewed": datetime.fromtimestamp(reviewed.reviewed, UTC).isoformat(),
        "until": datetime.fromtimestamp(reviewed.until, UTC).isoformat(),
    }
