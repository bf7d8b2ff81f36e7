"""Three signers and a witness, all real, whose journals the test keeps: N = 4, t = 2, so w = 3 and w - t = 1."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self

import pytest

from strongroom.errors import Refusal
from strongroom.intent.intent import Intent
from strongroom.policy.document import Policy
from strongroom.policy.terms import Window
from strongroom_host.relay.signing import SigningFailed
from strongroom_host.storage.wallets import Wallet
from tests.attacks.custody import Ask, Custody
from tests.attacks.hand import Letter, Run, Step, read_acknowledged

A, B, C, W = "enclave-1", "enclave-2", "hsm-1", "witness-1"
ALL: Final = (A, B, C, W)
COUNT: Final = 4


class Witnessed(Custody):
    """Each wallet of this host's lets four messages, or payments, go in an hour."""

    def policy(self) -> Policy:
        return replace(super().policy(), windows=(Window(3600, count=COUNT),))

    def journal(self, wallet: Wallet, name: str) -> dict[str, Any]:
        rows = [row for row in self.status(name).wallets if row["wallet"] == wallet.body.wallet]
        assert len(rows) == 1 and isinstance(rows[0]["journal"], dict)
        return rows[0]["journal"]

    def blocks(self, wallet: Wallet, name: str) -> int:
        return len(self.journals.blocks(wallet.signed_order.order_id, name))

    def roll_back(self, wallet: Wallet, blocks: dict[str, int], *names: str) -> None:
        """These are started again, on the disk of that time."""
        self.rest()
        for name in names:
            self.journals.cut(wallet.signed_order.order_id, name, blocks[name])
            self.cluster.restart(name)

    def all_blocks(self, wallet: Wallet) -> dict[str, int]:
        return {name: self.blocks(wallet, name) for name in ALL}

    def failed(self, wallet: Wallet, names: Sequence[str] | None = None, intent: Intent | None = None) -> Refusal:
        with pytest.raises(SigningFailed) as caught:
            self.sign(wallet, names, intent=intent)
        return caught.value.cause

    def revive(self) -> None:
        """All of the cluster is up."""
        for name in ALL:
            self.cluster.resume(name)
            if not self.cluster.process(name).running:
                self.cluster.restart(name)

    def at(self, wallet: Wallet, names: Sequence[str], intent: Intent | None = None) -> Ask:
        """What `sign.start` and `journal.reserve` are asked, by a clock that is right."""
        return {**self.sign_body(wallet, names, intent), "at": int(time.time())}

    def reserving(self, wallet: Wallet, names: Sequence[str], intent: Intent | None = None) -> Reserving:
        """A signature that is begun at these signers, in the host's hand."""
        body = self.at(wallet, names, intent)
        return Reserving(self, body, self.begin("sign.start", dict.fromkeys(names, body)))


class Reserving:
    """Aborted at the end of a `with`, wherever it got to. letters: (journal, for whom, sealed)."""

    def __init__(self, custody: Custody, body: Ask, run: Run) -> None:
        self._custody = custody
        self._body = body
        self.run = run
        self.letters = [
            (name, to, sealed) for name, step in run.steps.items() for to, sealed in step.acknowledged.items()
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.run.__exit__(kind, error, traceback)

    @property
    def ceremony(self) -> bytes:
        return next(iter(self.run.steps.values())).ceremony

    def reserve(self, name: str, **changes: Any) -> Self:
        """At a journal that takes no part in the ceremony. Raises Refusal."""
        answer = self._custody.ask(name, "journal.reserve", {**self._body, "ceremony": self.ceremony, **changes})
        self.letters += [(name, to, sealed) for to, sealed in read_acknowledged(answer).items()]
        return self

    def box(self, name: str) -> list[Letter]:
        return [(journal, sealed) for journal, to, sealed in self.letters if to == name]

    def feed(self, name: str) -> Step:
        """The round in which a signer wants acknowledgements. Raises Refusal."""
        return self.run.feed(name, acknowledged=self.box(name))

    def finish(self) -> dict[str, Step]:
        """All rounds, and every signer's contribution."""
        boxes = {name: self.run.letters(name) for name in self.run.names}
        for name, letters in boxes.items():
            self.run.feed(name, letters, acknowledged=self.box(name))
        return self.run.finish()
