"""Opens Debian's packages and wheels in memory. No script of theirs runs; owners and times do not count."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from strongroom.errors import Refusal
from strongroom_eif.archive import Entry, file, link

_AR: Final = b"!<arch>\n"
_MEMBER: Final = 60


def debian(path: Path) -> Iterator[tuple[str, Entry]]:
    """Files and links of a package, by path relative to the root. Raises Refusal `bad_file`."""
    for name, data in _members(path.read_bytes(), path.name):
        if name.startswith("data.tar"):
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                yield from _files(archive)
            return
    raise Refusal("bad_file", f"{path.name} holds no data")


def _files(archive: tarfile.TarFile) -> Iterator[tuple[str, Entry]]:
    for member in archive:
        name = PurePosixPath(member.name).as_posix().removeprefix("/")
        if member.issym():
            yield name, link(member.linkname)
        elif member.isreg() or member.islnk():
            content = archive.extractfile(member)
            if content is not None:
                yield name, file(content.read(), executable=bool(member.mode & stat.S_IXUSR))


def _members(data: bytes, name: str) -> Iterator[tuple[str, bytes]]:
    """Of an ar archive: 60 bytes of header, in which the name has 16 and the size 10 digits at 48; then the content."""
    if not data.startswith(_AR):
        raise Refusal("bad_file", f"{name} is no package of Debian")
    place = len(_AR)
    while place + _MEMBER <= len(data):
        head = data[place : place + _MEMBER]
        size = int(head[48:58])
        place += _MEMBER
        yield head[:16].decode().rstrip(" /"), data[place : place + size]
        place += size + size % 2


def wheel(path: Path) -> Iterator[tuple[str, Entry]]:
    """Files of a wheel, by path relative to where packages live. Shared objects are executable, nothing else is."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.is_dir() and ".data/" not in member.filename:
                yield (
                    member.filename,
                    file(archive.read(member), executable=".so" in PurePosixPath(member.filename).suffixes),
                )
