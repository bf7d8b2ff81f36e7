"""The seams of a signer in memory: an NSM and an identity certified by an operator, a sealer, a clock that is set."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding

from strongroom.errors import Refusal
from strongroom.evidence import pkcs11
from strongroom.evidence.pkcs11 import Payload, TokenDescription
from strongroom.evidence.statement import Root
from strongroom.signer.configuration import Configuration
from strongroom.signer.seams import Attester, Context, DataKey
from strongroom.wire import cbor
from strongroom_simulator import pki
from strongroom_simulator.device import Nsm
from tests.wallet.orders import boot_registers

START: Final = 1_800_000_000
TOKEN: Final = TokenDescription("a token", "1.0", "maker", "model", "1", "label", "1.0", "1.0")


@dataclass
class Clock:
    """Unix seconds, set by the test; skew: of this one signer's clock."""

    time: int = START
    skew: int = 0

    def now(self) -> int:
        return self.time + self.skew


@dataclass(frozen=True)
class Authorities:
    """A simulated AWS's Nitro root, and an operator that certifies tokens."""

    nitro: pki.Identity = field(default_factory=lambda: pki.root("simulated.nitro-enclaves"))
    operator: pki.Identity = field(default_factory=lambda: pki.root("simulated operator authority"))

    def fingerprint(self, root: Root) -> bytes:
        return (self.nitro if root == "nitro" else self.operator).fingerprint

    def attester(self, root: Root, configuration: Configuration, clock: Clock, release: int = 1) -> Attester:
        if root == "nitro":
            return NitroAttester(self, configuration, clock, release)
        return TokenAttester(self, configuration, clock)


class NitroAttester:
    """A boot of an enclave: its configuration is extended into PCR16 and locked. `fails`: raised by the next call."""

    def __init__(self, authorities: Authorities, configuration: Configuration, clock: Clock, release: int = 1) -> None:
        self.fails: Exception | None = None
        self._lock = threading.Lock()
        registers = boot_registers(configuration.name, release)
        self._nsm = Nsm(authorities.nitro, f"i-{configuration.name}", registers, lambda: float(clock.now()))
        self._ask("ExtendPCR", index=16, data=configuration.digest())
        self._ask("LockPCR", index=16)

    @property
    def root(self) -> Root:
        return "nitro"

    def attest(self, *, nonce: bytes, user_data: bytes, public_key: bytes) -> bytes:
        if self.fails is not None:
            raise self.fails
        answer = self._ask("Attestation", nonce=nonce, user_data=user_data, public_key=public_key)
        return cast(bytes, answer["Attestation"]["document"])

    def _ask(self, operation: str, **arguments: cbor.Value) -> Any:
        with self._lock:
            answer = cbor.decode_foreign(self._nsm.answer(cbor.encode({operation: arguments})))
        assert not isinstance(answer, dict) or "Error" not in answer, answer
        return answer


class TokenAttester:
    """An identity key in software where a token would have it."""

    def __init__(self, authorities: Authorities, configuration: Configuration, clock: Clock) -> None:
        self._configuration, self._clock, self._authorities = configuration, clock, authorities

    @cached_property
    def _identity(self) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
        key, name = ec.generate_private_key(ec.SECP256R1()), self._configuration.name
        operator = self._authorities.operator
        certificate = pki.issue_identity(operator, key.public_key(), name, begins=START - 3600, ends=START + 10**8)
        return key, certificate.public_bytes(Encoding.DER)

    @property
    def root(self) -> Root:
        return "pkcs11"

    def attest(self, *, nonce: bytes, user_data: bytes, public_key: bytes) -> bytes:
        key, certificate = self._identity
        payload = Payload(
            mode=self._configuration.mode,
            name=self._configuration.name,
            nonce=nonce,
            user_data=user_data,
            public_key=public_key,
            timestamp=self._clock.now(),
            configuration=self._configuration.digest(),
            certificate=certificate,
            chain=(self._authorities.operator.der,),
            token=TOKEN,
        ).encode()
        r, s = utils.decode_dss_signature(key.sign(pkcs11.signed_bytes(payload), ec.ECDSA(hashes.SHA256())))
        return pkcs11.assemble(payload, r.to_bytes(32, "big") + s.to_bytes(32, "big"))


class MemorySealer:
    """AES-GCM with the context as additional data, as an HSM does it. It outlives its signer's restarts.

    keys: every data key that it made, by its wrapped form, for tests that look for a share in places where none may be.
    """

    def __init__(self) -> None:
        self.fails: Exception | None = None
        self.keys: dict[bytes, bytes] = {}
        self._wrapping = AESGCM(os.urandom(32))

    def new_key(self, context: Context) -> tuple[DataKey, bytes]:
        self._ready()
        raw, nonce = bytearray(os.urandom(32)), os.urandom(12)
        wrapped = nonce + self._wrapping.encrypt(nonce, bytes(raw), cbor.encode(dict(context)))
        self.keys[wrapped] = bytes(raw)
        return DataKey.take(raw), wrapped

    def open_key(self, wrapped: bytes, context: Context) -> DataKey:
        self._ready()
        try:
            raw = self._wrapping.decrypt(wrapped[:12], wrapped[12:], cbor.encode(dict(context)))
        except (InvalidTag, ValueError):
            raise Refusal("sealed_mismatch", "the key was wrapped for something else") from None
        return DataKey.take(bytearray(raw))

    def _ready(self) -> None:
        if self.fails is not None:
            raise self.fails


@dataclass
class Health:
    reason: str | None = None

    def degraded(self) -> str | None:
        return self.reason
