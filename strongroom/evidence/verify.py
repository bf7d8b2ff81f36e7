"""The facade: evidence of either root in, a `Statement` out, or a Refusal."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from strongroom.errors import Refusal
from strongroom.evidence import nitro, pkcs11
from strongroom.evidence.statement import Root, Statement, TrustRoot

_VERIFIERS: Final[Mapping[Root, Callable[..., Statement]]] = {"nitro": nitro.verify, "pkcs11": pkcs11.verify}


def verify(document: bytes, *, kind: Root, roots: Sequence[TrustRoot], at: int) -> Statement:
    """Verifies against the pinned roots of this kind, at the time `at` in Unix seconds.

    Raises Refusal: an evidence code; `evidence_root` where no root of this kind is pinned, or none of them matches.
    Every other reason is the reason of the root that matched.
    """
    refusal = Refusal("evidence_root", f"no {kind} root is pinned here")
    for root in roots:
        if root.kind != kind:
            continue
        try:
            return _VERIFIERS[kind](document, root=root, at=at)
        except Refusal as error:
            if error.code != "evidence_root":
                raise
            refusal = error
    raise refusal


def read_document(raw: bytes) -> bytes:
    """A document as people pass it around: raw bytes, or base64 text with white space. Raises `evidence_malformed`."""
    # A COSE_Sign1 starts with 0x84 and PKCS#11 evidence with a CBOR map: neither is ASCII.
    text = bytes(each for each in raw if each not in b" \t\r\n")
    if not text or not text.isascii():
        return raw
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise Refusal("evidence_malformed", "the document is neither CBOR nor base64") from error
