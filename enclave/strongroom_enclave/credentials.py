"""AWS credentials, which the host hands to the enclave. They authorize a request; they open nothing without a document.

So a host that gives wrong ones stops service and learns nothing (docs/threat-model.md).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from strongroom.errors import Refusal
from strongroom_enclave import parent
from strongroom_enclave.parent import Connect

MAX_FILE: Final = 16 << 10
FRESH: Final = 60.0
"""Seconds for which credentials from the parent are used without asking again."""


@dataclass(frozen=True)
class Credentials:
    access_key: str
    secret_key: str
    session_token: str | None = None

    def __repr__(self) -> str:
        return f"Credentials(access_key={self.access_key!r})"


Source = Callable[[], Credentials]
"""Called before each request, so that the host can renew what expires. Raises Refusal `sealer_unavailable`."""

SIMULATED: Final = Credentials("SIMULATED", "simulated")
"""For the simulated KMS, which knows no accounts."""


def from_file(path: Path) -> Source:
    """JSON in the form of AWS's `credential_process`: AccessKeyId, SecretAccessKey, SessionToken."""

    return lambda: _parse(lambda: path.read_bytes()[:MAX_FILE], str(path))


def from_parent(port: int, connect: Connect = parent.vsock, monotonic: Callable[[], float] = time.monotonic) -> Source:
    """The same document, from the parent instance over vsock; asked for anew when the last is a minute old."""
    lock = threading.Lock()
    last: tuple[float, Credentials] | None = None

    def read() -> Credentials:
        nonlocal last
        with lock:
            if last is None or not 0 <= monotonic() - last[0] < FRESH:
                found = _parse(lambda: parent.ask(port, MAX_FILE, connect), f"what the parent says on port {port}")
                last = monotonic(), found
            return last[1]

    return read


def _parse(document: Callable[[], bytes], where: str) -> Credentials:
    try:
        fields = json.loads(document())
        return Credentials(
            str(fields["AccessKeyId"]), str(fields["SecretAccessKey"]), _optional(fields.get("SessionToken"))
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refusal("sealer_unavailable", f"no AWS credentials in {where}: {type(error).__name__}") from error


def from_environment(environment: Mapping[str, str]) -> Source:
    def read() -> Credentials:
        try:
            return Credentials(
                environment["AWS_ACCESS_KEY_ID"],
                environment["AWS_SECRET_ACCESS_KEY"],
                environment.get("AWS_SESSION_TOKEN"),
            )
        except KeyError as error:
            raise Refusal("sealer_unavailable", f"no AWS credentials in the environment: {error} is missing") from error

    return read


def simulated() -> Credentials:
    return SIMULATED


def _optional(value: object) -> str | None:
    return None if value is None else str(value)
