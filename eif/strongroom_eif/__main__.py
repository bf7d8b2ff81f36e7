"""`strongroom-eif build|describe|sign`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from strongroom.errors import Refusal
from strongroom_eif import __version__, describe, signature
from strongroom_eif.archive import archive, collect
from strongroom_eif.image import MAX_SIZE, Image
from strongroom_eif.measurements import sign

CMDLINE: Final = "reboot=k panic=30 pci=off nomodules console=ttyS0 random.trust_cpu=on root=/dev/ram0"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        image: Image = options.run(options)
        found = describe.describe(image)
    except Refusal as refusal:
        print(f"strongroom-eif: {refusal.code}: {refusal.reason}. {refusal.remedy}", file=sys.stderr)
        return 1
    print(json.dumps(found, indent=2) if options.json else _table(found))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="strongroom-eif", description="Enclave images of AWS Nitro.")
    commands = parser.add_subparsers(required=True, metavar="build|describe|sign")
    build = commands.add_parser("build", help="an image from a kernel and ramdisks; prints its measurements")
    build.add_argument("--kernel", type=Path, required=True, help="a bzImage")
    build.add_argument(
        "--ramdisk",
        type=Path,
        required=True,
        action="append",
        help="a cpio archive, or a folder to be one; the first is measured into PCR1, the others into PCR2",
    )
    build.add_argument("--cmdline", default=CMDLINE, help=f"the kernel's command line. Default: {CMDLINE}")
    build.add_argument("--name", default="strongroom-enclave")
    build.add_argument("--version", default=__version__)
    build.add_argument("--kernel-version", default="unknown")
    build.add_argument("--memory", type=int, default=256, help="MiB where the host asks for nothing else")
    build.add_argument("--cpus", type=int, default=1)
    build.set_defaults(run=_build)
    read = commands.add_parser("describe", help="what an image holds and measures, and who signed it")
    read.add_argument("image", type=Path)
    read.set_defaults(run=lambda options: _load(options.image))
    signing = commands.add_parser("sign", help="adds a signature of PCR0, and so PCR8")
    signing.add_argument("image", type=Path)
    signing.add_argument("--key", type=Path, required=True, help="PEM of a private key on P-384")
    signing.add_argument("--certificate", type=Path, required=True, help="PEM of its certificate")
    signing.set_defaults(run=_sign)
    for command in (build, signing):
        command.add_argument("--output", "-o", type=Path, required=True)
    for command in (build, read, signing):
        command.add_argument("--json", action="store_true", help="for machines")
    return parser


def _build(options: argparse.Namespace) -> Image:
    """The build's time is SOURCE_DATE_EPOCH, or zero: never the clock's."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH", "0")
    if not seconds.isdecimal() or len(seconds) > 11:
        raise Refusal("bad_image", "SOURCE_DATE_EPOCH is not a number of seconds")
    words = describe.metadata(
        options.name,
        options.version,
        kernel=options.kernel_version,
        operating_system="strongroom",
        built=int(seconds),
    )
    image = Image(
        _read(options.kernel),
        options.cmdline.encode("ascii", "replace"),
        tuple(archive(collect(path)) if path.is_dir() else _read(path) for path in options.ramdisk),
        words,
        memory=options.memory << 20,
        cpus=options.cpus,
    )
    return _write(image, options.output)


def _sign(options: argparse.Namespace) -> Image:
    key = signature.load_key(_read(options.key))
    return _write(sign(_load(options.image), key, _read(options.certificate)), options.output)


def _load(path: Path) -> Image:
    return Image.decode(_read(path))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise Refusal("bad_file", f"{path} cannot be read: {error.strerror}") from None
    if len(data) > MAX_SIZE:
        raise Refusal("bad_file", f"{path} has more than {MAX_SIZE >> 20} MiB")
    return data


def _write(image: Image, path: Path) -> Image:
    """Whole or not at all: a half image under the right name would be measured, and believed damaged."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(image.encode())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise Refusal("bad_file", f"{path} cannot be written: {error.strerror}") from None
    return image


def _table(found: dict[str, Any]) -> str:
    rows = dict(found["measurements"])
    rows["signed by"] = found["signed_by"]["subject"] if found["signed_by"] else "nobody"
    rows["size"] = f"{found['size']:,} bytes: kernel {found['kernel']['size']:,}, ramdisks " + " + ".join(
        f"{ramdisk['size']:,}" for ramdisk in found["ramdisks"]
    )
    rows["by default"] = f"{found['default_memory'] >> 20} MiB, {found['default_cpus']} CPU"
    rows["cmdline"] = found["cmdline"]
    rows["name"] = f"{found['metadata'].get('ImageName')} {found['metadata'].get('ImageVersion')}"
    return "\n".join(f"{name:<10} {value}" for name, value in rows.items())


if __name__ == "__main__":
    raise SystemExit(main())
