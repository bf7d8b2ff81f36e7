"""What was agreed to before, as a policy asks for it. The journal answers; without one there is no history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol


@dataclass(frozen=True)
class Spend:
    """One payment that counts: a transfer, an allowance given, a call with its value, or a signed text.

    rule: the name of the rule that allowed it. asset: what an amount is of; empty for what has none. to: recipient,
    spender, contract, or the domain of typed data; empty where there is none.
    """

    rule: str
    asset: str
    to: str
    amount: int


class History(Protocol):
    """What was reserved before the request that is judged. That very request is not part of it, and neither is what
    it replaces: both would be counted twice."""

    def spent(self, asset: str | None, rule: str | None, to: str | None, since: int) -> tuple[int, int]:
        """(sum of amounts, number of payments) at or after `since`, Unix seconds.

        None stands for any asset, rule, destination. With any asset the sum means nothing; the number counts.
        """


class _NoHistory:
    def spent(self, asset: str | None, rule: str | None, to: str | None, since: int) -> tuple[int, int]:
        return 0, 0


NO_HISTORY: Final[History] = _NoHistory()
