"""Officers sign directives here, with their own keys, over bytes that they can look at first."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.errors import Refusal
from strongroom.policy.directives import (
    Directive,
    Document,
    body_of,
    directive_signing_bytes,
)
from strongroom.policy.document import Policy
from strongroom.signer.configuration import Officers
from strongroom_client import keyfiles


def unsigned(document: Document) -> Directive:
    kind, body = body_of(document)
    return Directive(kind, body, ())


def sign(directive: Directive, keys: Iterable[Ed25519PrivateKey]) -> Directive:
    """With these signatures beside those that it has."""
    message = directive_signing_bytes(directive.kind, directive.body)
    added = {keyfiles.public(key): key.sign(message) for key in keys}
    return Directive.of(directive.kind, directive.body, {**dict(directive.signatures), **added})


def successor(policy: Policy, newest: Policy, wallet: bytes) -> Policy:
    """What a file says, as the version after the newest: a file may be a copy of any earlier one. Raises Refusal."""
    if policy.wallet not in (None, wallet):
        raise Refusal("directive_mismatch", "the file is a policy of another wallet")
    return dataclasses.replace(policy, wallet=wallet, version=newest.version + 1, previous=newest.digest())


def signed_by(directive: Directive, officers: Officers) -> int:
    """How many of these officers signed it. Raises Refusal for a signature that does not verify."""
    directive.verify(officers, 0)
    return len(directive.signatures)
