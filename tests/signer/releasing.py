"""A wallet whose enclaves go over to a next release, in one process: every step of it, in the host's hand.

    world = Releasing()                  2-of-3 and one witness; certified and joined, release 2 signed by nobody yet
    world.install(world.release())       officers sign it, every signer is told
    world.hand("a")                      a copy, or the end, as the old "a" has it
    world.activate(world.tested("a", "b"))
    world.succeed()                      the new ones stand where the old ones stood; `former` has those

What the host keeps is in `kept`, by name: record, policy and the journal's wrapped key of the newest release.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from strongroom.errors import Refusal
from strongroom.policy.directives import Directive, Document, body_of
from strongroom.policy.document import Policy
from strongroom.policy.release import ORDERED, Activation, Release, release_test
from tests.policy.directing import QUORUM, sign
from tests.signer.cluster import Answer, Node
from tests.signer.witnessed import Witnessed
from tests.wallet.orders import ED25519, POLICY, boot_registers, configuration

ENCLAVES = ("a", "b", "w")
"""Of 2-of-3 with one witness; the third signer is beside an HSM."""


def measurements(name: str, release: int) -> dict[str, bytes]:
    registers = boot_registers(name, release)
    named = {f"pcr{index}": registers[index] for index in (0, 1, 2)}
    return {**named, "pcr16": configuration(name, "nitro", release).pcr16()}


class Releasing(Witnessed):
    def __init__(self, scheme: str = ED25519, policy: Policy = POLICY, *, witnesses: int = 1) -> None:
        super().__init__(scheme, witnesses, policy)
        self.arriving = {name: Node(name, "nitro", release=2) for name in ENCLAVES if name in self.nodes}
        self.former: dict[str, Node] = {}
        self.old_records = dict(self.records)
        self.sealed: dict[str, bytes] = {}
        """Policy records of the old ones."""
        self.kept: dict[str, Answer] = {}
        self.directives: list[Directive] = []

    # Officers

    def release(self, number: int = 2, **changes: Any) -> Release:
        members = tuple((name, measurements(name, number)) for name in sorted(self.arriving))
        return dataclasses.replace(Release(self.wallet, number, ORDERED, members), **changes)

    def tell(self, names: Sequence[str], document: Document, signers: Sequence[bytes] = QUORUM) -> Directive:
        directive = sign(document, signers)
        operation = {"release": "release.install", "policy": "policy.install", "freeze": "policy.freeze"}[
            directive.kind
        ]
        for name in names:
            answer = self[name].call(operation, wallet=self.wallet, directive=directive.encode())
            self.sealed[name] = answer["record"] or self.sealed.get(name, b"")
        self.directives.append(directive)
        return directive

    def install(self, release: Release) -> Release:
        self.tell(self.journals, release)
        return release

    # Handover

    def chain(self) -> list[bytes]:
        return [each.encode() for each in self.directives if each.kind in ("release", "officers")]

    def hand(self, name: str, old: Node | None = None, new: Node | None = None) -> Answer:
        """All five steps; the answer of the last one is kept. Raises Refusal."""
        old, new = old or self[name], new or self.arriving[name]
        opened = new.call("handover.open", order=self.signed.encode(), directives=self.chain())
        answered = old.call("handover.answer", wallet=self.wallet, message=opened["message"])
        proven = new.call("handover.prove", order=self.order_id, message=answered["message"])
        given = old.call("handover.give", wallet=self.wallet, message=proven["message"])
        self.given = given
        taken = new.call(
            "handover.take", order=self.order_id, message=given["message"], sealed=given["sealed"], body=self.body
        )
        assert taken["end"] == given["end"]
        if taken["end"]:
            self.kept[name] = taken
        return taken

    # Activation

    def swapped(self, names: Sequence[str]) -> Releasing:
        """The same host, with these arriving ones where the old ones are: for what they do among themselves."""
        other = object.__new__(Releasing)
        other.__dict__.update(self.__dict__)
        other.nodes = {**self.nodes, **{name: self.arriving[name] for name in names}}
        return other

    def tested(self, *names: str) -> Activation:
        """The arriving ones' signature of the release test."""
        digest, among = self.directives[-1].release().digest(), self.swapped(names)
        among.link(*names)
        if among.paired:
            among.pair(*names)
        steps = among.run("test.start", names, wallet=self.wallet, set=list(names), release=digest).all()
        message = release_test(self.wallet, digest, names)
        return Activation(self.wallet, digest, names, among.combined(steps, message))

    @property
    def paired(self) -> bool:
        return self.order.scheme == "dkls23-secp256k1"

    def activate(self, activation: Activation, names: Sequence[str] | None = None) -> None:
        """Told to the old ones (these, or all), and to all who arrive."""
        self.activation = activation
        raw = Directive(*body_of(activation), ()).encode()
        for node in [*(self[name] for name in (self.journals if names is None else names)), *self.arriving.values()]:
            try:
                node.call("release.activate", wallet=self.wallet, directive=raw)
            except Refusal as refusal:
                if refusal.code != "unknown_wallet":
                    raise

    def succeed(self, *paired: str) -> Releasing:
        """From now on the host speaks to the new ones. paired: who is set up to sign by ECDSA; all, if none."""
        self.former = {name: self.nodes[name] for name in self.arriving}
        self.nodes = {**self.nodes, **self.arriving}
        for name, kept in self.kept.items():
            if kept["record"] is not None:
                self.records[name] = kept["record"]
            if name in self.disks:
                self.disks[name].wrapped = kept["wrapped"]
        for first in self.journals:
            for second in self.journals:
                if first < second:
                    self.handshake(first, second)
        for name in self.arriving:
            self.open(name)
        if self.paired:
            self.pair(*paired)
        self.join()
        return self

    def load(self, *names: str) -> Releasing:
        """Of a restarted one of the next release, what it sealed of its standing too."""
        super().load(*names)
        for name in names:
            if name in self.kept:
                self[name].call("policy.load", wallet=self.wallet, record=self.kept[name]["policy"])
        return self
