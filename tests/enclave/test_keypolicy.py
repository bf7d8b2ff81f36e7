"""Keys that are not an enclave's alone, one weakness at a time, and what a signer makes of them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.errors import Refusal
from strongroom.evidence.keypolicy import digest, pcr17
from strongroom_client.cluster.authorities import key_policy
from strongroom_enclave.keypolicy import HARMLESS, KeyFacts, examine

ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234"
PCR0, PCR16 = b"\x0a" * 48, b"\x16" * 48
POLICY = key_policy({"pcr0": PCR0, "pcr16": PCR16})
METADATA = {
    "Arn": ARN,
    "Enabled": True,
    "KeySpec": "SYMMETRIC_DEFAULT",
    "KeyUsage": "ENCRYPT_DECRYPT",
    "Origin": "AWS_KMS",
    "KeyManager": "CUSTOMER",
    "MultiRegion": False,
}
ROOT = {"AWS": "arn:aws:iam::111122223333:root"}

Change = Callable[[dict[str, Any]], object]


def examined(policy: object, *, grants: int = 0, **metadata: object) -> bytes:
    text = policy if isinstance(policy, str) else json.dumps(policy)
    return examine(KeyFacts(text, grants, METADATA | metadata), ARN, PCR0, PCR16)


def refused(policy: object, **facts: Any) -> str:
    with pytest.raises(Refusal) as caught:
        examined(policy, **facts)
    assert caught.value.code == "key_policy"
    return caught.value.reason


def changed(change: Change) -> dict[str, Any]:
    policy = copy.deepcopy(POLICY)
    change(policy)
    return policy


def with_statement(**statement: object) -> dict[str, Any]:
    return {**POLICY, "Statement": [*POLICY["Statement"], {"Effect": "Allow", "Principal": ROOT, **statement}]}


def data_statement(policy: dict[str, Any]) -> dict[str, Any]:
    statement: dict[str, Any] = policy["Statement"][0]
    return statement


def conditions(policy: dict[str, Any]) -> dict[str, Any]:
    equal: dict[str, Any] = data_statement(policy)["Condition"]["StringEqualsIgnoreCase"]
    return equal


def test_a_key_for_this_enclave_alone() -> None:
    assert examined(POLICY) == digest(POLICY, ARN)


def test_what_an_operator_may_still_do() -> None:
    """Destroying a key is how an epoch ends; looking at it is how an auditor works."""
    for action in sorted(HARMLESS):
        examined(with_statement(Action=action, Resource="*"))
    examined(with_statement(Action=["KMS:DescribeKey", "kms:ScheduleKeyDeletion"], Resource="*"))


@pytest.mark.parametrize(
    "action",
    [
        "kms:*",
        "*",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "kms:Put*",
        "kms:PutKeyPolicy",
        "KMS:PUTKEYPOLICY",
        "kms:CreateGrant",
        "kms:ReEncryptFrom",
        "kms:ReEncrypt*",
        "kms:Encrypt",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:GenerateDataKeyPair",
        "kms:ReplicateKey",
        "kms:ImportKeyMaterial",
        "kms:DeriveSharedSecret",
        "kms:Describe?ey",
        ["kms:DescribeKey", "kms:PutKeyPolicy"],
        [],
        None,
        7,
    ],
)
def test_an_action_too_many(action: object) -> None:
    """The first is what every key has that was made in the console: root, and with it IAM, may do everything."""
    refused(with_statement(Action=action, Resource="*"))


def test_data_keys_and_something_else_in_one_statement() -> None:
    refused(changed(lambda policy: data_statement(policy)["Action"].append("kms:CreateGrant")))
    refused(changed(lambda policy: data_statement(policy)["Action"].append("kms:DescribeKey")))


def with_operator(operator: str) -> Change:
    def change(policy: dict[str, Any]) -> None:
        statement = data_statement(policy)
        statement["Condition"] = {operator: statement["Condition"]["StringEqualsIgnoreCase"]}

    return change


def with_condition(name: str, value: object) -> Change:
    return lambda policy: conditions(policy).update({f"kms:RecipientAttestation:{name}": value})


def with_member(name: str, value: object) -> Change:
    return lambda policy: data_statement(policy).update({name: value})


def without_image(policy: dict[str, Any]) -> None:
    for name in ("PCR0", "ImageSha384"):
        del conditions(policy)[f"kms:RecipientAttestation:{name}"]


WEAKER: dict[str, Change] = {
    "no condition": lambda policy: data_statement(policy).pop("Condition"),
    "any configuration": lambda policy: conditions(policy).pop("kms:RecipientAttestation:PCR16"),
    "any image": without_image,
    "another configuration": with_condition("PCR16", "00" * 48),
    "another configuration too": with_condition("PCR16", [PCR16.hex(), "00" * 48]),
    "a condition of nothing": with_condition("PCR16", []),
    "a wildcard in a value": with_condition("PCR16", PCR16.hex()[:-1] + "*"),
    "an operator with wildcards": with_operator("StringLike"),
    "an operator that absent keys pass": with_operator("StringEqualsIfExists"),
    "an operator that empty sets pass": with_operator("ForAllValues:StringEquals"),
    "everybody else": with_operator("StringNotEquals"),
    "conditions that are none": with_member("Condition", []),
    "an effect that is none": with_member("Effect", "allow"),
    "every other action": with_member("NotAction", "kms:Decrypt"),
    "every other principal": with_member("NotPrincipal", ROOT),
    "every other resource": with_member("NotResource", "x"),
    "a statement that is none": lambda policy: policy["Statement"].append("Allow"),
    "no statements": lambda policy: policy.pop("Statement"),
    "a list of no statements": lambda policy: policy["Statement"].clear(),
}


@pytest.mark.parametrize("how", WEAKER)
def test_a_statement_that_lets_somebody_else_in(how: str) -> None:
    refused(changed(WEAKER[how]))


def test_what_narrows_is_welcome() -> None:
    examined(changed(lambda policy: data_statement(policy).update(Principal=ROOT)))
    examined(changed(lambda policy: data_statement(policy)["Condition"].update(Bool={"aws:SecureTransport": "true"})))
    examined(changed(lambda policy: policy["Statement"].append({"Effect": "Deny", "NotAction": "kms:Decrypt"})))
    examined({**POLICY, "Statement": POLICY["Statement"][0]})
    examined(json.dumps(POLICY).replace("kms:RecipientAttestation", "KMS:recipientattestation"))


@pytest.mark.parametrize(
    "metadata",
    [
        {"Arn": ARN + "5"},
        {"Enabled": False},
        {"Origin": "EXTERNAL"},
        {"Origin": "AWS_CLOUDHSM"},
        {"Origin": "EXTERNAL_KEY_STORE"},
        {"MultiRegion": True},
        {"MultiRegion": None},
        {"KeyManager": "AWS"},
        {"KeySpec": "RSA_2048"},
        {"KeyUsage": "SIGN_VERIFY"},
    ],
)
def test_a_key_of_another_kind(metadata: dict[str, object]) -> None:
    assert next(iter(metadata)) in refused(POLICY, **metadata)


def test_a_grant() -> None:
    assert "grant" in refused(POLICY, grants=1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "[" * 40_000,
        json.dumps(POLICY) + "x",
        json.dumps(POLICY)[:-1] + ',"Statement":[]}',
        json.dumps({**POLICY, "Id": "x" * 33_000}),
    ],
)
def test_text_that_is_no_policy(text: str) -> None:
    refused(text)


@given(st.recursive(st.none() | st.booleans() | st.text(max_size=6), lambda inner: st.lists(inner, max_size=3)))
def test_any_value_anywhere_gives_a_refusal_or_a_digest(value: object) -> None:
    for member in ("Action", "Effect", "Condition", "Principal"):
        try:
            examined(changed(lambda policy, member=member: data_statement(policy).update({member: value})))  # type: ignore[misc]
        except Refusal as refusal:
            assert refusal.code == "key_policy"


def test_the_digest_is_of_the_policy_and_not_of_its_text() -> None:
    turned = json.loads(json.dumps(POLICY), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert examined(json.dumps(turned, indent=3)) == examined(POLICY)
    narrower = changed(lambda policy: data_statement(policy).update(Principal=ROOT))
    assert len({examined(POLICY), examined(narrower), digest(POLICY, ARN + "5"), pcr17(POLICY, ARN)}) == 4
