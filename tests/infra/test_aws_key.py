"""The KMS key's policy as the template renders it: judged by the signer's own examiner, and used at a simulated KMS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.aws import sealing
from infra.aws.template import FOLDER, Template
from strongroom.errors import Refusal
from strongroom.evidence.keypolicy import digest, pcr17
from strongroom.evidence.statement import Statement
from strongroom.signer.configuration import Configuration
from strongroom_enclave.keypolicy import DATA, HARMLESS, KeyFacts, examine
from strongroom_simulator.keypolicy import allows
from tests.client.reviewing import described
from tests.infra.aws import ACCOUNT, ARN, PARAMETERS, PCRS, REGION, ROLE, ROLES, attested, configuration, policy

EVERYBODY = {
    "the instance's role": f"arn:aws:iam::{ACCOUNT}:role/{ROLE}",
    "root": f"arn:aws:iam::{ACCOUNT}:root",
    "the provisioner": ROLES["ProvisionerArn"],
    "the custodian": ROLES["CustodianArn"],
    "an administrator": f"arn:aws:iam::{ACCOUNT}:role/Administrator",
    "a stranger": "arn:aws:iam::999999999999:role/strongroom-enclave-a",
}
KMS_ACTIONS = (
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DeriveSharedSecret",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyPair",
    "kms:GenerateDataKeyPairWithoutPlaintext",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ImportKeyMaterial",
    "kms:PutKeyPolicy",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:ReplicateKey",
    "kms:UpdatePrimaryRegion",
    "kms:Verify",
)
"""All that could reach a data key, or make somebody able to."""


def examined(rendered: dict[str, Any], **metadata: Any) -> bytes:
    facts = KeyFacts(json.dumps(rendered), 0, sealing.described(ARN) | metadata)
    return examine(facts, ARN, PCRS[0], PCRS[16])


def evidence(**changed: bytes) -> Statement:
    measured = {f"pcr{index}": value for index, value in PCRS.items()} | changed
    return Statement("nitro", "production", "i-1", 1, 2, None, None, None, measured)


def may(action: str, who: str, statement: Statement | None, rendered: dict[str, Any]) -> bool:
    account = who.split(":")[4]
    return allows(rendered, action, statement, {}, {"aws:PrincipalArn": who, "aws:PrincipalAccount": account})


def test_the_signer_takes_the_key_that_the_template_seals() -> None:
    assert examined(policy()) == digest(policy(), ARN)


def test_the_signer_takes_what_the_template_says_of_the_key_itself() -> None:
    properties = yaml.safe_load((FOLDER / "key.yaml").read_text())["Resources"]["Key"]["Properties"]
    said = {name: properties[name] for name in ("KeySpec", "KeyUsage", "MultiRegion")}
    assert "Origin" not in properties, "KMS's own material, unless one is named"
    examined(policy(), **said)
    for name, other in (("MultiRegion", True), ("Origin", "EXTERNAL"), ("KeyUsage", "GENERATE_VERIFY_MAC")):
        with pytest.raises(Refusal):
            examined(policy(), **{name: other})


def test_the_signer_refuses_the_key_before_it_is_sealed() -> None:
    with pytest.raises(Refusal, match="kms:putkeypolicy") as caught:
        examined(policy(Pcr16=""))
    assert caught.value.code == "key_policy"


@pytest.mark.parametrize("changed", [{"Pcr0": "ee" * 48}, {"Pcr16": "ee" * 48}])
def test_the_signer_refuses_a_key_for_another_image_or_configuration(changed: dict[str, str]) -> None:
    with pytest.raises(Refusal, match="other"):
        examined(policy(**changed))


@pytest.mark.parametrize("who", EVERYBODY)
def test_nobody_has_a_data_key_without_attestation(who: str) -> None:
    for rendered in (policy(), policy(Pcr16="")):
        assert not any(may(action, EVERYBODY[who], None, rendered) for action in ("kms:Decrypt", "kms:GenerateDataKey"))


def test_the_enclave_has_its_data_keys_through_its_parents_role_alone() -> None:
    for name, who in EVERYBODY.items():
        for action in ("kms:Decrypt", "kms:GenerateDataKey"):
            assert may(action, who, evidence(), policy()) == (name == "the instance's role")


@pytest.mark.parametrize("register", ["pcr0", "pcr1", "pcr2", "pcr16"])
def test_another_enclave_has_none(register: str) -> None:
    assert not may("kms:Decrypt", EVERYBODY["the instance's role"], evidence(**{register: b"\xee" * 48}), policy())


@pytest.mark.parametrize("who", EVERYBODY)
def test_no_administrator_changes_grants_or_copies_a_sealed_key(who: str) -> None:
    """With or without somebody's attestation: what is not a data key for this enclave is for nobody."""
    for statement in (None, evidence()):
        allowed = {action for action in KMS_ACTIONS if may(action, EVERYBODY[who], statement, policy())}
        assert {action.lower() for action in allowed} <= DATA
        assert not allowed or (statement is not None and who == "the instance's role")


@pytest.mark.parametrize("who", EVERYBODY)
def test_a_sealed_key_denies_what_somebody_else_would_allow(who: str) -> None:
    """As a grant of IAM's, or a statement that slipped in: what nobody may have is denied, and not only not allowed."""
    everything = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": list(KMS_ACTIONS), "Resource": "*"}
    widened = {**policy(), "Statement": [*policy()["Statement"], everything]}
    allowed = {action for action in KMS_ACTIONS if may(action, EVERYBODY[who], None, widened)}
    assert allowed <= {"kms:UpdatePrimaryRegion", "kms:Verify"}, (
        "of multi-Region and of signing keys: no action on this"
    )


def test_who_may_do_what_is_left() -> None:
    """Looking: the account. Retiring: the custodian. Before the seal: the provisioner sets the policy, once."""
    custodian, provisioner = EVERYBODY["the custodian"], EVERYBODY["the provisioner"]
    for name, who in EVERYBODY.items():
        assert may("kms:GetKeyPolicy", who, None, policy()) == (name != "a stranger")
        assert may("kms:ScheduleKeyDeletion", who, None, policy()) == (who == custodian)
        assert may("kms:PutKeyPolicy", who, None, policy(Pcr16="")) == (who == provisioner)
    assert not may("kms:CreateGrant", provisioner, None, policy(Pcr16=""))
    asked = {
        action.lower()
        for statement in policy()["Statement"]
        if statement["Effect"] == "Allow"
        for action in statement["Action"]
    }
    assert asked <= HARMLESS | DATA


def test_a_role_made_anew_is_the_same_to_the_policy() -> None:
    """KMS keeps a role that is named as principal by its internal id, and nobody could correct the policy after."""
    for statement in policy()["Statement"] + policy(Pcr16="")["Statement"]:
        assert statement["Principal"] == {"AWS": "*"}


def test_the_policy_is_within_what_kms_takes() -> None:
    assert len(json.dumps(policy())) < 32 << 10


# --- The template's parameters ---


@pytest.mark.parametrize(
    "changed",
    [
        {"Pcr0": "AA" * 48},
        {"Pcr0": "aa" * 47},
        {"Pcr16": "x"},
        {"SignerName": "Enclave A"},
        {"ProvisionerArn": f"arn:aws:iam::{ACCOUNT}:root"},
        {"CustodianArn": f"arn:aws:iam::{ACCOUNT}:user/somebody"},
        {"InstanceRoleName": "*"},
        {"Purpose": "demo"},
        {"Nonsense": "x"},
    ],
)
def test_parameters_that_the_template_does_not_take(changed: dict[str, str]) -> None:
    with pytest.raises(Refusal) as caught:
        policy(**changed)
    assert caught.value.code == "bad_file"


def test_what_cannot_be_rendered_is_refused() -> None:
    template = Template("key.yaml", PARAMETERS, {"AWS::AccountId": ACCOUNT})
    for value in ({"Fn::Join": ["", []]}, {"Ref": "Nobody"}, {"Fn::Sub": "${AWS::Region}"}):
        with pytest.raises(Refusal):
            template.render(value)
    with pytest.raises(Refusal, match="wants a value"):
        Template("key.yaml", {}, {})


# --- The command ---


def test_what_seals_a_key_is_computed_and_judged_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, named = configuration(tmp_path / "signer.json"), tmp_path / "release.json"
    named.write_text(json.dumps(described()))
    roles = ("--role", ROLE, "--provisioner", ROLES["ProvisionerArn"], "--custodian", ROLES["CustodianArn"])
    assert sealing.main(["--config", str(config), "--release", str(named), *roles]) == 0
    made = json.loads(capsys.readouterr().out)
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in made["parameters"]}
    pcr16 = Configuration.from_json(attested()).pcr16()
    assert parameters["Pcr16"] == made["pcr16"] == pcr16.hex()
    assert made["policy"] == policy(**parameters) and made["pcr17"] == pcr17(made["policy"], ARN).hex()
    template = yaml.safe_load((FOLDER / "key.yaml").read_text())["Parameters"]
    assert parameters.keys() <= template.keys() and template.keys() - parameters.keys() == {"Purpose"}
    assert REGION in ARN


@pytest.mark.parametrize(
    "changed",
    [
        {"mode": "simulated"},
        {"sealing": {"kind": "pkcs11", "key": "label"}},
        {"sealing": {"kind": "kms", "key": f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/mine"}},
        {"name": ""},
    ],
)
def test_a_configuration_that_no_key_of_aws_seals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, Any]
) -> None:
    config, named = configuration(tmp_path / "signer.json", **changed), tmp_path / "release.json"
    named.write_text(json.dumps(described()))
    roles = ("--role", ROLE, "--provisioner", ROLES["ProvisionerArn"], "--custodian", ROLES["CustodianArn"])
    assert sealing.main(["--config", str(config), "--release", str(named), *roles]) == 1
    assert "Traceback" not in capsys.readouterr().err
