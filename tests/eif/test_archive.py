"""Ramdisks, unpacked by the system's cpio, and equal whoever builds them, where and when."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from strongroom.errors import Refusal
from strongroom_eif.archive import DIRECTORY, Entry, archive, character, collect, file, link

ENTRIES = {
    "init": file(b"#!/bin/true\n", executable=True),
    "usr/lib/deep/module.py": file(b"x" * 1001),
    "lib": link("usr/lib"),
    "empty": file(b""),
    "proc": DIRECTORY,
}


def unpacked(data: bytes, folder: Path) -> Path:
    folder.mkdir()
    subprocess.run(["cpio", "-id", "--quiet"], cwd=folder, input=data, check=True)
    return folder


def test_the_kernels_own_form_as_cpio_reads_it(tmp_path: Path) -> None:
    folder = unpacked(archive(ENTRIES), tmp_path / "out")
    assert (folder / "init").read_bytes() == b"#!/bin/true\n"
    assert stat.S_IMODE((folder / "init").stat().st_mode) == 0o755
    assert (folder / "usr/lib/deep/module.py").read_bytes() == b"x" * 1001
    assert stat.S_IMODE((folder / "usr/lib/deep/module.py").stat().st_mode) == 0o644
    assert (folder / "lib").readlink() == Path("usr/lib")
    assert (folder / "empty").read_bytes() == b""
    assert (folder / "usr").is_dir() and (folder / "proc").is_dir()


def test_the_bytes_of_one_entry() -> None:
    """linux/Documentation/driver-api/early-userspace/buffer-format.rst, field by field."""
    data = archive({"a": file(b"hi")})
    head = "070701" + "".join(f"{field:08X}" for field in (1, 0o100644, 0, 0, 1, 0, 2, 0, 0, 0, 0, 2, 0))
    assert data.startswith(head.encode() + b"a\0" + b"hi\0\0" + b"070701")
    assert len(data) % 512 == 0 and b"TRAILER!!!" in data


def test_devices() -> None:
    head = archive({"dev/console": character(5, 1)})
    at = head.index(b"dev/console\0")
    fields = [int(head[at - 104 + 8 * number :][:8], 16) for number in range(13)]
    assert (fields[1], fields[9:11]) == (stat.S_IFCHR | 0o600, [5, 1])


def test_order_owner_time_and_umask_leave_no_trace(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, names, mask, when in ((first, "abc", 0o077, 1), (second, "cba", 0o002, 10**9)):
        before = os.umask(mask)
        try:
            folder.mkdir()
            for name in names:
                (folder / name).write_text(name)
                os.utime(folder / name, (when, when))
            (folder / "run").write_text("x")
            (folder / "run").chmod(0o700 if mask == 0o077 else 0o775)
            (folder / "link").symlink_to("a")
        finally:
            os.umask(before)
    assert archive(collect(first)) == archive(collect(second))


@pytest.mark.parametrize("name", ["", ".", "/etc", "a/../b", "../a", "a//b", "a/", "./a", "TRAILER!!!"])
def test_paths_that_leave_the_archive(name: str) -> None:
    with pytest.raises(Refusal) as caught:
        archive({name: file(b"")})
    assert caught.value.code == "bad_image"


def test_a_file_is_no_folder() -> None:
    with pytest.raises(Refusal, match="no directory"):
        archive({"a": file(b""), "a/b": file(b"")})


def test_a_folder_with_what_a_ramdisk_does_not_take(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Refusal, match="pipe"):
        collect(tmp_path)


def test_too_many_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom_eif.archive.MAX_ENTRIES", 3)
    archive({"a/b": Entry(stat.S_IFREG), "c": Entry(stat.S_IFREG)})
    with pytest.raises(Refusal, match="at most 3"):
        archive({"a/b": Entry(stat.S_IFREG), "c/d": Entry(stat.S_IFREG)})
