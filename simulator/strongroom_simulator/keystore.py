"""The KMS's state: master keys in a directory, which outlive a restart, and policies in the file of the keys' owner.

The owner's file is read at each request: {"keys": [{"arn": "arn:aws:kms:...", "policy": {...}}]}. An entry may have
"grants" (a list of what ListGrants answers) and "metadata" (members of DescribeKey's answer that differ from a plain
key's), for tests of keys that are not to be trusted.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom_simulator.pki import write_private

_VERSION: Final = b"\x01"
_NONCE: Final = 12


@dataclass(frozen=True)
class Key:
    arn: str
    policy: Mapping[str, Any]
    master: bytes
    grants: tuple[Mapping[str, Any], ...] = ()
    unusual: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identifier(self) -> bytes:
        """32 bytes that lead each blob and say which key made it."""
        return hashlib.sha256(self.arn.encode()).digest()

    @property
    def metadata(self) -> dict[str, Any]:
        """As DescribeKey answers for a key that was made with no options, and what is unusual about this one."""
        return {
            "Arn": self.arn,
            "KeyId": self.arn.rpartition("/")[2],
            "Enabled": True,
            "KeyState": "Enabled",
            "KeyUsage": "ENCRYPT_DECRYPT",
            "KeySpec": "SYMMETRIC_DEFAULT",
            "Origin": "AWS_KMS",
            "KeyManager": "CUSTOMER",
            "MultiRegion": False,
            **self.unusual,
        }

    def wrap(self, plaintext: bytes, context: Mapping[str, str]) -> bytes:
        nonce = os.urandom(_NONCE)
        return _VERSION + self.identifier + nonce + AESGCM(self.master).encrypt(nonce, plaintext, _aad(context))

    def unwrap(self, blob: bytes, context: Mapping[str, str]) -> bytes | None:
        """None for a blob that was changed, or made in another context."""
        nonce, sealed = blob[33 : 33 + _NONCE], blob[33 + _NONCE :]
        try:
            return AESGCM(self.master).decrypt(nonce, sealed, _aad(context))
        except (InvalidTag, ValueError):
            return None


@dataclass(frozen=True)
class KeyStore:
    directory: Path
    owner: Path

    def find(self, name: str) -> Key | None:
        """By ARN, or by the key id after its last slash."""
        for key in self._keys():
            if name in (key.arn, key.arn.rpartition("/")[2]):
                return key
        return None

    def made(self, blob: bytes) -> Key | None:
        """The key that a blob names, if it is one of ours."""
        for key in self._keys():
            if blob[:33] == _VERSION + key.identifier:
                return key
        return None

    def _keys(self) -> list[Key]:
        listed = json.loads(self.owner.read_text())["keys"]
        return [
            Key(
                each["arn"],
                each["policy"],
                self._master(each["arn"]),
                tuple(each.get("grants", ())),
                each.get("metadata", {}),
            )
            for each in listed
        ]

    def _master(self, arn: str) -> bytes:
        path = self.directory / f"{hashlib.sha256(arn.encode()).hexdigest()[:32]}.master"
        if not path.exists():
            self._make_master(path)
        return path.read_bytes()

    def _make_master(self, path: Path) -> None:
        """Whole or not at all, and once: two requests at a time may be the first ones."""
        self.directory.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.urandom(8).hex()}")
        write_private(draft, os.urandom(32))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()


def _aad(context: Mapping[str, str]) -> bytes:
    return json.dumps(dict(sorted(context.items())), separators=(",", ":")).encode()
