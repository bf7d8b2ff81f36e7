"""The last words of an enclave, which go to the parent when it ends.

A production enclave has no console that anybody may read: without them a signer that refuses its own start would end in
silence. What programs say holds no secret anyway.
"""

from __future__ import annotations

import threading
from typing import IO, Final, TextIO

KEPT: Final = 8 << 10
"""Bytes that are kept of all that was said; the end of it."""
LINE: Final = 2 << 10
SETTLE: Final = 2.0
"""Seconds that a program's last lines may take to arrive after it ended."""


class Tail:
    """Thread-safe. Everything goes to the console too, which only a debug enclave has."""

    def __init__(self, console: TextIO | None) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._kept = bytearray()
        self._followers: list[threading.Thread] = []

    def say(self, line: str) -> None:
        self._keep(line.encode(errors="replace")[:LINE].rstrip(b"\n") + b"\n")

    def follow(self, stream: IO[bytes] | None) -> None:
        if stream is not None:
            follower = threading.Thread(target=self._follow, args=(stream,), daemon=True)
            self._followers.append(follower)
            follower.start()

    def settle(self) -> None:
        for follower in self._followers:
            follower.join(SETTLE)

    def words(self) -> bytes:
        with self._lock:
            return bytes(self._kept)

    def _follow(self, stream: IO[bytes]) -> None:
        while line := stream.readline(LINE):
            self._keep(line)

    def _keep(self, line: bytes) -> None:
        with self._lock:
            self._kept += line
            del self._kept[:-KEPT]
            if self._console is not None:
                self._console.write(line.decode(errors="replace"))
                self._console.flush()
