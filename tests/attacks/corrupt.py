"""A corrupt signer among real ones: an enclave whose program was changed after it had been measured.

It runs in the test's own process, with the true NSM's evidence, KMS's key, channels and shares, and says something else
in what it seals. So its lies are authentic: the protocol has to find them, no channel does.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

from strongroom.channel.envelope import (
    Envelope,
    broadcast_signing_bytes,
    contribution_signing_bytes,
)
from strongroom.channel.session import Binding, Channel, route
from strongroom.errors import Refusal
from strongroom.signer.configuration import Configuration
from strongroom.signer.machine import Signer
from strongroom.signer.serve import Server
from strongroom.signer.wallets import Wallet as Held
from strongroom.wire import cbor, frame
from strongroom_client.cluster.plan import PORT
from strongroom_enclave.__main__ import lock_configuration
from strongroom_enclave.attester import NitroAttester
from strongroom_enclave.clock import NitroClock
from strongroom_enclave.credentials import SIMULATED
from strongroom_enclave.examined import ExaminedSealer
from strongroom_enclave.health import WatchedSealer
from strongroom_enclave.kms import KmsSealer
from strongroom_enclave.listener import listen_uds
from strongroom_enclave.nsm import Nsm, SocketTransport
from tests.attacks.custody import Custody

_CEREMONY = len(b"strongroom/message/v1")
_ROUND = _CEREMONY + 32 + 32 + 8


@dataclass(frozen=True)
class Said:
    """What the signer is about to seal for one recipient."""

    ceremony: bytes
    round: int
    recipient: str
    envelope: Envelope


Lie = Callable[[Said], Envelope]
Claim = Callable[[bytes], bytes]
"""Another result of a ceremony than the true one."""


class Corrupt:
    """lie: what it says instead, signed where the truth was. claim: its results, under its boot key unless
    unsigned."""

    def __init__(self, custody: Custody, name: str, attested: Mapping[str, Any] = MappingProxyType({})) -> None:
        plan = custody.cluster.plan.signer(name)
        file = json.loads(plan.config.read_text())
        configuration = Configuration.from_json(file["attested"] | attested)
        self._transport = SocketTransport(plan.nsm)
        nsm = Nsm(self._transport)
        lock_configuration(nsm, configuration)
        authority = (custody.cluster.plan.pki / "kms-ca.pem").read_bytes()
        kms = KmsSealer(configuration.sealing, nsm, credentials=lambda: SIMULATED, authority=authority)
        sealer = ExaminedSealer(kms, nsm, kms.facts, configuration.sealing.key)
        with contextlib.suppress(Refusal):
            # Of a key that is not this enclave's it makes nothing; PCR17 says so to the others.
            sealer.examine()
        watched = WatchedSealer(sealer)
        self.name = name
        self.signer = Signer(configuration, watched, NitroAttester(nsm), NitroClock(nsm), nsm.random, watched)
        self.lie: Lie | None = None
        self.claim: Claim | None = None
        self.unsigned = False
        listener = listen_uds(plan.socket, PORT)
        self._door = _Door(listener.socket)
        self._server = Server(cast(socket.socket, self._door), self.handle, listener.preamble)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """As a process ends: its connections end with it."""
        self._server.close()
        self._thread.join()
        self._door.slam()
        self._transport.close()

    def handle(self, payload: bytes) -> bytes:
        self._bend_links()
        answer = self.signer.handle(payload)
        return answer if self.claim is None else self._claimed(answer)

    # --- What it knows ---

    def held(self, order: bytes) -> Held:
        return self.signer._wallets.by_order(order)

    def believe(self, order: bytes) -> None:
        """It takes an order that its own check would refuse."""
        accept = self.signer._keeping.accept
        self.signer._keeping.accept = self.signer._wallets.accept  # type: ignore[method-assign]
        try:
            frame.decode_answer(self.signer.handle(frame.encode_request("order.accept", {"order": order})))
        finally:
            self.signer._keeping.accept = accept  # type: ignore[method-assign]

    def pairing(self, order: bytes, peer: str) -> bytes | None:
        """The digest of what it has set up with a peer."""
        held = self.held(order)
        return held.hold().share.pairing_digest(held.order.index(peer))

    def read(self, order: bytes, ceremony: bytes, number: int, sender: str, sealed: bytes) -> Envelope:
        """What somebody wrote to it, before it answers anything: it and the host are one adversary."""
        held = self.held(order)
        channel = held.links.receiving(sender, sealed, 0)
        prefix = Binding(ceremony, held.order_id, held.epoch).prefix()
        return Envelope.decode(channel.open(prefix + route(number, sender, self.name), sealed))

    # --- Lies ---

    def _bend_links(self) -> None:
        for held in self.signer._wallets.all():
            if "sending" not in held.links.__dict__:
                held.links.sending = _Bent(held.links.sending, self)  # type: ignore[method-assign]

    def told(self, associated: bytes, recipient: str, plaintext: bytes) -> bytes:
        if self.lie is None:
            return plaintext
        ceremony, number = associated[_CEREMONY : _CEREMONY + 32], associated[_ROUND]
        true = Envelope.decode(plaintext)
        told = self.lie(Said(ceremony, number, recipient, true))
        if told.broadcast is not None and told.broadcast != true.broadcast and told.signature == true.signature:
            message = broadcast_signing_bytes(ceremony, number, self.name, told.broadcast)
            told = dataclasses.replace(told, signature=true.signature and self.signer._identity.sign(message))
        return told.encode()

    def _claimed(self, answer: bytes) -> bytes:
        value = cbor.decode(answer)
        assert isinstance(value, list) and self.claim is not None
        step = value[2]
        if value[1] is not True or not isinstance(step, dict) or not isinstance(step.get("result"), bytes):
            return answer
        if step["result"] == b"":  # a pairing's
            return answer
        result = self.claim(step["result"])
        signature = step["signature"]
        if signature is not None and not self.unsigned:
            signature = self.signer._identity.sign(contribution_signing_bytes(step["ceremony"], self.name, result))
        return frame.encode_answer({**step, "result": result, "signature": signature})


class _Door:
    """In the place of a listening socket: knows whom it let in."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._inside: list[socket.socket] = []
        self.shutdown, self.close = listener.shutdown, listener.close

    def accept(self) -> tuple[socket.socket, Any]:
        connection, address = self._listener.accept()
        self._inside.append(connection.dup())
        return connection, address

    def slam(self) -> None:
        for connection in self._inside:
            with connection, suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Bent:
    """In the place of `Links.sending`."""

    def __init__(self, sending: Callable[[str, int], Channel], signer: Corrupt) -> None:
        self._sending, self._signer = sending, signer

    def __call__(self, peer: str, now: int) -> Channel:
        return _Mouth(self._sending(peer, now), self._signer)  # type: ignore[return-value]


class _Mouth:
    """In the place of a channel, for its sender."""

    def __init__(self, channel: Channel, signer: Corrupt) -> None:
        self._channel, self._signer = channel, signer

    def seal(self, associated: bytes, plaintext: bytes) -> bytes:
        return self._channel.seal(associated, self._signer.told(associated, self._channel.peer, plaintext))


@contextmanager
def corrupted(custody: Custody, name: str, attested: Mapping[str, Any] = MappingProxyType({})) -> Iterator[Corrupt]:
    """In the place of the true one, which is started again afterwards."""
    custody.cluster.stop_process(name)
    try:
        signer = Corrupt(custody, name, attested)
        try:
            yield signer
        finally:
            signer.close()
    finally:
        custody.cluster.process(name).start()
