"""Prints docs/image.md from what the image takes of its inputs, and why: `make docs` writes it, a test holds it."""

from __future__ import annotations

from infra.enclave.image import inputs, rootfs, rules
from infra.enclave.image.__main__ import CMDLINE, MEMORY
from infra.enclave.image.native import MODULE

_HEAD = """# What is in the enclave's image

Made from `infra/enclave/image` by `make docs`. Two ramdisks, which the kernel unpacks into one root: what others made
is measured into PCR1 with kernel and command line, Strongroom itself into PCR2, all of it into PCR0. There is one
program in it, Python's interpreter: no shell, no package manager, no compiler, no `pip`, no tests, no source.

How to build and check it: [operator's book](operator.md#the-enclaves-image). Why it is made so:
[0017](adr/0017-the-enclaves-image.md). Beside the image `build/strongroom-enclave.cdx.json` has the same as a bill of
materials, with the crates of the native module.
"""


def page() -> str:
    locked = inputs.read()
    lines = [*_HEAD.splitlines(), "", f"Command line: `{CMDLINE}`. Memory by default: {MEMORY} MiB.", ""]
    lines += [
        f"## Packages of Debian ({locked.release})",
        "",
        "| package | version | what of it | why |",
        "|---|---|---|---|",
    ]
    lines += [_row(package.name, package.version, rules.DEBIAN[package.name]) for package in locked.packages]
    lines += ["", "## Wheels", "", "| project | version | what of it | why |", "|---|---|---|---|"]
    taken = [wheel for wheel in locked.wheels if wheel.name.lower() in rules.WHEELS]
    lines += [_row(wheel.name, wheel.version, rules.WHEELS[wheel.name.lower()]) for wheel in taken]
    lines += ["", _left_out(locked), "", *_own(), "", *_nobodys(), "", *_standard_library()]
    return "\n".join(lines) + "\n"


def _row(name: str, version: str, part: rules.Part) -> str:
    """Of the standard library, whose list of what is left out is long, that list has a section of its own."""
    files = ", ".join(f"`{pattern}`" for pattern in part.keep)
    less = [pattern for pattern in part.drop if pattern not in rules.TOOLS]
    if rules.TOOLS[0] in part.drop:
        files += ", less the list below"
    if less:
        files += ", less " + ", ".join(f"`{pattern}`" for pattern in less)
    if part.still:
        files += ", but with " + ", ".join(f"`{_short(pattern)}`" for pattern in part.still)
    return f"| {name} | {version} | {files} | {part.why} |"


def _short(pattern: str) -> str:
    return (pattern.rpartition("/")[2] or pattern).removesuffix(".cpython-311-x86_64-linux-gnu.so")


def _left_out(locked: inputs.Inputs) -> str:
    names = [f"{wheel.name} {wheel.version}" for wheel in locked.wheels if wheel.name.lower() not in rules.WHEELS]
    return f"Locked, and left out of the image: {', '.join(names) or 'nothing'}. Nothing in it is a wheel's script."


def _own() -> list[str]:
    return [
        "## Strongroom",
        "",
        "| part | why |",
        "|---|---|",
        *(f"| `{name}` | this checkout's, as bytecode |" for name in sorted(rootfs.OWN)),
        f"| `{MODULE}` | threshold signatures; from `native/` and its `Cargo.lock`, with no path of the builder |",
    ]


def _nobodys() -> list[str]:
    why = {
        "init": "starts `strongroom_enclave.init`, the first process",
        "dev/console": "the kernel opens it before there is a /dev",
        "dev/null": "the same",
        "proc": "mounted by init",
        "run": "the same: the signer's file, and the one name that resolves",
        "tmp": "the same: 4 MB, for the certificate that botocore wants as a file",
        "etc/hosts": "leads to /run/hosts",
        "etc/nsswitch.conf": "names resolve from that file alone",
    }
    rows = [f"| `/{name}` | {why[name]} |" for name in rootfs.SKELETON]
    licences = f"| `/{rootfs.LICENCES}` | the licences, which whoever passes an image on has to pass on |"
    return ["## Files that are nobody's", "", "| path | why |", "|---|---|", *rows, licences]


def _standard_library() -> list[str]:
    names = ", ".join(f"`{pattern.removeprefix(rules.STDLIB + '/')}`" for pattern in rules.TOOLS)
    return [
        "## Left out of Python's standard library",
        "",
        f"{names}; and every extension module that is not named above.",
    ]


if __name__ == "__main__":
    print(page(), end="")
