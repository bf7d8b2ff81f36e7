"""A software token of its own for each HSM signer: SoftHSM in a private folder, PINs in files."""

from __future__ import annotations

import os
import secrets
import select
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from strongroom.errors import Refusal
from strongroom_client.cluster.process import environment
from strongroom_client.keyfiles import write_private

MODULES: Final = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
)
LABEL: Final = "strongroom"
_PROMPT: Final = b"PIN: "
_PATIENCE: Final = 10.0


@dataclass(frozen=True)
class SoftToken:
    """folder: private to one signer."""

    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        return {"SOFTHSM2_CONF": str(self.folder / "softhsm2.conf")}

    @property
    def pin_file(self) -> Path:
        return self.folder / "pin"

    @property
    def module(self) -> Path:
        named = os.environ.get("STRONGROOM_PKCS11_MODULE")
        for candidate in (named, *MODULES):
            if candidate and Path(candidate).exists():
                return Path(candidate)
        raise Refusal("cluster_failed", "SoftHSM is not installed; `make setup` says how, or apt install softhsm2")

    def create(self) -> None:
        """Initialises the token, unless it is there."""
        tokens = self.folder / "tokens"
        if tokens.exists():
            return
        tokens.mkdir(mode=0o700, parents=True)
        lines = (f"directories.tokendir = {tokens}", "objectstore.backend = file", "log.level = ERROR")
        (self.folder / "softhsm2.conf").write_text("\n".join((*lines, "slots.removable = false", "")))
        pin, officer = (secrets.token_hex(8).encode() for _ in range(2))
        write_private(self.pin_file, pin)
        write_private(self.folder / "so-pin", officer)
        self._initialise(officer, pin)

    def _initialise(self, officer: bytes, pin: bytes) -> None:
        """Types the PINs at softhsm2-util's prompts: on its command line every user of the machine could read them."""
        master, slave = os.openpty()
        command = ["softhsm2-util", "--module", str(self.module), "--init-token", "--free", "--label", LABEL]
        try:
            child = subprocess.Popen(
                command,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env=environment(self.variables),
                start_new_session=True,
            )
        finally:
            os.close(slave)
        try:
            said = _answer(master, [officer, officer, pin, pin])
            if child.wait(_PATIENCE):
                raise Refusal("cluster_failed", f"softhsm2-util: {said.decode(errors='replace')[-300:]}")
        finally:
            child.kill()
            child.wait()
            os.close(master)


def _answer(master: int, answers: list[bytes]) -> bytes:
    said, deadline = b"", time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if not select.select([master], [], [], 0.1)[0]:
            continue
        try:
            read = os.read(master, 1024)
        except OSError:  # Linux says so when the other side was closed
            return said
        if not read:
            return said
        said += read
        if answers and said.endswith(_PROMPT):
            os.write(master, answers.pop(0) + b"\n")
    raise Refusal("cluster_failed", f"softhsm2-util waits: {said.decode(errors='replace')[-300:]}")
