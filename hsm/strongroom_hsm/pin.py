"""Where the PIN comes from: a file that nobody else may read, or a file descriptor. Never argv, never the environment.

A file is read anew at each login and wiped at once: between logins this process does not hold the PIN, and an operator
may change it. A descriptor can be read only once, so what came from it is kept, for the login after a lost token, until
the process ends; a forked child wipes its copy.
"""

from __future__ import annotations

import os
import stat
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Protocol

from strongroom.errors import Refusal
from strongroom_hsm.cryptoki import wipe

MAX_PIN: Final = 255


class Pin(Protocol):
    def reveal(self) -> AbstractContextManager[bytearray]:
        """The PIN for the length of a `with`; the caller keeps no copy. Raises Refusal `bad_configuration`."""


class FilePin:
    """A regular file of this user, mode 0600 or 0400; one line feed at its end is not part of the PIN."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __repr__(self) -> str:
        return f"FilePin({str(self._path)!r})"

    @contextmanager
    def reveal(self) -> Iterator[bytearray]:
        secret = self._read()
        try:
            yield secret
        finally:
            wipe(secret)

    def _read(self) -> bytearray:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise _refused(f"the PIN file {self._path} cannot be opened: {error.strerror}") from None
        try:
            self._check(os.fstat(descriptor))
            return _read_all(descriptor)
        finally:
            os.close(descriptor)

    def _check(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise _refused(f"the PIN file {self._path} is not a regular file")
        if status.st_uid != os.geteuid():
            raise _refused(f"the PIN file {self._path} belongs to another user")
        if stat.S_IMODE(status.st_mode) & 0o177:
            mode = stat.S_IMODE(status.st_mode)
            raise _refused(f"the PIN file {self._path} has mode {mode:04o}; others may read it: chmod 0600")


class DescriptorPin:
    """Reads the descriptor to its end, once, and closes it."""

    def __init__(self, descriptor: int) -> None:
        """Raises Refusal `bad_configuration`."""
        try:
            self._secret = _read_all(descriptor)
        except OSError as error:
            raise _refused(f"the PIN's file descriptor {descriptor} cannot be read: {error.strerror}") from None
        try:
            os.close(descriptor)
        except OSError:
            pass
        _kept.add(self)

    def __repr__(self) -> str:
        return "DescriptorPin()"

    @contextmanager
    def reveal(self) -> Iterator[bytearray]:
        if not any(self._secret):
            raise _refused("the PIN was wiped; a child process has none")
        yield self._secret

    def forget(self) -> None:
        wipe(self._secret)


_kept: Final[weakref.WeakSet[DescriptorPin]] = weakref.WeakSet()


def _forget_in_child() -> None:
    for pin in list(_kept):
        pin.forget()


os.register_at_fork(after_in_child=_forget_in_child)


def _read_all(descriptor: int) -> bytearray:
    """At most MAX_PIN bytes, through one buffer that is wiped: `os.read` would leave copies behind."""
    buffer = bytearray(MAX_PIN + 2)
    length = 0
    try:
        while length < len(buffer):
            got = os.readv(descriptor, [memoryview(buffer)[length:]])
            if not got:
                break
            length += got
        if length and buffer[length - 1] == 0x0A:
            length -= 1
        if not 1 <= length <= MAX_PIN:
            raise _refused(f"the PIN is not 1 to {MAX_PIN} bytes")
        return bytearray(memoryview(buffer)[:length])
    finally:
        wipe(buffer)


def _refused(reason: str) -> Refusal:
    return Refusal("bad_configuration", reason)
