"""Judges one attestation document from a file: genuine, for which root, what it measures, and why not."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from strongroom.errors import Refusal
from strongroom.evidence import verify as evidence
from strongroom.evidence.statement import AWS_NITRO_ROOT, Mode, Root, Statement, TrustRoot, require_measurements


@dataclass(frozen=True)
class Judgement:
    """statement: where the document is accepted; refusal: where it is not. at: Unix seconds it was judged at."""

    mode: Mode
    at: int
    statement: Statement | None
    refusal: Refusal | None


def trust_root(mode: Mode, root: Path | None, kind: Root = "nitro") -> TrustRoot:
    """AWS's root in production, and no other; a certificate's file in mode simulated. Raises Refusal."""
    if mode == "production":
        if root is not None:
            raise Refusal("mode_mismatch", "another root than AWS's is taken with --mode simulated alone")
        return TrustRoot("nitro", "production", AWS_NITRO_ROOT)
    if root is None:
        raise Refusal("mode_mismatch", "mode simulated needs --root FILE: which simulated root is to be believed")
    return TrustRoot(kind, "simulated", hashlib.sha256(read_certificate(root)).digest())


def read_certificate(path: Path) -> bytes:
    """The DER of a certificate in PEM or DER. Raises Refusal `bad_file`."""
    try:
        raw = path.read_bytes()
        load = x509.load_pem_x509_certificate if b"-----BEGIN" in raw else x509.load_der_x509_certificate
        return load(raw).public_bytes(Encoding.DER)
    except OSError as error:
        raise Refusal("bad_file", f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Refusal("bad_file", f"{path} is no certificate in PEM or DER") from error


def judge(document: bytes, root: TrustRoot, at: int) -> Judgement:
    """document: raw or base64."""
    try:
        statement = evidence.verify(evidence.read_document(document), kind=root.kind, roots=[root], at=at)
    except Refusal as refusal:
        return Judgement(root.mode, at, None, refusal)
    return Judgement(root.mode, at, statement, None)


def parse_time(text: str) -> int:
    """Unix seconds, or ISO 8601 (without a zone: UTC). Raises ValueError."""
    if text.isascii() and text.isdigit():
        return int(text)
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def show_time(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def judge_answer(
    document: bytes, root: TrustRoot, at: int, nonce: bytes, measurements: Mapping[str, bytes] | None = None
) -> Judgement:
    """Judges an answer to a question of ours: the nonce must be there too, and measurements, where they are known."""
    judgement = judge(document, root, at)
    try:
        if judgement.statement is not None and judgement.statement.nonce != nonce:
            raise Refusal("evidence_nonce", "the document carries another nonce than the one asked with")
        if judgement.statement is not None:
            require_measurements(judgement.statement, measurements or {})
    except Refusal as refusal:
        return Judgement(judgement.mode, at, None, refusal)
    return judgement
