"""What the stacks are given in tests: an account, roles, a release and a signer's configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.aws import sealing
from infra.aws.template import FOLDER
from strongroom_client import keyfiles

ACCOUNT: Final = "111122223333"
REGION: Final = "eu-central-1"
ARN: Final = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/12345678-9abc-def0-1234-56789abcdef0"
ROLE: Final = "strongroom-enclave-a"
ROLES: Final = {
    "InstanceRoleName": ROLE,
    "ProvisionerArn": f"arn:aws:iam::{ACCOUNT}:role/strongroom-provisioner",
    "CustodianArn": f"arn:aws:iam::{ACCOUNT}:role/strongroom-custodian",
}
PCRS: Final = {0: b"\xa0" * 48, 1: b"\xa1" * 48, 2: b"\xa2" * 48, 16: b"\xb6" * 48}
PARAMETERS: Final = {
    "SignerName": "enclave-a",
    **ROLES,
    **{f"Pcr{index}": value.hex() for index, value in PCRS.items()},
}


def policy(**changed: str) -> dict[str, Any]:
    return sealing.key_policy(PARAMETERS | changed, partition="aws", region=REGION, account=ACCOUNT)


def first_boot() -> str:
    """What an instance of signer.yaml runs, before CloudFormation fills it in."""
    template = yaml.safe_load((FOLDER / "signer.yaml").read_text())["Resources"]["LaunchTemplate"]
    script, _ = template["Properties"]["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Sub"]
    return str(script)


def attested(**changed: Any) -> dict[str, Any]:
    keys = [keyfiles.public(Ed25519PrivateKey.from_private_bytes(bytes((each,)) * 32)).hex() for each in (1, 2, 3)]
    return {
        "mode": "production",
        "name": "enclave-a",
        "officers": {"keys": sorted(keys), "quorum": 2},
        "sealing": {"kind": "kms", "key": ARN},
        **changed,
    }


def configuration(path: Path, **changed: Any) -> Path:
    kms = {"credentials_file": "/run/strongroom/credentials.json"}
    path.write_text(json.dumps({"attested": attested(**changed), "listen": {"port": 5000}, "kms": kms}))
    return path
