"""What an enclave's signer runs in: a process of this machine, or an enclave image that QEMU boots."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from strongroom_client.cluster import authorities
from strongroom_client.cluster.authorities import SIMULATOR
from strongroom_client.cluster.plan import PORT, Plan, SignerPlan
from strongroom_client.cluster.process import Process, module, run

EIF: Final = "strongroom_eif"
READY: Final = 300.0
"""Seconds until an enclave must be ready, where QEMU translates every instruction and the machine is busy."""


class Enclaves(Protocol):
    """The seam: how enclave signers are measured and started."""

    def measure(self, plan: Plan, signer: SignerPlan) -> dict[str, bytes]:
        """PCR0-4 and 8 that this enclave will have at boot, by name."""

    def around(self, plan: Plan, signer: SignerPlan) -> list[Process]:
        """What must serve before the signer starts."""

    def signer(self, plan: Plan, signer: SignerPlan) -> Process: ...


class Processes:
    """Ordinary processes; a simulated NSM beside each."""

    def measure(self, plan: Plan, signer: SignerPlan) -> dict[str, bytes]:
        return authorities.measure(plan, signer)

    def around(self, plan: Plan, signer: SignerPlan) -> list[Process]:
        return [authorities.nsm(plan, signer)]

    def signer(self, plan: Plan, signer: SignerPlan) -> Process:
        return Process(signer.program, module("strongroom_enclave", "run", "--config", signer.config), plan.logs)


@dataclass(frozen=True)
class Machines:
    """image: an EIF, which each cluster signs with its own release key; following: that of a next release, where it is
    another one. qemu: the folder that `make qemu` fills."""

    image: Path
    qemu: Path
    memory: int = 256
    following: Path | None = None

    def measure(self, plan: Plan, signer: SignerPlan) -> dict[str, bytes]:
        """PCR0-2 and 8 are the image's, 3 and 4 the instance's."""
        described = run(
            f"{signer.program}-image", module(EIF, "describe", "--json", self.image_of(plan, signer)), plan.logs
        )
        of_image = {name: bytes.fromhex(value) for name, value in described["measurements"].items()}
        return authorities.measure(plan, signer) | of_image

    def around(self, plan: Plan, signer: SignerPlan) -> list[Process]:
        return []

    def signer(self, plan: Plan, signer: SignerPlan) -> Process:
        command = module(
            SIMULATOR, "enclave", "--qemu", self.qemu, "--image", self.image_of(plan, signer), "--pki", plan.pki,
            "--instance", signer.instance, "--socket", signer.socket, "--port", str(PORT), "--memory", str(self.memory),
            "--config", signer.config, "--credentials", signer.folder / "credentials.json",
            "--kms", f"127.0.0.1:{plan.kms_port}", "--within", str(READY),
        )  # fmt: skip
        return Process(signer.program, command, plan.logs, ready_within=READY)

    def image_of(self, plan: Plan, signer: SignerPlan) -> Path:
        """Signed for this signer."""
        path = signer.folder / "enclave.eif"
        if not path.exists():
            image = self.following if signer.variant and self.following else self.image
            key, certificate = plan.pki / "release.key", plan.pki / "release.pem"
            command = module(EIF, "sign", image, "--key", key, "--certificate", certificate, "--output", path, "--json")
            run(f"{signer.program}-sign", command, plan.logs)
        return path
