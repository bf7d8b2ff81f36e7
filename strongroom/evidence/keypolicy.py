"""The digest of a KMS key's policy, which a Nitro signer extends into PCR17 (docs/specification.md section 7).

Whoever reviewed the policy computes the register from it, and pins that in a roster.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def digest(policy: Mapping[str, Any], arn: str) -> bytes:
    """48 bytes. The same whoever writes the policy down: white space and the order of members do not count."""
    canonical = json.dumps(policy, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    named = arn.encode()
    return hashlib.sha384(b"strongroom/key-policy/v1" + len(named).to_bytes(2, "big") + named + canonical).digest()


def pcr17(policy: Mapping[str, Any], arn: str) -> bytes:
    """The register after the digest was extended into 48 zero bytes."""
    return hashlib.sha384(bytes(48) + digest(policy, arn)).digest()
