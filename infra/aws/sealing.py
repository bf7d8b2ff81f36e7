"""`python -m infra.aws.sealing`: the policy that seals a signer's key, before CloudFormation sets it for good.

From the signer's configuration (which names the key's ARN) and the release it computes PCR16, renders key.yaml, has the
enclave's own examiner judge the policy, and prints the stack's parameters and what the roster pins: pcr16 and pcr17.
A policy cannot be corrected afterwards: what the signer would refuse is to be found here.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from infra.aws.template import Template
from strongroom.errors import Refusal
from strongroom.evidence.keypolicy import pcr17
from strongroom.signer.configuration import Configuration
from strongroom.signer.settings import Settings
from strongroom_client.reviewing import release
from strongroom_client.reviewing.release import Release
from strongroom_enclave.keypolicy import KeyFacts, examine

_ARN: Final = re.compile(r"arn:(aws[a-z-]*):kms:([a-z0-9-]+):([0-9]{12}):key/[A-Za-z0-9-]+")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    roles = {"InstanceRoleName": options.role, "ProvisionerArn": options.provisioner, "CustodianArn": options.custodian}
    try:
        config = Settings.parse(options.config.read_bytes(), str(options.config))
        made = seal(Configuration.from_json(config.raw("attested")), release.load(options.release), roles)
    except (Refusal, OSError) as error:
        print(f"python -m infra.aws.sealing: {error}", file=sys.stderr)
        return 1
    print(json.dumps(made, indent=2))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.aws.sealing", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the signer's configuration file")
    parser.add_argument("--release", type=Path, required=True, help="the release's JSON, of `strongroom-eif`")
    parser.add_argument("--role", required=True, help="InstanceRoleName of the stacks")
    parser.add_argument("--provisioner", required=True, help="ARN of the role that runs CloudFormation")
    parser.add_argument("--custodian", required=True, help="ARN of the role that retires the key")
    return parser


def seal(configuration: Configuration, named: Release, roles: Mapping[str, str]) -> dict[str, Any]:
    """Raises Refusal: `bad_file`; `key_policy` for a policy that the signer would not take."""
    arn, pcr16 = configuration.sealing.key, configuration.pcr16()
    found = _ARN.fullmatch(arn)
    if configuration.mode != "production" or found is None:
        raise Refusal("bad_file", "a key of AWS seals a signer of mode production, whose sealing.key is the key's ARN")
    parameters = {
        "SignerName": configuration.name,
        **roles,
        **{f"Pcr{index}": named.measurements[f"pcr{index}"].hex() for index in (0, 1, 2)},
        "Pcr16": pcr16.hex(),
    }
    policy = key_policy(parameters, partition=found[1], region=found[2], account=found[3])
    examine(KeyFacts(json.dumps(policy), 0, described(arn)), arn, named.measurements["pcr0"], pcr16)
    return {
        "parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        "policy": policy,
        "pcr16": pcr16.hex(),
        "pcr17": pcr17(policy, arn).hex(),
    }


def key_policy(parameters: Mapping[str, str], *, partition: str, region: str, account: str) -> dict[str, Any]:
    """Of key.yaml, with these parameters."""
    pseudo = {"AWS::Partition": partition, "AWS::Region": region, "AWS::AccountId": account}
    policy: dict[str, Any] = Template("key.yaml", parameters, pseudo).property("Key", "KeyPolicy")
    return policy


def described(arn: str) -> dict[str, Any]:
    """As DescribeKey answers for what key.yaml makes."""
    return {
        "Arn": arn,
        "Enabled": True,
        "KeySpec": "SYMMETRIC_DEFAULT",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "Origin": "AWS_KMS",
        "KeyManager": "CUSTOMER",
        "MultiRegion": False,
    }


if __name__ == "__main__":
    raise SystemExit(main())
