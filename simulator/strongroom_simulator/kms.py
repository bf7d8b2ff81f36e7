"""AWS KMS for enclaves: GenerateDataKey and Decrypt with a `Recipient`, and what a key's own user may look at; in JSON
1.1, without the wire.

The document is verified as the signers verify it, against the simulated root; the answer's key is encrypted to the
public key inside. A `Plaintext` is never in an answer to a `Recipient`; a caller without one has the policy against it.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from strongroom.errors import Refusal
from strongroom.evidence import nitro
from strongroom.evidence.statement import Statement, TrustRoot
from strongroom_simulator import keypolicy
from strongroom_simulator.envelope import envelop
from strongroom_simulator.keystore import Key, KeyStore

Body = dict[str, Any]

MAX_DOCUMENT_AGE: Final = 300
"""Seconds for which KMS takes a document, as AWS does."""


@dataclass(frozen=True)
class Answer:
    status: int
    body: Body


class KmsError(Exception):
    """type: the exception's name, as AWS's SDKs know it."""

    def __init__(self, type: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.answer = Answer(status, {"__type": type, "message": message})


class Kms:
    """Thread-safe. now: Unix seconds."""

    def __init__(self, keys: KeyStore, root: TrustRoot, now: Callable[[], float]) -> None:
        self._keys = keys
        self._root = root
        self._now = now
        self._operations: Mapping[str, Callable[[Body], Body]] = {
            "TrentService.GenerateDataKey": self._generate,
            "TrentService.Decrypt": self._decrypt,
            "TrentService.DescribeKey": self._describe,
            "TrentService.GetKeyPolicy": self._policy,
            "TrentService.ListGrants": self._grants,
        }

    def answer(self, target: str, body: Body) -> Answer:
        operation = self._operations.get(target)
        if operation is None:
            return KmsError("UnknownOperationException", f"the simulator has no {target}").answer
        try:
            return Answer(200, operation(body))
        except KmsError as error:
            return error.answer

    def _describe(self, body: Body) -> Body:
        return {"KeyMetadata": self._looked_at("kms:DescribeKey", body).metadata}

    def _policy(self, body: Body) -> Body:
        key = self._looked_at("kms:GetKeyPolicy", body)
        if body.get("PolicyName", "default") != "default":
            raise KmsError("NotFoundException", "a key has one policy, named default")
        return {"Policy": json.dumps(key.policy, indent=2), "PolicyName": "default"}

    def _grants(self, body: Body) -> Body:
        key, most = self._looked_at("kms:ListGrants", body), int(body.get("Limit", 50))
        return {"Grants": list(key.grants[:most]), "Truncated": len(key.grants) > most}

    def _looked_at(self, action: str, body: Body) -> Key:
        key = self._named(body)
        if not keypolicy.allows(key.policy, action, None, {}):
            raise KmsError("AccessDeniedException", f"{action} is not allowed by the policy of {key.arn}")
        return key

    def _named(self, body: Body) -> Key:
        key = self._keys.find(str(body.get("KeyId", "")))
        if key is None:
            raise KmsError("NotFoundException", "no such key")
        return key

    def _generate(self, body: Body) -> Body:
        key = self._named(body)
        if (body.get("KeySpec"), body.get("NumberOfBytes")) not in (("AES_256", None), (None, 32)):
            raise KmsError("ValidationException", "data keys have 32 bytes")
        statement, context = self._authorize("kms:GenerateDataKey", key, body)
        plaintext = os.urandom(32)
        blob = base64.b64encode(key.wrap(plaintext, context)).decode()
        return {"CiphertextBlob": blob, **_release(key, plaintext, statement)}

    def _decrypt(self, body: Body) -> Body:
        blob = _blob(body, "CiphertextBlob")
        key = self._keys.made(blob)
        if key is None:
            raise KmsError("InvalidCiphertextException", "the ciphertext names no key of this KMS")
        if "KeyId" in body and self._keys.find(str(body["KeyId"])) != key:
            raise KmsError("IncorrectKeyException", "the ciphertext was made under another key")
        statement, context = self._authorize("kms:Decrypt", key, body)
        plaintext = key.unwrap(blob, context)
        if plaintext is None:
            raise KmsError("InvalidCiphertextException", "the ciphertext was changed, or its context is another")
        return {"EncryptionAlgorithm": "SYMMETRIC_DEFAULT", **_release(key, plaintext, statement)}

    def _authorize(self, action: str, key: Key, body: Body) -> tuple[Statement | None, dict[str, str]]:
        context = body.get("EncryptionContext") or {}
        statement = self._recipient(body["Recipient"]) if "Recipient" in body else None
        if not keypolicy.allows(key.policy, action, statement, context):
            raise KmsError("AccessDeniedException", f"{action} is not allowed by the policy of {key.arn}")
        return statement, context

    def _recipient(self, recipient: Body) -> Statement:
        if recipient.get("KeyEncryptionAlgorithm") != "RSAES_OAEP_SHA_256":
            raise KmsError("ValidationException", "KeyEncryptionAlgorithm is RSAES_OAEP_SHA_256")
        now = int(self._now())
        try:
            statement = nitro.verify(_blob(recipient, "AttestationDocument"), root=self._root, at=now)
        except Refusal as error:
            raise KmsError("ValidationException", f"the attestation document is refused: {error}") from error
        if now - statement.timestamp > MAX_DOCUMENT_AGE:
            raise KmsError("ValidationException", f"the attestation document is {now - statement.timestamp} s old")
        return statement


def _release(key: Key, plaintext: bytes, statement: Statement | None) -> Body:
    if statement is None:
        return {"KeyId": key.arn, "Plaintext": base64.b64encode(plaintext).decode()}
    envelope = envelop(plaintext, _recipient_key(statement))
    return {"KeyId": key.arn, "CiphertextForRecipient": base64.b64encode(envelope).decode()}


def _recipient_key(statement: Statement) -> rsa.RSAPublicKey:
    try:
        key = serialization.load_der_public_key(statement.public_key or b"")
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KmsError("ValidationException", "the document's public key cannot be read") from error
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < 2048:
        raise KmsError("ValidationException", "the document's public key is not RSA of 2048 bits or more")
    return key


def _blob(body: Body, field: str) -> bytes:
    try:
        return base64.b64decode(body[field], validate=True)
    except (KeyError, TypeError, binascii.Error) as error:
        raise KmsError("ValidationException", f"{field} is not base64") from error
