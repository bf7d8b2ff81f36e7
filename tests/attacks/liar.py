"""A journal that lies: a signer of the true program's share and channels that acknowledges whatever helps the host.

It and the host are one adversary, so it is told what other signers' status shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from strongroom.intent.intent import Intent
from strongroom.journal.acknowledgement import Acknowledgement
from strongroom.journal.rejoin import Answer, Noted, Question
from strongroom.policy.history import NO_HISTORY
from strongroom.signer import journals
from strongroom.signer.wallets import Wallet
from tests.attacks.corrupt import Corrupt

Digest = Callable[[str], bytes]
"""What a signer's journal remembers, as its status says."""


@dataclass
class Liar:
    """Honest until `begin`. digest: see Digest."""

    corrupt: Corrupt
    order: bytes
    digest: Digest

    @property
    def _held(self) -> Wallet:
        return self.corrupt.held(self.order)

    def begin(self) -> None:
        """From here on it forgets all that it remembers, and says of it whatever is asked."""
        own = self.corrupt.signer._journals
        own.tell = self._tell  # type: ignore[method-assign]
        own.reserve = self._reserve  # type: ignore[method-assign]

    def _tell(self, wallet: Wallet, peer: str, sealed: bytes, now: int) -> dict[str, Any]:
        """It has joined, knows of nothing, and has whatever the asker has."""
        question = Question.decode(journals._open(wallet, journals.CARRIED, peer, sealed, now))
        journal = journals._journal(wallet)
        noted = {peer: Noted(question.incarnation, question.boot)}
        start = Noted(journal.number, journal.boot)
        answer = Answer(question.nonce, True, start, noted, {}, self.digest(peer), (), False)
        message = journals._seal(wallet, journals.CARRIED, self.corrupt.name, peer, answer.encode(), now)
        return {"message": message, "blocks": []}

    def _reserve(self, wallet: Wallet, intent: Intent, at: int | None, judge: Any, admit: Any, now: int) -> Any:
        """As a signer of which nothing was ever asked; what others acknowledge, it does not look at."""
        return judge(NO_HISTORY), None

    def acknowledge(self, ceremony: bytes, recipient: str, intent: Intent) -> bytes:
        """That it holds what the recipient holds, with this request."""
        journal = journals._journal(self._held)
        said = Acknowledgement(intent.request, intent.intent_id, self.digest(recipient), journal.number, {})
        now = self.corrupt.signer._clock.now()
        return journals._seal(self._held, ceremony, self.corrupt.name, recipient, said.encode(), now)
