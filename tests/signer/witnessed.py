"""A wallet with witnesses, in one process: its journals opened, joined, and asked as a host would.

    cluster = Witnessed()               2-of-3 and one witness: w = 3, r = 3; certified and joined
    cluster.pay(intent, ("a", "b"))     with acknowledgements of a, b and the witness

What the host keeps is in `disks`; a test restores what it likes.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from itertools import combinations
from typing import Any, cast

from strongroom.errors import Refusal
from strongroom.intent.intent import Intent
from strongroom.policy.document import Policy
from strongroom.policy.terms import Window
from strongroom.wallet.order import Order
from strongroom.wire import cbor
from tests.signer.cluster import Answer, Cluster, Node, Plan, Run
from tests.wallet.orders import ED25519, POLICY

WITNESSES = ("w", "x", "y")


def counting(count: int, seconds: int = 3600) -> Policy:
    """The usual policy, with so many payments or messages in a window."""
    return dataclasses.replace(POLICY, windows=(Window(seconds, count=count),))


@dataclasses.dataclass(frozen=True)
class WitnessedPlan(Plan):
    witnesses: int = 1
    policy: Policy = POLICY

    def order(self, **changes: Any) -> Order:
        witnesses = tuple(self.member(name) for name in WITNESSES[: self.witnesses])
        return super().order(**{"witnesses": witnesses, "policy": self.policy, **changes})


@dataclasses.dataclass
class Disk:
    """What the host keeps of one journal."""

    wrapped: bytes | None = None
    blocks: list[bytes] = dataclasses.field(default_factory=list)

    def keep(self, blocks: Sequence[bytes]) -> None:
        """By their place in the chain: what comes again is dropped."""
        for block in blocks:
            fields = cast(dict[str, Any], cbor.decode(block))
            if fields["sequence"] == len(self.blocks):
                self.blocks.append(block)


class Witnessed(Cluster):
    """join: as far as a host brings every wallet after it was made."""

    def __init__(
        self,
        scheme: str = ED25519,
        witnesses: int = 1,
        policy: Policy = POLICY,
        threshold: int = 2,
        parties: int = 3,
        *,
        join: bool = True,
    ) -> None:
        plan = WitnessedPlan(scheme, threshold, parties, witnesses=witnesses, policy=policy)
        super().__init__(plan)
        self.journals = (*self.names, *WITNESSES[:witnesses])
        for name in self.journals[len(self.names) :]:
            self.nodes[name] = Node(name, "nitro")
        self.disks = {name: Disk() for name in self.journals}
        self.accept().link().deal()
        self.body = self.make_body()
        for name in self.names:
            self[name].call("wallet.certify", wallet=self.wallet, body=self.body, nonce=os.urandom(32))
        for name in self.journals[len(self.names) :]:
            self[name].call("wallet.witness", body=self.body)
        for first, second in combinations(self.journals, 2):
            if second not in self.names:
                self.handshake(first, second)
        for name in self.journals:
            self.open(name)
        if join:
            self.join()

    # Journals

    def open(self, name: str, kept: int | None = None) -> Answer:
        """With the first `kept` blocks that the host has of it (None: all)."""
        disk = self.disks[name]
        disk.blocks = disk.blocks[:kept]
        answer = self[name].call("journal.open", wallet=self.wallet, wrapped=disk.wrapped, blocks=disk.blocks)
        disk.wrapped = answer["wrapped"]
        return answer

    def exchange(self, name: str, peer: str) -> bool:
        """Whether it has heard the peer. Raises Refusal."""
        for _ in range(8):
            question = self[name].call("journal.ask", wallet=self.wallet, peer=peer)["message"]
            told = self[peer].call("journal.tell", wallet=self.wallet, peer=name, message=question)
            self.disks[peer].keep(told["blocks"])
            heard = self[name].call("journal.hear", wallet=self.wallet, peer=peer, message=told["message"])
            self.disks[name].keep(heard["blocks"])
            if heard["heard"]:
                return True
        return False

    def join(self, *names: str, peers: Sequence[str] | None = None) -> bool:
        """Whether these (all of them, if none) have joined."""
        for name in names or self.journals:
            for _ in range(2):
                for peer in peers or self.journals:
                    if peer != name and not self.journal(name)["joined"]:
                        self.exchange(name, peer)
        return all(self.journal(name)["joined"] for name in names or self.journals)

    def level(self) -> None:
        for name in self.journals:
            for peer in self.journals:
                if name != peer:
                    self.exchange(name, peer)

    def journal(self, name: str) -> Answer:
        return cast(Answer, self[name].status()["journal"])

    def again(self, name: str, kept: int | None = None) -> Witnessed:
        """Started anew with share or certificate, channels, and what the host has of its journal; not joined."""
        self[name].start()
        if name in self.names:
            self.load(name)
        else:
            self[name].call("wallet.witness", body=self.body)
        for peer in self.journals:
            if peer != name:
                self.handshake(peer, name)
        self.open(name, kept)
        return self

    # Signing

    def reserving(self, intent: Intent, names: Sequence[str], **changes: Any) -> Paying:
        """A signature that is begun: reserved at its signers."""
        at = self[names[0]].clock.time
        run = self.signing(intent, names, **{"at": at, **changes}).start()
        return Paying(self, run, at)

    def pay(self, intent: Intent, names: Sequence[str], others: Sequence[str] = ("w",)) -> bytes:
        """As an honest host, but for levelling: reserved at these others too. Raises Refusal."""
        paying = self.reserving(intent, names)
        for name in others:
            paying.reserve(name)
        paying.turn()
        return self.combined(paying.run.finish(), self.message(intent))


class Paying:
    """acknowledgements: (from, to, sealed), as a host collects them."""

    def __init__(self, cluster: Witnessed, run: Run, at: int) -> None:
        self.cluster = cluster
        self.run = run
        self.at = at
        self.acknowledgements: list[tuple[str, str, bytes]] = []
        for name, step in run.steps.items():
            self._take(name, step["journal"])

    def _take(self, name: str, said: Answer) -> None:
        self.cluster.disks[name].keep(said["blocks"])
        self.acknowledgements += [(name, to, sealed) for to, sealed in said["acknowledgements"]]

    def reserve(self, name: str, **changes: Any) -> Paying:
        _, start = next(iter(self.run.starts.values()))
        chosen = ("wallet", "intent", "signature", "approvals", "shown", "set")
        body = {key: start[key] for key in chosen}
        ceremony = next(iter(self.run.steps.values()))["ceremony"]
        body = {**body, "ceremony": ceremony, "at": self.at, **changes}
        self._take(name, self.cluster[name].call("journal.reserve", **body))
        return self

    def box(self, name: str) -> list[list[Any]]:
        return [[sender, sealed] for sender, to, sealed in self.acknowledgements if to == name]

    def turn(self) -> None:
        """Round 1, with what was acknowledged."""
        messages = self.run.messages
        answers = {
            name: self.run.step(name, messages, acknowledgements=self.box(name)) for name in list(self.run.steps)
        }
        self.run.steps = answers

    def refusal(self, name: str, box: list[list[Any]] | None = None) -> Refusal:
        """What this signer answers to round 1."""
        try:
            self.run.step(name, self.run.messages, acknowledgements=self.box(name) if box is None else box)
        except Refusal as refusal:
            return refusal
        raise AssertionError(f"{name} answered")
