"""What a local cluster consists of, and where its files lie. Everything here is decided before a process starts."""

from __future__ import annotations

import hashlib
import socket
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from strongroom.wallet.order import Labels

HOST: Final = "host"
KMS: Final = "kms"
CHAIN: Final = "chain"
PORT: Final = 5000
"""The vsock port in the preamble of every signer's socket."""

OPERATORS: Final = ("alder", "birch", "cedar", "damson", "elm", "fir", "gorse", "hazel", "ivy")


@dataclass(frozen=True)
class SignerPlan:
    """kind: a simulated Nitro enclave, or a process beside a token. number: from 1, over all signers.

    release: of the enclave's image; each has a KMS key of its own.
    """

    name: str
    kind: Literal["enclave", "hsm"]
    number: int
    folder: Path
    socket: Path
    nsm: Path
    release: int = 1

    @property
    def program(self) -> str:
        """What its process is called, and its log: two releases of one name run side by side."""
        return self.name if self.release == 1 else f"{self.name}-release-{self.release}"

    @property
    def variant(self) -> str:
        """What PCR0 is made of beside the program's files."""
        return "" if self.release == 1 else f"release {self.release}"

    @property
    def operator(self) -> str:
        return OPERATORS[self.number - 1]

    @property
    def account(self) -> str:
        return f"{self.number:012d}" if self.kind == "enclave" else f"{self.operator}-rack"

    @property
    def region(self) -> str:
        return f"simulated-{self.number}"

    @property
    def instance(self) -> str:
        """In the shape of EC2's, different for every enclave."""
        return f"i-{hashlib.sha256(self.name.encode()).hexdigest()[:17]}"

    @property
    def key(self) -> str:
        """The KMS key's ARN, or the label of the token's wrapping key."""
        if self.kind == "hsm":
            return f"strongroom-{self.name}"
        digest = hashlib.sha256(b"key" + self.program.encode()).hexdigest()
        identifier = "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))
        return f"arn:aws:kms:{self.region}:{self.account}:key/{identifier}"

    @property
    def config(self) -> Path:
        return self.folder / "config.json"

    def labels(self) -> Labels:
        """All of it runs on one machine; the names say what would be apart."""
        machine = f"machine-{self.number}"
        fixed = ("kms", "enclave", "nsm") if self.kind == "enclave" else ("pkcs11", "process", "nobody")
        return Labels(*fixed, self.operator, self.account, self.region, machine)


@dataclass(frozen=True)
class Plan:
    """directory: everything that lasts. sockets: a short path, since a Unix socket's may have 107 bytes."""

    directory: Path
    sockets: Path
    enclaves: int = 2
    hsms: int = 1
    witnesses: int = 0
    kms_port: int = field(default_factory=lambda: free_port())
    host_port: int = field(default_factory=lambda: free_port())
    chain_port: int = field(default_factory=lambda: free_port())

    @property
    def signers(self) -> tuple[SignerPlan, ...]:
        kinds: list[tuple[Literal["enclave", "hsm"], int]] = [("enclave", n + 1) for n in range(self.enclaves)]
        kinds += [("hsm", n + 1) for n in range(self.hsms)]
        return tuple(self._signer(kind, which, number + 1) for number, (kind, which) in enumerate(kinds))

    @property
    def witnessing(self) -> tuple[SignerPlan, ...]:
        """Enclaves that hold no share."""
        first = self.enclaves + self.hsms
        return tuple(self._signer("enclave", n + 1, first + n + 1, "witness") for n in range(self.witnesses))

    @property
    def everyone(self) -> tuple[SignerPlan, ...]:
        return (*self.signers, *self.witnessing)

    def _signer(
        self, kind: Literal["enclave", "hsm"], which: int, number: int, called: str | None = None
    ) -> SignerPlan:
        name = f"{called or kind}-{which}"
        folder = self.directory / "signers" / name
        return SignerPlan(name, kind, number, folder, self.sockets / f"{name}.sock", self.sockets / f"{name}.nsm")

    def successors(self, release: int) -> tuple[SignerPlan, ...]:
        """The enclaves of a next release, on the machines of those before."""
        enclaves = [each for each in self.everyone if each.kind == "enclave"]
        return tuple(self._successor(each, release) for each in enclaves)

    def _successor(self, signer: SignerPlan, release: int) -> SignerPlan:
        name = f"{signer.name}-{release}"
        places = self.directory / "signers" / name, self.sockets / f"{name}.sock", self.sockets / f"{name}.nsm"
        folder, socket, nsm = places
        return replace(signer, folder=folder, socket=socket, nsm=nsm, release=release)

    def signer(self, name: str) -> SignerPlan:
        return next(signer for signer in self.everyone if signer.name == name)

    @property
    def pki(self) -> Path:
        return self.directory / "simulator" / "pki"

    @property
    def kms(self) -> Path:
        return self.directory / "simulator" / "kms"

    @property
    def kms_keys(self) -> Path:
        return self.directory / "simulator" / "keys.json"

    @property
    def kms_faults(self) -> Path:
        """Absent: an honest KMS. Tests write one here; see strongroom_simulator.faults."""
        return self.directory / "simulator" / "kms-faults"

    @property
    def clock_offset(self) -> Path:
        """Absent: the machine's time. Seconds that tests add to what every NSM, and KMS, believe."""
        return self.directory / "simulator" / "clock-offset"

    @property
    def kms_endpoint(self) -> str:
        return f"https://127.0.0.1:{self.kms_port}"

    @property
    def officers(self) -> Path:
        return self.directory / "officers"

    @property
    def roster(self) -> Path:
        return self.directory / "roster.json"

    @property
    def policy(self) -> Path:
        return self.directory / "policy.json"

    @property
    def host(self) -> Path:
        return self.directory / "host"

    @property
    def host_url(self) -> str:
        return f"http://127.0.0.1:{self.host_port}"

    @property
    def chain_url(self) -> str:
        return f"http://127.0.0.1:{self.chain_port}"

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    @property
    def context(self) -> Path:
        return self.directory / "config.json"

    def make_folders(self) -> None:
        for folder in (self.pki, self.host, self.logs, *(signer.folder for signer in self.everyone)):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
