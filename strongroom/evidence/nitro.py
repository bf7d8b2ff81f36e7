"""Verifies an attestation document of an AWS Nitro enclave, without a clock and without the network.

The rules, in the order in which they are applied, so that the reason given is the most telling one:

 1. The document is an untagged COSE_Sign1, ES384, at most 32 KiB, in strict CBOR            evidence_malformed
 2. Its payload has the fields of the NSM's specification, no others, each within bounds       evidence_malformed
 3. The first certificate of its bundle is the pinned root, by SHA-256                         evidence_root
 4. All certificates parse and have P-384 keys                                                 evidence_chain
 5. The document is signed by the key of its leaf                                              evidence_signature
 6. It was made within the certificates' lives and not after the verifier's time               evidence_expired
 7. The certificates are alive at the verifier's time                                          evidence_expired
 8. They form one path from the root to the leaf                                               evidence_chain
 9. The enclave is not in debug mode: PCR0 is not zero                                         evidence_debug

How old a document may be is no rule here: a peer's document is fresh by our nonce and our clock. To judge a stored
document, give its own time.

Source: github.com/aws/aws-nitro-enclaves-nsm-api, docs/attestation_process.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from strongroom.errors import Refusal
from strongroom.evidence import cose
from strongroom.evidence.chain import MAX_BUNDLE, Path
from strongroom.evidence.cose import malformed
from strongroom.evidence.statement import Statement, TrustRoot
from strongroom.wire import cbor

SKEW: Final = 300
"""Seconds by which a document may be ahead of the verifier's clock. Then it is judged at its own time."""

MAX_CERTIFICATE: Final = 1024
MAX_PUBLIC_KEY: Final = 1024
MAX_USER_DATA: Final = 512
MAX_NONCE: Final = 512
MAX_PCRS: Final = 32
PCR_SIZE: Final = 48

_DEBUG: Final = bytes(PCR_SIZE)


@dataclass(frozen=True)
class _Payload:
    """timestamp: Unix seconds, rounded down. pcrs by index. bundle: root first."""

    module_id: str
    timestamp: int
    pcrs: Mapping[int, bytes]
    certificate: bytes
    bundle: tuple[bytes, ...]
    public_key: bytes | None
    user_data: bytes | None
    nonce: bytes | None


def verify(document: bytes, *, root: TrustRoot, at: int) -> Statement:
    """The document's content, once every rule above holds at the time `at` (Unix seconds). Raises Refusal."""
    # 1, 2
    signed = cose.parse(document)
    payload = _parse_payload(signed.payload)
    # 3
    if root.kind != "nitro" or hashlib.sha256(payload.bundle[0]).digest() != root.fingerprint:
        raise Refusal("evidence_root", f"the document's root is not the one pinned for mode {root.mode}")
    # 4, 5
    path = Path.parse(payload.bundle, payload.certificate)
    signed.verify(path.leaf_key)
    # 6, 7: a verifier whose clock is a little behind must not refuse a leaf as not yet valid.
    judged = max(at, payload.timestamp)
    if judged - at > SKEW:
        raise Refusal("evidence_expired", f"the document is {judged - at} s ahead of the clock that judges it")
    if not path.begins <= payload.timestamp <= path.expires:
        raise Refusal("evidence_expired", "the document was made outside its certificates' lives")
    if judged > path.expires:
        raise Refusal("evidence_expired", f"its certificate ended {judged - path.expires} s ago")
    # 8
    path.verify(judged)
    # 9
    if payload.pcrs[0] == _DEBUG:
        raise Refusal("evidence_debug", "PCR0 is zero: the enclave runs in debug mode")
    return Statement(
        root="nitro",
        mode=root.mode,
        subject=payload.module_id,
        timestamp=payload.timestamp,
        expires=path.expires,
        nonce=payload.nonce,
        user_data=payload.user_data,
        public_key=payload.public_key,
        measurements=_named(payload.pcrs),
    )


def unverified_timestamp(document: bytes) -> int:
    """Unix seconds, as the document says itself: for `--at`, to judge a stored document at its own time."""
    return _parse_payload(cose.parse(document).payload).timestamp


def unverified_registers(document: bytes) -> dict[str, bytes]:
    """Its measurements, as the document says itself: of a document of one's own, or to show them."""
    return _named(_parse_payload(cose.parse(document).payload).pcrs)


def unverified_chain(document: bytes) -> Path:
    """Its certificates, root first, as the document says itself: to show them, whatever `verify` makes of it."""
    payload = _parse_payload(cose.parse(document).payload)
    return Path.parse(payload.bundle, payload.certificate)


_FIELDS: Final = frozenset({"module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"})
_OPTIONAL: Final = frozenset({"public_key", "user_data", "nonce"})


def _parse_payload(raw: bytes) -> _Payload:
    fields = cose.read(raw, "the payload")
    if not isinstance(fields, dict) or not _FIELDS <= fields.keys() <= _FIELDS | _OPTIONAL:
        raise malformed("the payload's fields are not those of the specification")
    if fields["digest"] != "SHA384":
        raise malformed("digest is not SHA384")
    return _Payload(
        module_id=_module_id(fields["module_id"]),
        timestamp=_timestamp(fields["timestamp"]),
        pcrs=_pcrs(fields["pcrs"]),
        certificate=_blob(fields["certificate"], "certificate", MAX_CERTIFICATE),
        bundle=_bundle(fields["cabundle"]),
        public_key=_optional(fields.get("public_key"), "public_key", MAX_PUBLIC_KEY),
        user_data=_optional(fields.get("user_data"), "user_data", MAX_USER_DATA),
        nonce=_optional(fields.get("nonce"), "nonce", MAX_NONCE),
    )


def _named(pcrs: Mapping[int, bytes]) -> dict[str, bytes]:
    return {f"pcr{index}": value for index, value in sorted(pcrs.items())}


def _module_id(value: cbor.Foreign) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 256:
        raise malformed("module_id is not text of 1 to 256 characters")
    return value


def _timestamp(value: cbor.Foreign) -> int:
    # Bounded so that it can become a date: 2^43 milliseconds end in the year 2248.
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 43:
        raise malformed("timestamp is not a time in milliseconds")
    return value // 1000


def _pcrs(value: cbor.Foreign) -> dict[int, bytes]:
    if not isinstance(value, dict):
        raise malformed("pcrs is not a map")
    registers: dict[int, bytes] = {}
    for index, register in value.items():
        if not isinstance(index, int) or not 0 <= index < MAX_PCRS:
            raise malformed("a PCR's index is not 0 to 31")
        # The specification allows 32, 48 and 64 bytes; with digest SHA384 a register has 48.
        if not isinstance(register, bytes) or len(register) != PCR_SIZE:
            raise malformed(f"PCR{index} is not {PCR_SIZE} bytes")
        registers[index] = register
    if 0 not in registers:
        raise malformed("PCR0, which tells a debug enclave, is absent")
    return registers


def _bundle(value: cbor.Foreign) -> tuple[bytes, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_BUNDLE:
        raise malformed(f"cabundle is not a list of 1 to {MAX_BUNDLE} certificates")
    return tuple(_blob(each, "a certificate of cabundle", MAX_CERTIFICATE) for each in value)


def _blob(value: cbor.Foreign, what: str, most: int) -> bytes:
    if not isinstance(value, bytes) or not 1 <= len(value) <= most:
        raise malformed(f"{what} is not 1 to {most} bytes")
    return value


def _optional(value: cbor.Foreign, what: str, most: int) -> bytes | None:
    # AWS's specification says 1 byte at least for public_key; its NSM also writes empty ones (marlin's documents
    # have an empty user_data).
    if value is None:
        return None
    if not isinstance(value, bytes) or len(value) > most:
        raise malformed(f"{what} is not at most {most} bytes")
    return value
