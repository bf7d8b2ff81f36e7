"""A ramdisk: a cpio archive in the "newc" form that the kernel unpacks, whose bytes follow from its content alone.

Entries are sorted, their owner is root, their time is zero, their inode numbers count from 1; modes are one of a few.
So neither who builds, nor where, nor when, leaves a trace.

Source: linux/Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from strongroom_eif.image import bad

_BLOCK: Final = 512
_TRAILER: Final = "TRAILER!!!"
MAX_ENTRIES: Final = 100_000


@dataclass(frozen=True)
class Entry:
    """mode: type and permissions, as in stat(2). data: of a file, or a symbolic link's target. device: major, minor."""

    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


DIRECTORY: Final = Entry(stat.S_IFDIR | 0o755)


def file(data: bytes, *, executable: bool = False) -> Entry:
    return Entry(stat.S_IFREG | (0o755 if executable else 0o644), data)


def link(target: str) -> Entry:
    return Entry(stat.S_IFLNK | 0o777, target.encode())


def character(major: int, minor: int, permissions: int = 0o600) -> Entry:
    return Entry(stat.S_IFCHR | permissions, device=(major, minor))


def archive(entries: Mapping[str, Entry]) -> bytes:
    """entries: by path, relative and normal, such as `usr/bin/python3`. Missing parents are added.

    Raises Refusal `bad_image` for a path that would leave the archive, or lead through a file.
    """
    whole = dict(entries)
    for name in entries:
        for parent in _parents(name):
            if not stat.S_ISDIR(whole.setdefault(parent, DIRECTORY).mode):
                raise bad(f"{name} lies below {parent}, which is no directory")
    if len(whole) > MAX_ENTRIES:
        raise bad(f"a ramdisk has at most {MAX_ENTRIES} entries")
    out = b"".join(_record(number, name, whole[name]) for number, name in enumerate(sorted(whole), 1))
    out += _record(0, _TRAILER, Entry(0))
    return out + bytes(-len(out) % _BLOCK)


def collect(root: Path) -> dict[str, Entry]:
    """A folder's content. Of permissions only the owner's execute bit is kept. Raises Refusal `bad_image`."""
    return dict(_walk(root))


def _walk(root: Path) -> Iterator[tuple[str, Entry]]:
    for path in sorted(root.rglob("*")):
        name, mode = path.relative_to(root).as_posix(), path.lstat().st_mode
        if stat.S_ISLNK(mode):
            yield name, link(str(path.readlink()))
        elif stat.S_ISREG(mode):
            yield name, file(path.read_bytes(), executable=bool(mode & stat.S_IXUSR))
        elif stat.S_ISDIR(mode):
            yield name, DIRECTORY
        else:
            raise bad(f"{name} is neither a file, a folder nor a link")


def _parents(name: str) -> list[str]:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path.as_posix() != name or name in ("", ".", _TRAILER):
        raise bad(f"{name!r} is no relative, normal path")
    return [parent.as_posix() for parent in path.parents if parent.as_posix() != "."]


def _record(number: int, name: str, entry: Entry) -> bytes:
    raw = name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (number, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(raw), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + raw
    return head + bytes(-len(head) % 4) + entry.data + bytes(-len(entry.data) % 4)
