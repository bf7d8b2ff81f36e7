"""Signers in one process, driven by a host that may do whatever a host can: the bytes in and out of `handle`.

    cluster = Cluster(Plan(ECDSA))      signers that know their order and have channels
    cluster.deal()                      the DKG; `cluster.wallet` and `cluster.records` after it
    cluster.certify()                   test signatures, a body, and every signer's attestation
    cluster.sign(intent, ("a", "b"))    a signature

Each step can be taken apart: a `Run` starts a ceremony, shows its messages, and delivers what it is told to.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations
from typing import Any, Final, cast

from strongroom import schemes
from strongroom.chains import evm
from strongroom.chains.bitcoin.keys import WalletKeys
from strongroom.chains.effects import ToSign
from strongroom.channel import bundle
from strongroom.errors import Refusal
from strongroom.evidence.statement import Root
from strongroom.intent.decoding import decode
from strongroom.intent.intent import Intent, Kind, intent_signing_bytes
from strongroom.policy.document import Policy
from strongroom.policy.shown import NOTHING
from strongroom.signer.exhaustion import Bounds
from strongroom.signer.machine import Signer
from strongroom.wallet.certificate import Body, TestSignature, covering_sets, test_message
from strongroom.wallet.order import Member, Order, SignedOrder
from strongroom.wire import cbor, frame
from tests.signer.seams import START, Authorities, Clock, Health, MemorySealer
from tests.wallet.orders import (
    ED25519,
    ETHER,
    MUSIG2,
    NAMES,
    POLICY,
    RECIPIENT,
    REQUESTER,
    REQUESTER_KEYS,
    configuration,
    member,
    order,
    signed,
)

Answer = dict[str, Any]
Start = tuple[str, Answer]
"""An operation and its body."""


@cache
def authorities() -> Authorities:
    return Authorities()


@dataclass(frozen=True)
class Message:
    """One sealed message on its way, as the host sees it."""

    round: int
    sender: str
    recipient: str
    sealed: bytes


Route = Callable[[list[Message]], list[Message]]


@dataclass(frozen=True)
class Plan:
    """What wallet. The last signer is beside an HSM, the others are enclaves."""

    scheme: str = ED25519
    threshold: int = 2
    parties: int = 3
    nonce: bytes = field(default_factory=lambda: os.urandom(32))
    policy: Policy = POLICY

    @property
    def names(self) -> tuple[str, ...]:
        return NAMES[: self.parties]

    def root(self, name: str) -> Root:
        return "pkcs11" if name == self.names[-1] else "nitro"

    def member(self, name: str) -> Member:
        root = self.root(name)
        return member(name, root, trust=authorities().fingerprint(root))

    def order(self, **changes: Any) -> Order:
        threshold = self.parties if self.scheme == MUSIG2 else self.threshold
        roster = tuple(map(self.member, self.names))
        return order(
            self.parties,
            self.scheme,
            **{"threshold": threshold, "roster": roster, "nonce": self.nonce, "policy": self.policy, **changes},
        )


class Node:
    """One signer and what is around it. Its sealer outlives it."""

    def __init__(self, name: str, root: Root, sealer: MemorySealer | None = None, release: int = 1) -> None:
        self.name = name
        self.release = release
        self.bounds = Bounds()
        self.configuration = configuration(name, root, release)
        self.clock = Clock()
        self.sealer = sealer or MemorySealer()
        self.health = Health()
        self._root = root
        self.start()

    def start(self) -> None:
        """And every further time: a restart, after which nothing is left but what was sealed."""
        self.attester = authorities().attester(self._root, self.configuration, self.clock, self.release)
        self.signer = Signer(
            self.configuration, self.sealer, self.attester, self.clock, os.urandom, self.health, self.bounds
        )

    def call(self, operation: str, **body: Any) -> Answer:
        """Raises the signer's Refusal."""
        answer = self.signer.handle(frame.encode_request(operation, body))
        frame.decode_answer(answer)
        return cast(Answer, cast(list[Any], cbor.decode(answer))[2])

    def status(self) -> Answer:
        """Of its first wallet."""
        return cast(Answer, self.call("status")["wallets"][0])

    @property
    def phase(self) -> str:
        return cast(str, self.status()["phase"])

    def tickets(self, count: int = 1) -> list[bytes]:
        return cast(list[bytes], self.call("tickets", count=count)["tickets"])


class Run:
    """One ceremony under the host's hands. steps: the newest answer of each participant."""

    def __init__(self, nodes: Mapping[str, Node], starts: Mapping[str, Start]) -> None:
        self.nodes = nodes
        self.starts = dict(starts)
        self.steps: dict[str, Answer] = {}

    def start(self, *names: str) -> Run:
        for name in names or self.starts:
            operation, body = self.starts[name]
            self.steps[name] = self.nodes[name].call(operation, **body)
        return self

    @property
    def messages(self) -> list[Message]:
        """What all participants want to be delivered now."""
        return [
            Message(step["round"], sender, recipient, sealed)
            for sender, step in self.steps.items()
            for recipient, sealed in step["messages"]
        ]

    def identifier(self, name: str) -> bytes:
        return cast(bytes, self.steps[name]["ceremony"])

    def step(self, name: str, messages: Iterable[Message], **changes: Any) -> Answer:
        """Delivers to one participant, and says what it answered without taking it for its step."""
        box = [[each.sender, each.sealed] for each in messages if each.recipient == name]
        body = {"ceremony": self.identifier(name), "round": self.steps[name]["round"], "messages": box}
        return self.nodes[name].call("ceremony.step", **{**body, **changes})

    def turn(self, route: Route | None = None) -> Run:
        """Delivers one round to everybody."""
        messages = self.messages if route is None else route(self.messages)
        self.steps = {name: self.step(name, messages) for name in self.steps}
        return self

    @property
    def done(self) -> bool:
        return all(step["result"] is not None for step in self.steps.values())

    def finish(self) -> dict[str, Answer]:
        while not self.done:
            self.turn()
        return self.steps

    def all(self) -> dict[str, Answer]:
        return self.start().finish()

    def faults(self, route: Route | None = None) -> dict[str, Refusal]:
        """Delivers one round to everybody and collects who refuses it; the others' steps are kept."""
        messages = self.messages if route is None else route(self.messages)
        refusals: dict[str, Refusal] = {}
        for name in list(self.steps):
            try:
                self.steps[name] = self.step(name, messages)
            except Refusal as refusal:
                refusals[name] = refusal
        return refusals


class Cluster:
    """nodes by name; order as all of them accepted it. wallet, records and body once there are any."""

    def __init__(self, plan: Plan | None = None, sealers: Mapping[str, MemorySealer] | None = None) -> None:
        self.plan = plan or Plan()
        self.names = self.plan.names
        self.nodes = {name: Node(name, self.plan.root(name), (sealers or {}).get(name)) for name in self.names}
        self.signed: SignedOrder = signed(self.plan.order())
        self.wallet = b""
        self.public_key = b""
        self.records: dict[str, bytes] = {}
        self.body: bytes | None = None
        self.dealt: Answer = {}

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    @property
    def order_id(self) -> bytes:
        return self.signed.order_id

    @property
    def order(self) -> Order:
        return self.signed.order

    def pass_time(self, seconds: int) -> None:
        for node in self.nodes.values():
            node.clock.time += seconds

    # Channels

    def accept(self) -> Cluster:
        for node in self.nodes.values():
            node.call("order.accept", order=self.signed.encode())
        return self

    def link(self, *names: str) -> Cluster:
        """Channels of every pair of these, or of all."""
        for first, second in combinations(names or self.names, 2):
            self.handshake(first, second)
        return self

    def handshake(self, opener: str, answerer: str, until: str = "channel.finish") -> bytes:
        """The last message that was made."""
        steps = ("channel.open", "channel.answer", "channel.prove", "channel.accept", "channel.finish")
        message: dict[str, bytes] = {}
        for turn, operation in enumerate(steps):
            name, peer = (opener, answerer) if turn % 2 == 0 else (answerer, opener)
            answer = self[name].call(operation, order=self.order_id, peer=peer, **message)
            if operation == until:
                return cast(bytes, answer.get("message", b""))
            message = {"message": answer["message"]}
        raise AssertionError(until)

    # Ceremonies

    def tickets(self, names: Sequence[str]) -> list[bytes]:
        return [self[name].tickets()[0] for name in names]

    def run(self, operation: str, names: Sequence[str], **body: Any) -> Run:
        """The same for every participant, with fresh tickets unless they are given."""
        full = (
            {"tickets": self.tickets(names), "attempt": 0, **body} if "tickets" not in body else {"attempt": 0, **body}
        )
        return Run(self.nodes, {name: (operation, dict(full)) for name in names})

    def dkg(self, **body: Any) -> Run:
        return self.run("dkg.start", self.names, order=self.order_id, **body)

    def pairing(self, first: str, second: str) -> Run:
        run = self.run("pair.start", sorted((first, second)), wallet=self.wallet)
        for name, other in ((first, second), (second, first)):
            run.starts[name][1]["peer"] = other
        return run

    def pair(self, *names: str) -> Cluster:
        for first, second in combinations(names or self.names, 2):
            self.pairing(first, second).all()
        return self

    def testing(self, names: Sequence[str]) -> Run:
        return self.run("test.start", names, wallet=self.wallet, set=list(names))

    def signing(self, intent: Intent, names: Sequence[str], **body: Any) -> Run:
        key = REQUESTER_KEYS.get(intent.requester, REQUESTER_KEYS[REQUESTER])
        signature = key.sign(intent_signing_bytes(intent.intent_id))
        full = {
            "intent": intent.encode(),
            "signature": signature,
            "approvals": [],
            "shown": NOTHING.value(),
            "set": list(names),
            **body,
        }
        return self.run("sign.start", names, wallet=self.wallet, **full)

    def intent(self, text: str = "hello", **changes: Any) -> Intent:
        """What the wallet's scheme signs: a message, or a transfer whose value stands in the text's length."""
        kind: Kind = "message"
        payload, chain = text.encode(), ""
        if schemes.suite(self.order.scheme).digest:
            kind, chain = "evm-transaction", "evm:31337"
            payload = evm.Transaction(31337, 0, 1, 10**9, 21_000, RECIPIENT, ETHER - len(text)).encode()
        expiry = self[self.names[0]].clock.time + 3600
        honest = Intent(
            self.wallet, kind, payload, os.urandom(16), REQUESTER, expiry, self.order.policy.digest(), chain
        )
        return dataclasses.replace(honest, **changes)

    # Whole steps

    def deal(self) -> Cluster:
        answers = {name: cast(Answer, cbor.decode(step["result"])) for name, step in self.dkg().all().items()}
        self.records = {name: answer.pop("record") for name, answer in answers.items()}
        first, *others = answers.values()
        assert all(other == first for other in others)
        self.dealt, self.wallet, self.public_key = first, first["wallet"], first["public_key"]
        return self

    @property
    def keys(self) -> WalletKeys:
        return WalletKeys(self.order.scheme, self.public_key, self.dealt["chain_code"])

    def to_sign(self, intent: Intent) -> tuple[ToSign, ...]:
        return decode(intent, self.keys).to_sign

    def message(self, intent: Intent) -> bytes:
        """The one that is signed."""
        (only,) = self.to_sign(intent)
        return only.message

    def combined(self, steps: Mapping[str, Answer], message: bytes) -> bytes:
        """The one signature, verified."""
        (signature,) = self.all_combined(steps, [ToSign(message)])
        return signature

    def all_combined(self, steps: Mapping[str, Answer], to_sign: Sequence[ToSign]) -> list[bytes]:
        ceremony = next(iter(steps.values()))["ceremony"]
        parts = [(self.order.index(name), step["result"]) for name, step in steps.items()]
        return bundle.combine(self.order.scheme, self.dealt["package"], ceremony, to_sign, parts)

    def test_signature(self, names: tuple[str, ...]) -> TestSignature:
        steps = self.testing(names).all()
        return TestSignature(names, self.combined(steps, test_message(self.wallet, names)))

    def make_body(self, **changes: Any) -> bytes:
        """Honest but for the changes, with test signatures of covering sets."""
        dealt = self.dealt
        body = Body(
            order=self.signed,
            wallet=self.wallet,
            epoch=1,
            public_key=self.public_key,
            verification_shares=tuple(dealt["verification_shares"]),
            package=dealt["package"],
            chain_code=dealt["chain_code"],
            transcript=dealt["transcript"],
            tests=tuple(self.test_signature(names) for names in covering_sets(self.order)),
        )
        return dataclasses.replace(body, **changes).encode()

    def certify(self) -> Cluster:
        self.body = self.make_body()
        for node in self.nodes.values():
            node.call("wallet.certify", wallet=self.wallet, body=self.body, nonce=os.urandom(32))
        return self

    def load(self, *names: str) -> Cluster:
        for name in names or self.names:
            self[name].call("wallet.load", record=self.records[name], body=self.body)
        return self

    def restart(self, *names: str) -> Cluster:
        """Started anew and loaded; channels and pairings are to be made again."""
        for name in names:
            self[name].start()
        return self.load(*names)

    def sign(self, intent: Intent, names: Sequence[str], **body: Any) -> bytes:
        steps = self.signing(intent, names, **body).all()
        signature = self.combined(steps, self.message(intent))
        assert schemes.verify(self.order.scheme, self.public_key, self.message(intent), signature)
        return signature


def kept(scheme: str = ED25519, threshold: int = 2, parties: int = 3) -> Cluster:
    """One cluster for each kind of wallet, certified and still paired; for tests that leave it as it is."""
    return _dealt(scheme, threshold, parties)


@cache
def _dealt(scheme: str, threshold: int, parties: int) -> Cluster:
    """Once: a DKG of DKLs23 takes a second of each party."""
    nonce = hashlib.sha256(f"{scheme} {threshold} {parties}".encode()).digest()
    return Cluster(Plan(scheme, threshold, parties, nonce)).accept().link().deal().certify()


def loaded(scheme: str = ED25519, threshold: int = 2, parties: int = 3, *, certified: bool = True) -> Cluster:
    """A cluster of its own whose signers have just been started and loaded a wallet; linked, and not paired."""
    first = kept(scheme, threshold, parties)
    cluster = Cluster(first.plan, {name: node.sealer for name, node in first.nodes.items()})
    cluster.wallet, cluster.public_key, cluster.dealt = first.wallet, first.public_key, first.dealt
    cluster.records, cluster.body = first.records, first.body if certified else None
    return cluster.load().link()


NOW: Final = START
