"""Compiles the native module so that its bytes follow from its sources, its lock file and the toolchain alone.

Paths of the builder are replaced by names (`--remap-path-prefix`, and `-ffile-prefix-map` for the C in secp256k1), the
linker writes no build id, and the interpreter that happens to be there is not asked: the module wants 3.11 or newer.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Final

from strongroom.errors import Refusal

MODULE: Final = "strongroom_native.abi3.so"
_KEPT: Final = re.compile(r"PATH|HOME|CARGO_HOME|RUSTUP_\w+|CARGO_(HTTP|NET|REGISTR)\w*|SSL_CERT_\w+|(?i:[a-z]+_proxy)")
"""Where things are, and how the registry is reached."""
_TOOLS: Final = {"rustc": "rustc", "cc": "cc", "ld": "ld", "libc": "ldd"}


def toolchain() -> dict[str, str]:
    """What each program says of itself in its first line. The C library counts: parts of it are linked in."""
    return {name: _says(program) for name, program in _TOOLS.items()}


def _says(program: str) -> str:
    try:
        shown = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "none"
    return shown.splitlines()[0]


def build(checkout: Path, target: Path) -> bytes:
    """The module. target: a folder that keeps what cargo compiled. Raises Refusal `bad_file`."""
    manifest = ["--quiet", "--locked", "--manifest-path", str(checkout / "native/Cargo.toml")]
    try:
        subprocess.run(["cargo", "fetch", *manifest], check=True, env=_known())
        subprocess.run(
            ["cargo", "build", *manifest, "--release", "--lib", "--target-dir", str(target)],
            check=True,
            env=environment(checkout.resolve(), target.resolve()),
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise Refusal("bad_file", f"the native module does not compile: {error}") from None
    return (target / "release/libstrongroom_native.so").read_bytes()


def environment(checkout: Path, target: Path) -> dict[str, str]:
    """Beside what cargo may know of this machine: flags that make every path a name. The registry's folder is called
    after the mirror that it came from, so each such folder has one name too; `cargo fetch` has made it before."""
    kept = _known()
    home = Path(kept.get("CARGO_HOME") or Path.home() / ".cargo")
    registries = sorted((home / "registry/src").glob("*"))
    # The last that fits counts, so that folders within others come after them.
    names = {home: "/cargo", **dict.fromkeys(registries, "/cargo/registry"), _sysroot(): "/rust"}
    names |= {checkout: "/strongroom", target: "/target"}
    rust = [f"--remap-path-prefix={path}={name}" for path, name in names.items()]
    c = [f"-ffile-prefix-map={path}={name}" for path, name in names.items()]
    return {
        **kept,
        # A folder with a blank in its name stays one argument, for rustc and for the C compiler.
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join([*rust, "-Clink-arg=-Wl,--build-id=none"]),
        "CFLAGS": shlex.join(c),
        "CC_SHELL_ESCAPED_FLAGS": "1",
        "SOURCE_DATE_EPOCH": "0",
        "CARGO_INCREMENTAL": "0",
        "PYO3_NO_PYTHON": "1",
        "PYO3_BUILD_EXTENSION_MODULE": "1",
        "LC_ALL": "C.UTF-8",
    }


def _known() -> dict[str, str]:
    """Flags that a developer set for their own builds are not among it."""
    return {name: value for name, value in os.environ.items() if _KEPT.fullmatch(name)}


def _sysroot() -> Path:
    return Path(
        subprocess.run(["rustc", "--print", "sysroot"], check=True, capture_output=True, text=True).stdout.strip()
    )
