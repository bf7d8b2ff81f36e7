"""The officers' root: keys made away from the host, and the pins that clients and signers hold.

A folder made by `create` holds `officer-1.pem` and so on, `requester.pem`, and two public files: `officers.json` (what
clients pin and signers hold in attested configuration) and `requester.json` (what a policy names).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.errors import Refusal
from strongroom.signer.configuration import MAX_OFFICERS, Officers
from strongroom_client import documents, keyfiles
from strongroom_client.keyfiles import Passphrase

PINS: Final = "officers.json"
REQUESTER: Final = "requester.pem"
REQUESTER_PUBLIC: Final = "requester.json"


@dataclass(frozen=True)
class Made:
    """What `create` made. keys: the private files, the requester's last."""

    officers: Officers
    requester: bytes
    keys: tuple[Path, ...]
    encrypted: bool


def create(folder: Path, *, count: int, quorum: int, passphrase: bytes | None) -> Made:
    """Makes officers' keys and one requester's key. Raises Refusal `file_exists` rather than touch what is there."""
    if not 1 <= quorum <= count <= MAX_OFFICERS:
        raise Refusal("bad_file", f"a quorum of {quorum} out of {count} officers; 1 to {MAX_OFFICERS} are possible")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if taken := [path.name for path in folder.iterdir() if path.suffix in (".pem", ".json")]:
        raise Refusal("file_exists", f"{folder} holds {', '.join(sorted(taken)[:3])} already")
    paths = tuple(folder / f"officer-{number}.pem" for number in range(1, count + 1))
    officers = Officers(tuple(sorted(keyfiles.create(path, passphrase) for path in paths)), quorum)
    requester = keyfiles.create(folder / REQUESTER, passphrase)
    pins = {"keys": [key.hex() for key in officers.keys], "quorum": quorum}
    documents.write(folder / PINS, pins)
    documents.write(folder / REQUESTER_PUBLIC, {"key": requester.hex()})
    return Made(officers, requester, (*paths, folder / REQUESTER), passphrase is not None)


def load_pins(folder: Path) -> Officers:
    """The officers that this client believes. Raises Refusal `bad_file`."""
    document = documents.read(folder / PINS)
    keys = document.items("keys", lambda key: document.hexadecimal(key, "keys", 32))
    officers = Officers(keys, document.integer("quorum"))
    document.end()
    return officers


def load_requester_key(folder: Path) -> bytes:
    """The requester's public key, which a policy names. Raises Refusal `bad_file`."""
    document = documents.read(folder / REQUESTER_PUBLIC)
    key = document.blob("key", 32)
    document.end()
    return key


def officer_files(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(folder.glob("officer-*.pem"), key=lambda path: (len(path.name), path.name)))


def load_requester(path: Path, passphrase: Passphrase) -> Ed25519PrivateKey:
    return keyfiles.load(path, passphrase)
