"""Ed25519 keys of people, in files: PKCS#8 PEM, mode 0600, encrypted where a passphrase is given."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.errors import Refusal

Passphrase = Callable[[], bytes]
"""Asked only when a file turns out to be encrypted."""

_ENCRYPTED = b"BEGIN ENCRYPTED PRIVATE KEY"


def create(path: Path, passphrase: bytes | None) -> bytes:
    """Makes a key and returns its public half (32 bytes). Raises Refusal `file_exists`."""
    key = Ed25519PrivateKey.generate()
    write_private(path, pem(key, passphrase))
    return public(key)


def pem(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey, passphrase: bytes | None) -> bytes:
    protection = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


def write_private(path: Path, data: bytes) -> None:
    """A new file that only its owner reads. Raises Refusal `file_exists`."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise Refusal("file_exists", f"{path} is there already") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def load(path: Path, passphrase: Passphrase) -> Ed25519PrivateKey:
    """Raises Refusal `bad_file` or `passphrase`."""
    key = load_any(path, passphrase)
    if not isinstance(key, Ed25519PrivateKey):
        raise Refusal("bad_file", f"{path} holds no Ed25519 key")
    return key


def load_any(path: Path, passphrase: Passphrase) -> object:
    """A key of whatever algorithm. Raises Refusal `bad_file` or `passphrase`."""
    try:
        written = path.read_bytes()
    except OSError as error:
        raise Refusal("bad_file", f"{path} cannot be read: {error.strerror}") from error
    secret = passphrase() if _ENCRYPTED in written else None
    try:
        return serialization.load_pem_private_key(written, secret)
    except (ValueError, TypeError) as error:
        if secret is not None:
            raise Refusal("passphrase", f"{path} does not open with this passphrase") from error
        raise Refusal("bad_file", f"{path} is no PEM private key") from error


def public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()
