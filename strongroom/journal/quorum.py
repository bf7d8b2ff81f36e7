"""How many journals must agree, and how many a restarted one must hear. All of it follows from N and t.

Two sets of w = ceil((N + t) / 2) journals share at least t, so one that is honest where t - 1 are corrupt.
"""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.errors import Refusal

MAX_JOURNALS = 16


@dataclass(frozen=True)
class Quorum:
    """journals: N, signers and witnesses. threshold: t; up to t - 1 journals are corrupt."""

    journals: int
    threshold: int

    def __post_init__(self) -> None:
        if not 2 <= self.threshold <= self.journals <= MAX_JOURNALS:
            raise Refusal("bad_order", f"journals and threshold must be 2 <= t <= N <= {MAX_JOURNALS}")

    @property
    def acknowledgements(self) -> int:
        """w: of these, the signer's own among them, before anything that depends on its key share leaves."""
        return (self.journals + self.threshold + 1) // 2

    @property
    def tolerated(self) -> int:
        """w - t: honest journals that may be rolled back together, while t - 1 others lie."""
        return self.acknowledgements - self.threshold

    @property
    def heard(self) -> int:
        """r: joined others that a restarted journal must hear. Never more than there are: with w = t nothing is
        tolerated, and hearing everybody is the best that can be had."""
        return min(self.journals - 1, self.journals - self.acknowledgements + self.threshold)

    def enough(self, joined: int, unjoined: int) -> bool:
        """Whether a restarted journal that heard so many others may join.

        What an unjoined one says may be as old as what the asker lost. At most w - t journals are rolled back, and
        the asker is one of them, so up to w - t - 1 of those heard may be too.
        """
        most = max(self.tolerated - 1, 0)
        return joined + unjoined >= min(self.journals - 1, self.heard + min(unjoined, most))
