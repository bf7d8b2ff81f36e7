"""Directives that officers of the tests sign."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from strongroom.policy.directives import (
    Directive,
    Document,
    NextOfficers,
    body_of,
    directive_signing_bytes,
    officers_hash,
)
from strongroom.policy.document import Policy
from strongroom.signer.configuration import Officers
from tests.wallet.orders import OFFICER_KEYS, OFFICERS

QUORUM = tuple(OFFICER_KEYS)[:2]


def sign(document: Document, signers: Sequence[bytes] = QUORUM) -> Directive:
    kind, body = body_of(document)
    message = directive_signing_bytes(kind, body)
    return Directive.of(kind, body, {key: OFFICER_KEYS[key].sign(message) for key in signers})


def successor(policy: Policy, wallet: bytes, **changes: Any) -> Policy:
    fields = {"wallet": wallet, "version": policy.version + 1, "previous": policy.digest(), **changes}
    return dataclasses.replace(policy, **fields)


def next_officers(of: bytes, keys: Sequence[bytes], quorum: int, **changes: Any) -> NextOfficers:
    first = NextOfficers(of, 2, officers_hash(OFFICERS), Officers(tuple(sorted(keys)), quorum))
    return dataclasses.replace(first, **changes)
