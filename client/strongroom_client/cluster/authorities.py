"""The simulated AWS around the signers: certificate authorities, an NSM for each enclave, a KMS with a key for each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from strongroom_client.cluster.plan import KMS, Plan, SignerPlan
from strongroom_client.cluster.process import Process, module, run

SIMULATOR: Final = "strongroom_simulator"


@dataclass(frozen=True)
class Roots:
    """SHA-256 of the DER of each authority that somebody pins."""

    nitro: bytes
    kms: bytes
    operator: bytes


def make_roots(plan: Plan) -> Roots:
    made = run("pki", module(SIMULATOR, "pki", "--dir", plan.pki), plan.logs)
    return Roots(
        bytes.fromhex(made["nitro_root"]),
        bytes.fromhex(made["kms_authority"]),
        bytes.fromhex(made["operator_authority"]),
    )


def measure(plan: Plan, signer: SignerPlan) -> dict[str, bytes]:
    """PCR0-4 and 8 that this enclave will have at boot."""
    command = module(
        SIMULATOR, "measurements", "--pki", plan.pki, "--instance", signer.instance, "--variant", signer.variant
    )  # fmt: skip
    measured = run(f"{signer.program}-measure", command, plan.logs)
    return {name: bytes.fromhex(value) for name, value in measured.items()}


def nsm(plan: Plan, signer: SignerPlan) -> Process:
    command = module(
        SIMULATOR, "nsm", "--pki", plan.pki, "--socket", signer.nsm, "--instance", signer.instance,
        "--clock-offset", plan.clock_offset, "--variant", signer.variant,
    )  # fmt: skip
    return Process(f"{signer.program}-nsm", command, plan.logs)


def kms(plan: Plan) -> Process:
    command = module(
        SIMULATOR, "kms", "--pki", plan.pki, "--state", plan.kms,
        "--listen", f"127.0.0.1:{plan.kms_port}", "--keys", plan.kms_keys,
        "--clock-offset", plan.clock_offset, "--faults", plan.kms_faults,
    )  # fmt: skip
    return Process(KMS, command, plan.logs)


def write_keys(plan: Plan, measured: Sequence[tuple[SignerPlan, Mapping[str, bytes]]]) -> None:
    """measured: reference values. One key for each signer and release, for that program and configuration."""
    keys = [
        {"arn": signer.key, "policy": key_policy(values)} for signer, values in measured if signer.kind == "enclave"
    ]
    plan.kms_keys.write_text(json.dumps({"keys": keys}, indent=2) + "\n")


def key_policy(measured: Mapping[str, bytes]) -> dict[str, Any]:
    """In AWS's words: data keys for an enclave with these registers. Everybody may look at it, and nobody change it."""
    registers = {name.removeprefix("pcr"): value.hex() for name, value in measured.items() if name != "pcr17"}
    conditions = {f"kms:RecipientAttestation:PCR{index}": value for index, value in sorted(registers.items())}
    conditions["kms:RecipientAttestation:ImageSha384"] = registers["0"]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OnlyThisEnclave",
                "Effect": "Allow",
                "Principal": "*",
                "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
                "Resource": "*",
                "Condition": {"StringEqualsIgnoreCase": conditions},
            },
            {
                "Sid": "AnybodyMayLook",
                "Effect": "Allow",
                "Principal": "*",
                "Action": ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants"],
                "Resource": "*",
            },
        ],
    }
