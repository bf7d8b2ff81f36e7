"""Key policies: as much of IAM's language as a signer's key needs, and a refusal of everything else.

A statement applies when its action matches and all its conditions hold. A condition on an absent key fails, but for
Null, so a policy that demands a measurement refuses every caller without an attestation document. Deny wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from strongroom.evidence.statement import Statement

IMAGE: Final = "kms:RecipientAttestation:ImageSha384"
REGISTER: Final = "kms:RecipientAttestation:PCR"
CONTEXT: Final = "kms:EncryptionContext:"
LOOKS: Final = ("kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants")
"""What a signer asks at its start, to see that the key is its own alone."""

_OPERATORS: Final = {
    "ArnEquals": lambda wanted, given: wanted == given,
    "StringEquals": lambda wanted, given: wanted == given,
    "StringEqualsIgnoreCase": lambda wanted, given: wanted.lower() == given.lower(),
}
_ABSENT: Final = "Null"
"""Its keys are to be absent where the value is "true", and there where it is "false"."""


def for_measurements(registers: Mapping[int, bytes]) -> dict[str, Any]:
    """The policy of a signer's key: data keys for an enclave with these registers; everybody may look at it."""
    conditions = {f"{REGISTER}{index}": value.hex() for index, value in sorted(registers.items())}
    if 0 in registers:
        conditions[IMAGE] = registers[0].hex()
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": "*",
                "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
                "Resource": "*",
                "Condition": {"StringEqualsIgnoreCase": conditions},
            },
            {"Effect": "Allow", "Principal": "*", "Action": list(LOOKS), "Resource": "*"},
        ],
    }


def allows(
    policy: Mapping[str, Any],
    action: str,
    statement: Statement | None,
    context: Mapping[str, str],
    caller: Mapping[str, str] | None = None,
) -> bool:
    """statement: of the attestation document, verified, or None for a caller without one. caller: global keys of the
    request, such as aws:PrincipalArn, of which the simulated KMS knows none."""
    keys = _condition_keys(statement, context) | dict(caller or {})
    effects = {each["Effect"] for each in policy["Statement"] if _applies(each, action, keys)}
    if not effects <= {"Allow", "Deny"}:
        raise ValueError(f"unknown effects: {effects}")
    return effects == {"Allow"}


def _condition_keys(statement: Statement | None, context: Mapping[str, str]) -> dict[str, str]:
    keys = {CONTEXT + name: value for name, value in context.items()}
    if statement is not None:
        for name, value in statement.measurements.items():
            keys[REGISTER + name.removeprefix("pcr")] = value.hex()
        keys[IMAGE] = statement.measurements["pcr0"].hex()
    return keys


def _applies(statement: Mapping[str, Any], action: str, keys: Mapping[str, str]) -> bool:
    unknown = statement.keys() - {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
    operators = statement.get("Condition", {})
    if unknown or operators.keys() - _OPERATORS.keys() - {_ABSENT}:
        raise ValueError(f"the simulator does not know all of {sorted(unknown)} and {sorted(operators)}")
    if not {action, "kms:*"} & set(_listed(statement["Action"])):
        return False
    return all(
        _holds(operator, keys.get(key), _listed(values))
        for operator, conditions in operators.items()
        for key, values in conditions.items()
    )


def _holds(operator: str, given: str | None, values: list[str]) -> bool:
    if operator == _ABSENT:
        return values == ["true" if given is None else "false"]
    return given is not None and any(_OPERATORS[operator](wanted, given) for wanted in values)


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
