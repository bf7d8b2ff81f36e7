"""Ways in which a KMS, or whoever stands before it, can misbehave: for tests alone.

The switch is a file with one line, read at each request; absent or empty means honesty:

    throttle            every request is throttled
    outage              every request ends in an internal error
    silent              no request is ever answered
    stale <access key>  whoever signs with these credentials is told that they have expired
    other-key <ARN>     the work is done under another key, and the answer says so
    relabel <ARN>       an honest answer claims to come from another key
    replay              every answer of an operation is the first one given since the switch was set
    lacking <field>     an honest answer without one of its fields
    plaintext           the answer holds the data key in the clear as well
    forge               the answer's envelope holds a key of the forger's choice, encrypted to the document's public key
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from strongroom.evidence import cose
from strongroom_simulator.envelope import envelop
from strongroom_simulator.kms import Answer, Body, Kms, KmsError

FORGED_KEY: Final = b"\x66" * 32
_SILENCE: Final = 3600

Respond = Callable[[str, Body, str], Answer]
"""Operation, body, and the id of the access key that signed."""


class Faults:
    """Stands before a KMS. switch: None turns it into the KMS itself."""

    def __init__(self, kms: Kms, switch: Path | None) -> None:
        self._kms = kms
        self._switch = switch
        self._first: dict[str, Answer] = {}

    def answer(self, target: str, body: Body, caller: str = "") -> Answer:
        fault, _, argument = self._read().partition(" ")
        if fault != "replay":
            self._first.clear()
        if fault == "throttle":
            return KmsError("ThrottlingException", "Rate exceeded").answer
        if fault == "outage":
            return KmsError("KMSInternalException", "out of order", 500).answer
        if fault == "stale" and caller == argument:
            return KmsError("ExpiredTokenException", "The security token included in the request is expired").answer
        if fault == "silent":
            time.sleep(_SILENCE)
        if fault == "other-key":
            body = body | {"KeyId": argument}
        answer = self._kms.answer(target, body)
        if fault == "replay":
            return self._first.setdefault(target, answer)
        return _altered(fault, argument, body, answer)

    def _read(self) -> str:
        if self._switch is None:
            return ""
        try:
            return self._switch.read_text().strip()
        except FileNotFoundError:
            return ""


def _altered(fault: str, argument: str, body: Body, answer: Answer) -> Answer:
    if answer.status != 200:
        return answer
    if fault == "relabel":
        return Answer(200, answer.body | {"KeyId": argument})
    if fault == "lacking":
        return Answer(200, {name: value for name, value in answer.body.items() if name != argument})
    if fault == "plaintext":
        return Answer(200, answer.body | {"Plaintext": base64.b64encode(FORGED_KEY).decode()})
    if fault == "forge":
        return Answer(200, answer.body | {"CiphertextForRecipient": forged_envelope(body)})
    return answer


def forged_envelope(body: Body) -> str:
    """What any onlooker can make: the document shows the enclave's public key to whoever carries it."""
    document = base64.b64decode(body["Recipient"]["AttestationDocument"])
    fields = cose.read(cose.parse(document).payload, "the payload")
    raw = fields["public_key"] if isinstance(fields, dict) else None
    key = serialization.load_der_public_key(raw if isinstance(raw, bytes) else b"")
    if not isinstance(key, rsa.RSAPublicKey):
        raise TypeError("the document's public key is not RSA")
    return base64.b64encode(envelop(FORGED_KEY, key)).decode()
