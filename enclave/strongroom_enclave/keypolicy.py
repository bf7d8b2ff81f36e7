"""Whether anybody but this enclave can have a data key of its KMS key: judged from what KMS says of the key.

Encryption at rest is worth what the key's policy is worth, and a policy that can be changed is worth nothing. So, in
this order, each refused with `key_policy`:

 1. The key is the pinned one: symmetric, enabled, and its material was made by KMS, which never gives it out. Imported
    material has a copy elsewhere; an external or a custom key store has administrators of its own; a multi-Region key
    has replicas, each with a policy that is not this one.
 2. There is no grant: a grant lets its grantee in beside the policy.
 3. Every statement that allows something allows either nothing that reaches a data key (HARMLESS), or data keys to an
    enclave with this very image and configuration (PCR0 and PCR16): conditions of one statement must all hold, so
    others beside these only narrow it.

Nobody, root and what root delegates to IAM included, may therefore change the policy, create a grant, encrypt again
under another key, or have a data key in the clear: none of those actions is in HARMLESS, and no wildcard is.
What KMS itself would do behind its policy is AWS's word, as the rest of the enclave is.

Source: AWS KMS developer guide, "Key policies in AWS KMS", "Condition keys for AWS KMS" (kms:RecipientAttestation),
and the service authorization reference for the names of actions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from strongroom.errors import Refusal
from strongroom.evidence.keypolicy import digest

MAX_POLICY: Final = 32 << 10
"""Bytes: KMS's own limit for a key policy."""

HARMLESS: Final = frozenset(
    {
        # They look.
        "kms:describekey",
        "kms:getkeypolicy",
        "kms:getkeyrotationstatus",
        "kms:listgrants",
        "kms:listkeypolicies",
        "kms:listkeyrotations",
        "kms:listresourcetags",
        # They take something away, or name it otherwise: service stops, and nothing is learned.
        "kms:cancelkeydeletion",
        "kms:disablekey",
        "kms:enablekey",
        "kms:retiregrant",
        "kms:revokegrant",
        "kms:schedulekeydeletion",
        "kms:tagresource",
        "kms:untagresource",
        "kms:updatekeydescription",
        # The key's material is made anew within KMS, and older material kept there.
        "kms:disablekeyrotation",
        "kms:enablekeyrotation",
        "kms:rotatekeyondemand",
    }
)
DATA: Final = frozenset({"kms:generatedatakey", "kms:decrypt"})

_IMAGE: Final = frozenset({"kms:recipientattestation:imagesha384", "kms:recipientattestation:pcr0"})
_CONFIGURATION: Final = frozenset({"kms:recipientattestation:pcr16"})
_EQUALITY: Final = frozenset({"stringequals", "stringequalsignorecase"})
_WIDENING: Final = frozenset({"NotAction", "NotPrincipal", "NotResource"})


@dataclass(frozen=True)
class KeyFacts:
    """As GetKeyPolicy, ListGrants and DescribeKey answer. grants: how many there are, as far as one page tells."""

    policy: str
    grants: int
    metadata: Mapping[str, Any]


def examine(facts: KeyFacts, arn: str, pcr0: bytes, pcr16: bytes) -> bytes:
    """48 bytes: the digest of what was examined, for PCR17. Raises Refusal `key_policy`."""
    _examine_metadata(facts.metadata, arn)
    if facts.grants:
        raise _unsafe("there is a grant, which lets its grantee in beside the policy")
    policy = _parse(facts.policy)
    statements = policy.get("Statement")
    for number, statement in enumerate([statements] if isinstance(statements, dict) else _list(statements), 1):
        _examine_statement(statement, f"statement {number}", pcr0, pcr16)
    return digest(policy, arn)


def _examine_metadata(metadata: Mapping[str, Any], arn: str) -> None:
    wanted: Mapping[str, object] = {
        "Arn": arn,
        "Enabled": True,
        "KeySpec": "SYMMETRIC_DEFAULT",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "Origin": "AWS_KMS",
        "KeyManager": "CUSTOMER",
        "MultiRegion": False,
    }
    for name, value in wanted.items():
        if metadata.get(name) != value:
            raise _unsafe(f"the key's {name} is {str(metadata.get(name))[:80]}, not {value}")


def _examine_statement(statement: object, where: str, pcr0: bytes, pcr16: bytes) -> None:
    if not isinstance(statement, dict):
        raise _unsafe(f"{where} is no object")
    effect = statement.get("Effect")
    if effect == "Deny":
        return  # It only takes away.
    if effect != "Allow" or _WIDENING & statement.keys():
        raise _unsafe(f"{where} allows whatever it does not name")
    asked = {_text(action).lower() for action in _list(statement.get("Action"))}
    if asked <= HARMLESS:
        return
    if not asked <= DATA:
        raise _unsafe(f"{where} allows {', '.join(sorted(asked - HARMLESS - DATA) or sorted(asked))[:120]}")
    if not (_pinned(statement, _IMAGE, pcr0) and _pinned(statement, _CONFIGURATION, pcr16)):
        raise _unsafe(f"{where} gives data keys to others than this image (PCR0) in this configuration (PCR16)")


def _pinned(statement: Mapping[str, Any], keys: frozenset[str], register: bytes) -> bool:
    """Whether a condition holds for this value of the register alone."""
    conditions = statement.get("Condition")
    if not isinstance(conditions, dict):
        return False
    for operator, tested in conditions.items():
        if operator.lower() not in _EQUALITY or not isinstance(tested, dict):
            continue
        for key, values in tested.items():
            if key.lower() in keys and {_text(value).lower() for value in _list(values)} == {register.hex()}:
                return True
    return False


def _parse(text: str) -> dict[str, Any]:
    try:
        policy = json.loads(text, object_pairs_hook=_unique) if len(text) <= MAX_POLICY else None
    except (ValueError, RecursionError):
        policy = None
    if not isinstance(policy, dict):
        raise _unsafe("the policy is no JSON object of at most 32 KiB, or names a member twice")
    return policy


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two readers of a member that stands twice may each see another one."""
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError
    return read


def _list(value: object) -> list[Any]:
    """IAM writes a list of one as its item. Raises Refusal for an empty one, which would hold for nothing or all."""
    items = value if isinstance(value, list) else [value]
    if not items or items == [None]:
        raise _unsafe("a list is empty")
    return items


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _unsafe("a name or a value is no text")
    return value


def _unsafe(reason: str) -> Refusal:
    return Refusal("key_policy", f"the KMS key is not this enclave's alone: {reason}")
