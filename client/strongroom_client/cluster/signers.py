"""The signers: their attested configurations, their keys and identities, their processes, and the roster of all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from strongroom.evidence.keypolicy import pcr17
from strongroom.signer.configuration import Configuration, Officers, Sealing
from strongroom.wallet.order import Member
from strongroom_client.cluster.authorities import SIMULATOR, Roots, key_policy
from strongroom_client.cluster.machines import Enclaves
from strongroom_client.cluster.plan import PORT, Plan, SignerPlan
from strongroom_client.cluster.process import Process, module, run
from strongroom_client.cluster.softhsm import LABEL, SoftToken

HSM: Final = "strongroom_hsm"


def configuration(plan: Plan, signer: SignerPlan, officers: Officers, roots: Roots) -> Configuration:
    """What the signer is measured with."""
    if signer.kind == "enclave":
        sealing = Sealing("kms", signer.key, plan.kms_endpoint, roots.kms)
    else:
        sealing = Sealing("pkcs11", signer.key)
    return Configuration("simulated", signer.name, officers, sealing)


def member(plan: Plan, signer: SignerPlan, configured: Configuration, roots: Roots, enclaves: Enclaves) -> Member:
    """The signer's line of the roster: where its evidence must lead, and what it must measure."""
    if signer.kind == "hsm":
        measurements = {"configuration": configured.digest()}
        return Member(signer.name, "pkcs11", roots.operator, measurements, signer.labels()).checked()
    measurements = {**enclaves.measure(plan, signer), "pcr16": configured.pcr16()}
    del measurements["pcr4"]  # the instance's: a lost one is replaced by another
    measurements["pcr17"] = pcr17(key_policy(measurements), signer.key)
    return Member(signer.name, "nitro", roots.nitro, measurements, signer.labels()).checked()


def write_config(plan: Plan, signer: SignerPlan, configured: Configuration) -> None:
    """The program's configuration file."""
    sealing = configured.sealing
    attested = {
        "mode": configured.mode,
        "name": configured.name,
        "officers": {"keys": [key.hex() for key in configured.officers.keys], "quorum": configured.officers.quorum},
        "sealing": {
            "kind": sealing.kind,
            "key": sealing.key,
            "endpoint": sealing.endpoint,
            "authority": None if sealing.authority is None else sealing.authority.hex(),
        },
    }
    config: dict[str, Any] = {"attested": attested, "listen": {"uds": str(signer.socket), "port": PORT}}
    if signer.kind == "enclave":
        config["nsm"] = f"unix:{signer.nsm}"
        config["kms"] = {
            "authority_file": str(plan.pki / "kms-ca.pem"),
            "credentials_file": str(_credentials(signer)),
        }
        # What a parent hands to an enclave that has no files.
        config["authority"] = (plan.pki / "kms-ca.pem").read_text()
    else:
        config["token"] = _token_config(plan, signer)
    signer.config.write_text(json.dumps(config, indent=2) + "\n")


def _credentials(signer: SignerPlan) -> Path:
    """The simulated KMS wants a signature and knows no accounts: the measurements alone authorise."""
    path = signer.folder / "credentials.json"
    path.write_text(json.dumps({"Version": 1, "AccessKeyId": "SIMULATED", "SecretAccessKey": "simulated"}) + "\n")
    return path


def _token_config(plan: Plan, signer: SignerPlan) -> dict[str, str]:
    token = soft_token(signer)
    return {
        "module": str(token.module),
        "label": LABEL,
        "identity": f"identity-{signer.name}",
        "pin_file": str(token.pin_file),
        "certificate_file": str(signer.folder / "identity.pem"),
        "chain_file": str(plan.pki / "operator-ca.pem"),
        "request_file": str(request_file(signer)),
    }


def request_file(signer: SignerPlan) -> Path:
    return signer.folder / "identity.csr"


def soft_token(signer: SignerPlan) -> SoftToken:
    return SoftToken(signer.folder / "token")


def provision(plan: Plan, signer: SignerPlan) -> None:
    """Makes the token and its keys, and has the operator's authority certify the identity; keeps what is there."""
    token = soft_token(signer)
    token.create()
    certificate = signer.folder / "identity.pem"
    if certificate.exists():
        return
    run(f"{signer.name}-provision", module(HSM, "provision", "--config", signer.config), plan.logs, token.variables)
    issue = module(
        SIMULATOR, "issue-identity", "--pki", plan.pki, "--csr", request_file(signer), "--out", certificate
    )  # fmt: skip
    run(f"{signer.name}-identity", issue, plan.logs)


def process(plan: Plan, signer: SignerPlan, enclaves: Enclaves) -> Process:
    if signer.kind == "enclave":
        return enclaves.signer(plan, signer)
    command = module(HSM, "run", "--config", signer.config)
    return Process(signer.name, command, plan.logs, variables=soft_token(signer).variables)
