"""Compiles the image's Python sources with the image's own interpreter; the sources then stay out of it.

Compiling at each boot would cost seconds, and what the kernel unpacks lies in the enclave's memory twice as large with
both. The bytecode names no time and no file of the builder: `unchecked-hash` of PEP 552, under the path in the image.
"""

from __future__ import annotations

import stat
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from strongroom.errors import Refusal
from strongroom_eif.archive import Entry, file

LOADER: Final = "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
INTERPRETER: Final = "usr/bin/python3.11"
LIBRARIES: Final = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")

_PROGRAM: Final = """
import importlib.util, sys
from importlib._bootstrap_external import _code_to_hash_pyc
root = sys.argv[1]
assert sys.prefix == root + "/usr", sys.prefix
for name in sys.stdin.read().split("\\0"):
    with open(root + "/" + name, "rb") as file:
        source = file.read()
    code = compile(source, "/" + name, "exec", dont_inherit=True, optimize=0)
    with open(root + "/" + name + "c", "wb") as file:
        file.write(_code_to_hash_pyc(code, importlib.util.source_hash(source), False))
"""


def command(root: Path, *arguments: str) -> list[str]:
    """Runs the interpreter of an unpacked image outside of it: nothing of this machine but its kernel takes part."""
    libraries = ":".join(str(root / folder) for folder in LIBRARIES)
    return [str(root / LOADER), "--library-path", libraries, str(root / INTERPRETER), "-I", "-S", "-B", *arguments]


def compiled(*layers: Mapping[str, Entry]) -> tuple[dict[str, Entry], ...]:
    """Each layer with its `.py` replaced by `.pyc`; a process of its own for each, so that none depends on a later one.

    Raises Refusal `bad_file` for a source that does not compile.
    """
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        for layer in layers:
            unpack(layer, root)
        return tuple(_compiled(layer, root) for layer in layers)


def unpack(entries: Mapping[str, Entry], root: Path) -> None:
    """Files and links; devices only exist in the image."""
    for name, entry in entries.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if stat.S_ISLNK(entry.mode):
            path.symlink_to(entry.data.decode())
        elif stat.S_ISREG(entry.mode):
            path.write_bytes(entry.data)
            path.chmod(entry.mode & 0o777)
        elif stat.S_ISDIR(entry.mode):
            path.mkdir(exist_ok=True)


def _compiled(layer: Mapping[str, Entry], root: Path) -> dict[str, Entry]:
    sources = sorted(name for name in layer if name.endswith(".py"))
    done = subprocess.run(
        command(root, "-c", _PROGRAM, str(root)),
        input="\0".join(sources),
        capture_output=True,
        text=True,
        # A set's order shows in bytecode.
        env={"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},
        check=False,
    )
    if done.returncode:
        raise Refusal("bad_file", f"the image's sources do not compile: {done.stderr.strip()[-200:]}")
    kept = {name: entry for name, entry in layer.items() if name not in sources}
    return kept | {f"{name}c": file((root / f"{name}c").read_bytes()) for name in sources}
