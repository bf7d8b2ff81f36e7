"""The stacks: checked by cfn-lint and checkov where `make aws` has installed them, and what those do not know."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.aws.template import FOLDER
from tests.conftest import ROOT
from tests.infra.aws import first_boot

TOOLS = ROOT / "build" / "aws" / "bin"
STACKS = sorted(path.name for path in FOLDER.glob("*.yaml"))


def stack(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text())
    return document


def resources(name: str, kind: str) -> dict[str, dict[str, Any]]:
    found = stack(name)["Resources"]
    return {key: value["Properties"] for key, value in found.items() if value["Type"] == kind}


def tool(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    if not (TOOLS / name).exists():
        pytest.skip("`make aws` installs cfn-lint and checkov")
    return subprocess.run([TOOLS / name, *arguments], capture_output=True, text=True, check=False)


def checkov(folder: Path) -> subprocess.CompletedProcess[str]:
    return tool(
        "checkov", "--directory", folder, "--framework", "cloudformation", "--skip-download", "--compact", "--quiet"
    )


@pytest.mark.timeout(300)
def test_the_checks_find_what_is_wrong(tmp_path: Path) -> None:
    """`make aws` runs them over the stacks; here, over ones that were made worse."""
    text = (FOLDER / "signer.yaml").read_text()
    worse = tmp_path / "signer.yaml"
    worse.write_text(text.replace("Encrypted: true", "Encrypted: maybe").replace("MinSize:", "LeastSize:"))
    found = tool("cfn-lint", worse).stdout
    assert "LeastSize" in found and "maybe" in found
    worse.write_text(text.replace("HttpTokens: required", "HttpTokens: optional"))
    assert "CKV_AWS_79" in checkov(tmp_path).stdout


@pytest.mark.parametrize("name", STACKS)
def test_every_stack_says_whether_it_is_for_funds(name: str) -> None:
    document = stack(name)
    if name == "evaluation.yaml":
        assert "never for funds" in document["Description"]
        assert document["Outputs"]["Purpose"]["Value"] == "evaluation"
        for nested in resources(name, "AWS::CloudFormation::Stack").values():
            assert nested["Parameters"]["Purpose"] == "evaluation"
    else:
        assert document["Parameters"]["Purpose"]["Default"] == "production"
        assert document["Outputs"]["Purpose"]["Value"] == {"Ref": "Purpose"}


def test_two_signers_of_an_evaluation_are_in_two_fault_domains_and_ranges() -> None:
    nested = [each["Parameters"] for each in resources("evaluation.yaml", "AWS::CloudFormation::Stack").values()]
    for parameter in ("SignerName", "InstanceRoleName", "AvailabilityZone", "NetworkRange", "ArtifactSha256"):
        assert len({json.dumps(each[parameter]) for each in nested}) == len(nested) == 2
    declared = stack("signer.yaml")["Parameters"]
    for each in nested:
        assert each.keys() <= declared.keys()
        required = {key for key, value in declared.items() if "Default" not in value}
        assert required <= each.keys()


def test_the_parents_role_can_do_nothing_to_kms() -> None:
    """The key's own policy lets it in, with an attestation; a right of the role's would be one without."""
    roles = resources("signer.yaml", "AWS::IAM::Role") | resources("watch.yaml", "AWS::IAM::Role")
    for role in roles.values():
        assert "ManagedPolicyArns" not in role
        for policy in role["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                assert statement["Effect"] == "Allow"
                assert not any("*" in action or action.startswith(("kms:", "iam:", "sts:")) for action in actions)
                if statement["Resource"] == "*":
                    assert all(action.startswith(("ssm:", "ssmmessages:")) for action in actions)


def test_a_parent_can_run_enclaves_and_gives_nobody_its_credentials() -> None:
    [template] = resources("signer.yaml", "AWS::EC2::LaunchTemplate").values()
    data = template["LaunchTemplateData"]
    assert data["EnclaveOptions"] == {"Enabled": True}
    assert (
        data["MetadataOptions"]["HttpTokens"] == "required" and data["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    )
    assert all(not each["AssociatePublicIpAddress"] for each in data["NetworkInterfaces"])
    script = first_boot()
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
    assert script.index("sha256sum --check") < script.index("tar --extract") < script.index("parent/install")


def test_one_parent_for_one_signer_in_one_zone() -> None:
    [group] = resources("signer.yaml", "AWS::AutoScaling::AutoScalingGroup").values()
    assert {group["MinSize"], group["MaxSize"], group["DesiredCapacity"]} == {"1"}
    assert group["AvailabilityZones"] == [{"Ref": "AvailabilityZone"}]


def test_there_is_no_way_out_but_the_endpoints() -> None:
    kinds = {each["Type"] for each in stack("signer.yaml")["Resources"].values()}
    assert not kinds & {"AWS::EC2::InternetGateway", "AWS::EC2::NatGateway", "AWS::EC2::Route", "AWS::EC2::EIP"}
    endpoints = resources("signer.yaml", "AWS::EC2::VPCEndpoint")
    assert endpoints.pop("LinkEndpoint")["ServiceName"] == {"Ref": "HostService"}
    assert {each["ServiceName"]["Fn::Sub"].rpartition(".")[2] for each in endpoints.values()} == {
        "kms",
        "logs",
        "s3",
        "ssm",
        "ssmmessages",
    }
    [kms] = [each for each in endpoints.values() if each["ServiceName"]["Fn::Sub"].endswith("kms")]
    [statement] = kms["PolicyDocument"]["Statement"]
    assert set(statement["Action"]) == {
        "kms:GenerateDataKey",
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:GetKeyPolicy",
        "kms:ListGrants",
    }, "what the enclave asks for, and nothing else"


def test_nothing_comes_in_to_a_parent() -> None:
    """The link too is dialled from there."""
    ingress = resources("signer.yaml", "AWS::EC2::SecurityGroupIngress").values()
    assert {each["GroupId"]["Ref"] for each in ingress} == {"EndpointGroup", "LinkGroup"}
    groups = resources("signer.yaml", "AWS::EC2::SecurityGroup")
    assert not [name for name, each in groups.items() if "SecurityGroupIngress" in each]


def test_a_parent_reads_the_key_of_its_own_link_and_no_other_parameter() -> None:
    [policy] = resources("signer.yaml", "AWS::IAM::RolePolicy").values()
    [statement] = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == "ssm:GetParameter"
    assert statement["Resource"]["Fn::Sub"].endswith(":parameter/strongroom/${SignerName}/link-key")
    script = first_boot()
    assert "--name /strongroom/${SignerName}/link-key" in script
    assert script.index("umask 077") < script.index("link.key")


def test_the_way_in_to_the_host_is_for_named_accounts() -> None:
    [balancer] = resources("link.yaml", "AWS::ElasticLoadBalancingV2::LoadBalancer").values()
    assert balancer["Scheme"] == "internal"
    [service] = resources("link.yaml", "AWS::EC2::VPCEndpointService").values()
    assert service["AcceptanceRequired"] is True
    [permissions] = resources("link.yaml", "AWS::EC2::VPCEndpointServicePermissions").values()
    assert permissions["AllowedPrincipals"] == {"Ref": "SignerPrincipals"}
    [group] = resources("link.yaml", "AWS::EC2::SecurityGroup").values()
    assert "SecurityGroupIngress" not in group


# --- What wakes somebody ---

ALARMED = {
    "UseWithoutAttestation": ["Decrypt", "GenerateDataKey*", "Encrypt", "ReEncrypt*"],
    "PolicyChange": ["PutKeyPolicy"],
    "Grant": ["CreateGrant"],
    "Deletion": ["ScheduleKeyDeletion", "DisableKey"],
    "Blinding": ["StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors"],
}


@pytest.mark.parametrize("name", ALARMED)
def test_what_must_never_happen_has_an_alarm(name: str) -> None:
    filters = resources("watch.yaml", "AWS::Logs::MetricFilter")
    pattern = filters[name]["FilterPattern"]
    text = pattern if isinstance(pattern, str) else pattern["Fn::Sub"]
    assert re.findall(r'eventName = "([^"]+)"', text) == ALARMED[name]
    assert text.startswith("{ ") and text.endswith(" }") and text.count("(") == text.count(")")
    if name != "Blinding":
        assert '$.resources[0].ARN = "${KeyArn}"' in text
    assert ("attestationDocumentModuleId NOT EXISTS" in text) == (name == "UseWithoutAttestation")
    alarm = resources("watch.yaml", "AWS::CloudWatch::Alarm")[f"{name}Alarm"]
    [metric] = filters[name]["MetricTransformations"]
    assert (alarm["MetricName"], alarm["Namespace"]) == (metric["MetricName"], metric["MetricNamespace"])
    assert alarm["Threshold"] == 1 and alarm["AlarmActions"] == [{"Ref": "Alarms"}]


def test_records_cannot_be_unmade() -> None:
    [trail] = resources("watch.yaml", "AWS::CloudTrail::Trail").values()
    assert trail["EnableLogFileValidation"] and trail["IsMultiRegionTrail"]
    [bucket] = resources("watch.yaml", "AWS::S3::Bucket").values()
    assert bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]["Mode"] == "COMPLIANCE"


def test_names_of_log_groups_are_those_that_the_keys_let_in() -> None:
    for name in ("signer.yaml", "watch.yaml"):
        for group in resources(name, "AWS::Logs::LogGroup").values():
            assert group["LogGroupName"]["Fn::Sub"].startswith("strongroom-")
