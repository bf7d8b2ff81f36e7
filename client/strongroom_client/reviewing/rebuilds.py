"""Statements of those who built a release from its sources themselves, and which measurements they got.

An untagged COSE_Sign1 (RFC 9052 section 4.2) under EdDSA with Ed25519, its payload deterministic CBOR:
docs/specification.md section 15. Only keys that the reader was given out of band have a name here.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom import signatures
from strongroom.errors import Refusal
from strongroom.evidence.nitro import PCR_SIZE
from strongroom.wire import cbor
from strongroom.wire.fields import Fields
from strongroom_client import documents, keyfiles
from strongroom_client.reviewing.files import read
from strongroom_client.reviewing.release import IMAGE

PROTECTED: Final = bytes.fromhex("a10127")
"""The map {1: -8}: algorithm EdDSA (RFC 9053 section 2.2), compared as bytes."""
PURPOSE: Final = b"strongroom/rebuild/v1"
"""The external data of the signature: no signature for something else is one of a rebuild."""
MAX_STATEMENT: Final = 4096
MAX_TEXT: Final = 200


@dataclass(frozen=True)
class Rebuild:
    """builder: Ed25519 key. release, sources, tools: in the builder's words: the release's name, the commit, what it
    was built with. built: Unix seconds."""

    builder: bytes
    release: str
    sources: str
    tools: str
    built: int
    measurements: Mapping[str, bytes]

    def encode(self) -> bytes:
        return cbor.encode(
            {
                "v": 1,
                "builder": self.builder,
                "release": self.release,
                "sources": self.sources,
                "tools": self.tools,
                "built": self.built,
                "measurements": dict(self.measurements),
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Rebuild:
        fields = Fields.decode(data, "rebuild")
        fields.version()
        builder = fields.blob("builder", size=signatures.KEY)
        release, sources, tools = (fields.text(name, most=MAX_TEXT) for name in ("release", "sources", "tools"))
        built, measured = fields.integer("built"), fields.fields("measurements")
        measurements = {name: measured.blob(name, size=PCR_SIZE) for name in IMAGE}
        measured.end()
        fields.end()
        return cls(builder, release, sources, tools, built, measurements)


def sign(rebuild: Rebuild, key: Ed25519PrivateKey) -> bytes:
    """The statement. Raises ValueError for another key than the one that `rebuild` names."""
    if keyfiles.public(key) != rebuild.builder:
        raise ValueError("the statement names another key as its builder's")
    payload = rebuild.encode()
    return cbor.encode([PROTECTED, {}, payload, key.sign(signing_bytes(payload))])


def verify(statement: bytes) -> Rebuild:
    """What its builder signed; who that is, the reader must know. Raises Refusal `bad_rebuild`."""
    if len(statement) > MAX_STATEMENT:
        raise _bad(f"it has more than {MAX_STATEMENT} bytes")
    try:
        parts = cbor.decode(statement)
        if not isinstance(parts, list) or len(parts) != 4 or parts[:2] != [PROTECTED, {}]:
            raise _bad("it is no untagged COSE_Sign1 under EdDSA")
        _, _, payload, signature = parts
        if not isinstance(payload, bytes) or not isinstance(signature, bytes):
            raise _bad("payload or signature is no byte string")
        rebuild = Rebuild.decode(payload)
    except Refusal as refusal:
        raise refusal if refusal.code == "bad_rebuild" else _bad(refusal.reason) from refusal
    if not signatures.verify(rebuild.builder, signature, signing_bytes(payload)):
        raise _bad("its signature is not one of the key that it names")
    return rebuild


def signing_bytes(payload: bytes) -> bytes:
    """The Sig_structure (RFC 9052 section 4.4)."""
    return cbor.encode(["Signature1", PROTECTED, PURPOSE, payload])


def load(path: Path) -> Rebuild:
    """A file, raw or base64. Raises Refusal `bad_file` or `bad_rebuild`."""
    raw = read(path, 1 << 20)
    # A COSE_Sign1 starts with 0x84, which no base64 has.
    if raw.isascii():
        try:
            raw = base64.b64decode(b"".join(raw.split()), validate=True)
        except binascii.Error as error:
            raise _bad(f"{path} is neither CBOR nor base64") from error
    return verify(raw)


def load_builders(path: Path) -> dict[bytes, str]:
    """Names by key, of `{"rebuilders": [{"name", "key"}]}`. Raises Refusal `bad_file`."""
    document = documents.read(path)
    pairs = document.items("rebuilders", lambda value: _builder(value, path))
    document.end()
    named = dict(pairs)
    if len(named) != len(pairs) or len(set(named.values())) != len(pairs):
        raise Refusal("bad_file", f"{path} names a key or a rebuilder twice")
    return named


def _builder(value: object, path: Path) -> tuple[bytes, str]:
    document = documents.Document(value, f"{path}: a rebuilder")
    name, key = document.text("name"), document.blob("key", signatures.KEY)
    document.end()
    return key, name


def _bad(reason: str) -> Refusal:
    return Refusal("bad_rebuild", f"the statement of a rebuild: {reason}")
