"""`python -m infra.enclave.image`: the image of this checkout, its measurements, and what is in it.

build/strongroom-enclave.eif         what boots
build/strongroom-enclave.json        PCR0 to PCR2, PCR8 where signed, size, and what it was made with
build/strongroom-enclave.cdx.json    what is in it, as CycloneDX
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from infra.enclave.image import bzimage, fetch, inputs, native, rootfs, sbom
from strongroom.errors import Refusal
from strongroom_eif import __version__, describe, signature
from strongroom_eif.archive import archive
from strongroom_eif.image import Image
from strongroom_eif.measurements import sign

CHECKOUT: Final = Path(__file__).parents[3]
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "strongroom"
INPUTS: Final = CACHE / "inputs"
NAME: Final = "strongroom-enclave"
CMDLINE: Final = (
    # The kernel runs no scripts, so it is told which program is the first, whose arguments come right after its name.
    "rdinit=/usr/bin/python3.11 -I /init reboot=k panic=30 pci=off console=ttyS0 random.trust_cpu=on root=/dev/ram0"
)
UNAVAILABLE: Final = 3
"""Exit status where an input cannot be had here, as of the kernel's build."""
MEMORY: Final = 256
"""MiB: what an enclave of this image gets where nobody asks for anything else."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    locked = inputs.read()
    try:
        fetch.fetch(locked, INPUTS)
    except Refusal as refusal:
        print(f"make eif: {refusal.reason}. infra/enclave/image/fetch.py says where else to look", file=sys.stderr)
        return UNAVAILABLE
    try:
        found = _make(options, locked)
    except Refusal as refusal:
        print(f"make eif: {refusal.code}: {refusal.reason}. {refusal.remedy}", file=sys.stderr)
        return 1
    print(_words(found, options.output))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.enclave.image")
    parser.add_argument("--kernel", type=Path, default=CHECKOUT / "build/kernel/bzImage")
    parser.add_argument("--output", type=Path, default=CHECKOUT / "build", help="a folder")
    parser.add_argument("--target", type=Path, default=CACHE / "native", help="where cargo keeps what it compiled")
    parser.add_argument("--key", type=Path, help="PEM of a private key on P-384; signs the image, with --certificate")
    parser.add_argument("--certificate", type=Path)
    return parser


def _make(options: argparse.Namespace, locked: inputs.Inputs) -> dict[str, Any]:
    kernel = _read(options.kernel, "run `make kernel` first")
    module = native.build(CHECKOUT, options.target)
    image = build(kernel, rootfs.ramdisks(locked, INPUTS, CHECKOUT, module))
    if options.key is not None:
        image = sign(image, signature.load_key(_read(options.key, "")), _read(options.certificate, ""))
    found = describe.describe(image) | {"made_with": _made_with(locked)}
    options.output.mkdir(parents=True, exist_ok=True)
    _write(options.output / f"{NAME}.eif", image.encode())
    _write(options.output / f"{NAME}.json", _json(found))
    _write(options.output / f"{NAME}.cdx.json", _json(sbom.bill(locked, kernel, CHECKOUT)))
    return found


def build(kernel: bytes, layers: Sequence[dict[str, Any]]) -> Image:
    words = describe.metadata(NAME, __version__, kernel=bzimage.version(kernel), operating_system="strongroom", built=0)
    ramdisks = tuple(archive(layer) for layer in layers)
    return Image(kernel, CMDLINE.encode(), ramdisks, words, memory=MEMORY << 20)


def _made_with(locked: inputs.Inputs) -> dict[str, Any]:
    """Says whether the measurements can be those of the release: only the lock's toolchain gives the lock's bytes."""
    found = native.toolchain()
    return {"toolchain": found, "as_locked": found == locked.toolchain, "source": _commit()}


def _commit() -> str:
    git = ["git", "-C", str(CHECKOUT), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        return subprocess.run(git, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _words(found: dict[str, Any], folder: Path) -> str:
    rows = [f"{name:<6} {value}" for name, value in found["measurements"].items()]
    rows.append(f"{found['size'] / 1e6:.1f} MB, {folder}/{NAME}.eif, {NAME}.json and {NAME}.cdx.json beside it")
    if not found["made_with"]["as_locked"]:
        rows.append("Not the release's measurements: this machine's toolchain is not the lock's (see made_with)")
    return "\n".join(rows)


def _read(path: Path | None, hint: str) -> bytes:
    if path is None:
        raise Refusal("bad_file", "a key and its certificate sign together: name both")
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refusal("bad_file", f"{path} cannot be read: {error.strerror}{hint and f'; {hint}'}") from None


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)


if __name__ == "__main__":
    raise SystemExit(main())
