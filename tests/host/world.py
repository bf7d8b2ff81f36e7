"""Real signers in threads of this process, each behind a Unix socket, and what a test does to their answers.

Everything is as in production but for the machine: the signer's state machine, the frames, the evidence, the protocols.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.chains.evm import Transaction
from strongroom.errors import Refusal
from strongroom.evidence.statement import Root
from strongroom.intent.intent import Intent, intent_signing_bytes
from strongroom.policy.document import Policy
from strongroom.signer.configuration import Configuration, Officers, Sealing
from strongroom.signer.machine import Signer
from strongroom.signer.seams import Context, DataKey
from strongroom.signer.serve import Server
from strongroom.wallet.order import Labels, Member, Order, SignedOrder, order_signing_bytes
from strongroom.wire import cbor
from strongroom.wire.frame import decode_request
from strongroom_host.connection import Address
from strongroom_host.signers import Signers
from strongroom_simulator import pki
from strongroom_simulator.document import Document
from tests.policy.made import payments

PORT = 5000
CHAIN_ID = 31337
RECIPIENT = bytes.fromhex("70997970c51812dc3a010c7d01b50e0d17dc79c8")
LIMIT = 10**18
LEAF_LIFE = 3 * 3600

Handle = Callable[[bytes], bytes]
Twist = Callable[[str, bytes, Handle], bytes]
"""What stands before a signer: (operation, request, the signer) to its answer. Raising EOFError cuts the line."""


class MemorySealer:
    """Wraps nothing: the data key is looked up, by signer. Survives a restart, as a KMS does."""

    def __init__(self) -> None:
        self._keys: dict[bytes, tuple[dict[str, str], bytes]] = {}

    def new_key(self, context: Context) -> tuple[DataKey, bytes]:
        key, name = DataKey.generate(), os.urandom(16)
        self._keys[name] = (dict(context), bytes(key.expose()))
        return key, name

    def open_key(self, wrapped: bytes, context: Context) -> DataKey:
        kept, raw = self._keys.get(wrapped, ({}, b""))
        if kept != dict(context):
            raise Refusal("sealed_mismatch", "wrapped for another signer, wallet or epoch")
        return DataKey.take(bytearray(raw))


class DocumentAttester:
    root: Root = "nitro"

    def __init__(self, number: int, root: pki.Identity, registers: Mapping[int, bytes]) -> None:
        self._module = f"i-{number:017x}-enc{number:016x}"
        self._root = root
        self._registers = dict(registers)
        self._issued = 0.0

    def attest(self, *, nonce: bytes, user_data: bytes, public_key: bytes) -> bytes:
        if time.time() - self._issued > LEAF_LIFE / 2:
            # As AWS does it: the hypervisor renews the leaf before it ends.
            self._chain = pki.issue_chain(self._root, self._module, int(time.time()), LEAF_LIFE)
            self._issued = time.time()
        document = Document(
            self._module,
            int(time.time() * 1000),
            self._registers,
            self._chain.leaf.der,
            self._chain.bundle,
            public_key=public_key,
            user_data=user_data,
            nonce=nonce,
        )
        return document.sign(self._chain.leaf.key)


class SystemClock:
    def now(self) -> int:
        return int(time.time())


class Healthy:
    def degraded(self) -> str | None:
        return None


class ThreadSigner:
    """One signer and its socket. `twist` stands between the socket and the signer."""

    def __init__(self, folder: Path, number: int, officers: Officers, root: pki.Identity) -> None:
        self.name = f"signer-{number}"
        self.path = folder / f"{self.name}.sock"
        self.configuration = Configuration("simulated", self.name, officers, Sealing("kms", f"key-{number}"))
        registers = {index: bytes((index + 1, number)) * 24 for index in (0, 1, 2, 4)}
        registers[16] = self.configuration.pcr16()
        labels = Labels("kms", "enclave", "nsm", f"operator-{number}", f"{number:012d}", "r", f"machine-{number}")
        measurements = {f"pcr{index}": value for index, value in registers.items()}
        self.member = Member(self.name, "nitro", root.fingerprint, measurements, labels).checked()
        self.asked: list[str] = []
        self.twist: Twist | None = None
        self._sealer = MemorySealer()
        self._attester = DocumentAttester(number, root, registers)
        self.signer = self._fresh()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self.path))
        listener.listen(64)
        self._server = Server(listener, self._handle, PORT)
        threading.Thread(target=self._server.run, daemon=True).start()

    def _fresh(self) -> Signer:
        return Signer(self.configuration, self._sealer, self._attester, SystemClock(), os.urandom, Healthy())

    @property
    def address(self) -> str:
        return f"uds:{self.path}#{PORT}"

    def restart(self) -> None:
        """A new boot: shares, channels, pairings and tickets are gone from memory."""
        self.signer = self._fresh()

    def _handle(self, payload: bytes) -> bytes:
        operation, _ = decode_request(payload)
        self.asked.append(operation)
        if self.twist is None:
            return self.signer.handle(payload)
        return self.twist(operation, payload, self.signer.handle)

    def close(self) -> None:
        self._server.close()


class World:
    """n signers, their officers and a requester. Orders are signed here, intents too."""

    def __init__(self, folder: Path, count: int = 3) -> None:
        self.officer = Ed25519PrivateKey.generate()
        self.requester = Ed25519PrivateKey.generate()
        self.officers = Officers((self.officer.public_key().public_bytes_raw(),), 1)
        root = pki.root("simulated.nitro-enclaves")
        self.signers = [ThreadSigner(folder, number, self.officers, root) for number in range(1, count + 1)]

    def __getitem__(self, number: int) -> ThreadSigner:
        """By party number, from 1."""
        return self.signers[number - 1]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(signer.name for signer in self.signers)

    def links(self) -> Signers:
        return Signers({signer.name: Address.parse(signer.address) for signer in self.signers})

    @cached_property
    def policy(self) -> Policy:
        requesters = (self.requester.public_key().public_bytes_raw(),)
        return payments(requesters, (CHAIN_ID,), (RECIPIENT,), LIMIT, 10**16, issued=int(time.time()))

    def order(self, scheme: str = "frost-ed25519", threshold: int = 2) -> SignedOrder:
        roster = tuple(signer.member for signer in self.signers)
        order = Order("simulated", scheme, threshold, roster, self.officers, self.policy, (scheme,), os.urandom(32))
        signed = SignedOrder.of(order, {})
        signature = self.officer.sign(order_signing_bytes(signed.order_id))
        return SignedOrder.of(order, {self.officers.keys[0]: signature}).verify(self.officers)

    def message(self, wallet: bytes, text: str = "hello", **changes: object) -> tuple[bytes, bytes]:
        """A signed intent: its bytes and the requester's signature."""
        return self._sign(self._intent(wallet, "message", text.encode(), changes))

    def transfer(
        self,
        wallet: bytes,
        nonce: int = 0,
        value: int = 1,
        to: bytes = RECIPIENT,
        data: bytes = b"",
        **changes: object,
    ) -> tuple[bytes, bytes]:
        payload = Transaction(CHAIN_ID, nonce, 10**9, 2 * 10**9, 21_000, to, value, data).encode()
        return self._sign(self._intent(wallet, "evm-transaction", payload, changes))

    def _intent(self, wallet: bytes, kind: str, payload: bytes, changes: Mapping[str, object]) -> Intent:
        fields: dict[str, object] = {
            "wallet": wallet,
            "kind": kind,
            "payload": payload,
            "request": os.urandom(16),
            "requester": self.requester.public_key().public_bytes_raw(),
            "expiry": int(time.time()) + 600,
            "policy": self.policy.digest(),
            "chain": f"evm:{CHAIN_ID}" if kind == "evm-transaction" else "",
            **changes,
        }
        return Intent(**fields)  # type: ignore[arg-type]

    def _sign(self, intent: Intent) -> tuple[bytes, bytes]:
        return intent.encode(), self.requester.sign(intent_signing_bytes(intent.intent_id))

    def close(self) -> None:
        for signer in self.signers:
            signer.twist = None
            signer.close()


def refuse(code: str, culprits: tuple[str, ...] = (), verdict: str | None = None, proof: bytes | None = None) -> bytes:
    """A signer's refusal, encoded."""
    error: cbor.Value = {
        "code": code,
        "reason": "as the test says",
        "culprits": list(culprits),
        "verdict": verdict,
        "proof": proof,
    }
    return cbor.encode([1, False, error])


def when(operation: str, answer: Callable[[bytes, Handle], bytes], *, times: int = 1 << 30) -> Twist:
    """`answer` instead of the signer's own for the first `times` requests of this operation."""
    left = [times]

    def twist(asked: str, request: bytes, handle: Handle) -> bytes:
        if asked != operation or left[0] == 0:
            return handle(request)
        left[0] -= 1
        return answer(request, handle)

    return twist


def silent(_request: bytes, _handle: Handle) -> bytes:
    """Longer than any deadline that tests set."""
    time.sleep(3)
    raise EOFError


def cut(_request: bytes, _handle: Handle) -> bytes:
    raise EOFError
