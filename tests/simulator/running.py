"""The simulator's servers, in threads of the test's own process and on addresses of its own."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from strongroom.evidence.statement import TrustRoot
from strongroom_simulator import keypolicy, nsm, pki
from strongroom_simulator.device import LEAF_LIFE, Nsm
from strongroom_simulator.faults import Faults
from strongroom_simulator.keystore import KeyStore
from strongroom_simulator.kms import Kms
from strongroom_simulator.kms_server import KmsServer

ARN: Final = "arn:aws:kms:eu-central-1:000000000000:key/alice"
OTHER_ARN: Final = "arn:aws:kms:eu-central-1:000000000000:key/mallory"
REGISTERS: Final = {index: bytes((index + 1,)) * 48 for index in (0, 1, 2, 3, 4, 8)}


@dataclass
class Clock:
    """The machine's time plus what a test adds."""

    offset: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset


@dataclass(frozen=True)
class Laptop:
    """One directory with every authority, a clock, a KMS's state and its switch for faults."""

    directory: Path
    clock: Clock = field(default_factory=Clock)

    @property
    def pki(self) -> Path:
        return self.directory / "pki"

    @property
    def faults(self) -> Path:
        return self.directory / "faults"

    @property
    def nitro_root(self) -> TrustRoot:
        return TrustRoot("nitro", "simulated", pki.load(self.pki, pki.NITRO_ROOT).fingerprint)

    def own_keys(self, *arns: str, registers: dict[int, bytes] | None = None) -> None:
        """The keys' owner writes a policy: these keys, for an enclave with these registers alone."""
        policy = keypolicy.for_measurements(registers or REGISTERS)
        entries = [{"arn": arn, "policy": policy} for arn in arns]
        (self.directory / "keys.json").write_text(json.dumps({"keys": entries}))

    def kms(self) -> Kms:
        keys = KeyStore(self.directory / "state", self.directory / "keys.json")
        return Kms(keys, self.nitro_root, self.clock)

    @contextmanager
    def serve_kms(self, *, authorities: Path | None = None) -> Iterator[str]:
        """The endpoint. authorities: another directory's, for an impostor."""
        respond = Faults(self.kms(), self.faults).answer
        with KmsServer(("127.0.0.1", 0), authorities or self.pki, respond) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            yield server.endpoint
            server.shutdown()
            thread.join()

    @contextmanager
    def serve_nsm(
        self, name: str = "nsm", registers: dict[int, bytes] | None = None, leaf_life: int = LEAF_LIFE
    ) -> Iterator[Path]:
        """The socket of one enclave's device."""
        root = pki.load(self.pki, pki.NITRO_ROOT)
        with serve_nsm(
            self.directory / f"{name}.sock",
            lambda: Nsm(root, f"i-{name}", registers or REGISTERS, self.clock, leaf_life=leaf_life),
        ) as path:
            yield path


@contextmanager
def serve_nsm(path: Path, power_on: Callable[[], Nsm]) -> Iterator[Path]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=nsm.serve, args=(listener, power_on), daemon=True)
        thread.start()
        yield path
        # Closing does not wake a thread that accepts; shutting down does.
        listener.shutdown(socket.SHUT_RDWR)
    path.unlink()
