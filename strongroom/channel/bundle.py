"""Several signatures of one ceremony: their sessions, and their payloads in one envelope a round.

    session of signature i = H("strongroom/session/v1" ‖ ceremony[32] ‖ u8 i)
    bundle of k payloads   = the payload, where k = 1; else for each of them u32 length ‖ payload

Every signer knows k before the first message: it decodes it out of the intent, whose id the ceremony id covers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from strongroom import schemes
from strongroom.chains.effects import ToSign
from strongroom.errors import Refusal

MAX_SIGNATURES: Final = 16
"""Of one intent: a transaction's inputs."""

MAX_PARTS: Final = 75
"""Payloads of suites with pairwise state that one frame carries: 55,450 bytes each in DKLs23's second round, to and
from each of a signer's peers, in 4 MiB."""

_LENGTH: Final = 4


def most_signatures(threshold: int, *, pairwise: bool) -> int:
    """How many signatures one ceremony makes at most: fewer than 16 where six or more sign together by DKLs23."""
    return min(MAX_SIGNATURES, MAX_PARTS // (threshold - 1)) if pairwise else MAX_SIGNATURES


def session(ceremony: bytes, index: int) -> bytes:
    """What the native protocol of one signature is bound to, 32 bytes. index: from 0, in the order of `to_sign`."""
    return hashlib.sha256(b"strongroom/session/v1" + ceremony + bytes((index,))).digest()


def join(parts: Sequence[bytes]) -> bytes:
    if len(parts) == 1:
        return parts[0]
    return b"".join(piece for part in parts for piece in (len(part).to_bytes(_LENGTH, "big"), part))


def split(data: bytes, count: int) -> list[bytes]:
    """Exactly `count` payloads. Raises Refusal `malformed_message` for any other number."""
    if count == 1:
        return [data]
    parts: list[bytes] = []
    at = 0
    while len(parts) < count:
        start = at + _LENGTH
        at = start + int.from_bytes(data[at:start], "big")
        if at > len(data) or start > len(data):
            break
        parts.append(data[start:at])
    if len(parts) != count or at != len(data):
        raise Refusal("malformed_message", f"not the payloads of {count} signatures")
    return parts


def combine(
    scheme: str, package: bytes, ceremony: bytes, to_sign: Sequence[ToSign], contributions: Sequence[tuple[int, bytes]]
) -> list[bytes]:
    """The signatures, verified, in the order of `to_sign`. contributions: (party number, last result of the ceremony).

    Raises Refusal as `schemes.combine` for the first that fails.
    """
    parts = [(number, split(result, len(to_sign))) for number, result in contributions]
    return [
        schemes.combine(
            scheme,
            package,
            session(ceremony, index),
            each.message,
            [(number, mine[index]) for number, mine in parts],
            each.path,
        )
        for index, each in enumerate(to_sign)
    ]
