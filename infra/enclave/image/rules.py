"""What the image takes of each input, and why: everything else of it is left out. docs/image.md is made from this.

Patterns are those of pathlib's `match`, against the path in the package; a wheel's are within its own files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

LIB: Final = "usr/lib/x86_64-linux-gnu"
STDLIB: Final = "usr/lib/python3.11"
PACKAGES: Final = "usr/lib/python3/dist-packages"
"""Where Debian's interpreter looks for what is not its own."""


@dataclass(frozen=True)
class Part:
    """keep, less drop, and still: patterns. why: what stands in docs/image.md."""

    keep: tuple[str, ...]
    why: str
    drop: tuple[str, ...] = ()
    still: tuple[str, ...] = ()

    def takes(self, name: str) -> bool:
        return (_matches(name, self.keep) and not _matches(name, self.drop)) or _matches(name, self.still)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    """A pattern that ends in `/` means everything below; others are `PurePosixPath.match`, from the root."""
    path = PurePosixPath("/" + name)
    return any(name.startswith(pattern) if pattern.endswith("/") else path.match("/" + pattern) for pattern in patterns)


TOOLS: Final = tuple(
    f"{STDLIB}/{name}"
    for name in (
        # Packages that make or install programs.
        "compileall.py", "py_compile.py", "distutils/", "ensurepip/", "lib2to3/", "venv/",
        "_distutils_system_mod.py", "_bootsubprocess.py", "zipapp.py",
        # A console, a debugger, a terminal, a desktop.
        "code.py", "codeop.py", "cmd.py", "pdb.py", "bdb.py", "pty.py", "tty.py", "rlcompleter.py", "curses/",
        "turtle*",
        "idlelib/", "tkinter/", "pydoc.py", "pydoc_data/", "webbrowser.py", "this.py", "antigravity.py", "__hello__.py",
        "__phello__/", "profile.py", "cProfile.py", "pstats.py", "trace.py", "timeit.py", "tabnanny.py",
        "pyclbr.py", "symtable.py", "pickletools.py", "modulefinder.py", "doctest.py",
        # Tests.
        "test/", "unittest/", "ctypes/test/", "sqlite3/", "_sysconfigdata__linux*",
        # Servers and clients of protocols that nobody here speaks.
        "ftplib.py", "imaplib.py", "nntplib.py", "poplib.py", "smtp*.py", "telnetlib.py", "xmlrpc/", "wsgiref/",
        "socketserver.py", "http/server.py", "cgi*.py", "asynchat.py", "asyncore.py", "asyncio/", "mailbox.py",
        "mailcap.py", "netrc.py", "nturl2path.py",
        # Starting other programs by a shell, and copying memory between processes.
        "pipes.py", "multiprocessing/", "crypt.py",
        # Sounds, pictures, forms of file and of database.
        "aifc.py", "chunk.py", "sunau.py", "wave.py", "sndhdr.py", "imghdr.py", "colorsys.py", "xdrlib.py", "dbm/",
        "shelve.py", "plistlib.py", "uu.py", "_aix_support.py", "_osx_support.py", "sitecustomize.py",
        "EXTERNALLY-MANAGED",
    )
)  # fmt: skip

NATIVE_MODULES: Final = tuple(
    f"{STDLIB}/lib-dynload/{name}.cpython-311-x86_64-linux-gnu.so"
    for name in ("_contextvars", "_ctypes", "_decimal", "_json", "_queue", "_typing", "_zoneinfo", "mmap", "resource")
)
"""Of the standard library's extension modules, those that the programs or their wheels load."""

_STDLIB: Final = (f"{STDLIB}/",)

DEBIAN: Final = {
    "libc6": Part(
        (
            "lib64/ld-linux-x86-64.so.2",
            *(f"lib/x86_64-linux-gnu/{name}" for name in ("ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6")),
            "lib/x86_64-linux-gnu/libpthread.so.0",
        ),
        "the loader and the C library. libpthread is an empty shell that a wheel still names. No locales, no "
        "conversions (gconv), no NSS modules: names resolve from /etc/hosts alone",
    ),
    "libexpat1": Part(
        (f"{LIB}/libexpat.so.1*", "lib/x86_64-linux-gnu/libexpat.so.1*"),
        "the interpreter is linked against it. Nothing here parses XML: the `xml` package is only there because "
        "botocore imports it",
    ),
    "libffi8": Part((f"{LIB}/libffi.so.8*",), "ctypes, by which init mounts and the signer speaks to the NSM's device"),
    "libgcc-s1": Part(("lib/x86_64-linux-gnu/libgcc_s.so.1",), "the native modules unwind with it after a panic"),
    "libpython3.11-minimal": Part(
        _STDLIB,
        "the standard library's core, with `ssl` and `hashlib`",
        (*TOOLS, f"{STDLIB}/lib-dynload/_crypt*"),
    ),
    "libpython3.11-stdlib": Part(
        _STDLIB,
        "the rest of the standard library, less what makes programs, starts shells, debugs, tests, or speaks protocols "
        "that nobody here speaks",
        (*TOOLS, f"{STDLIB}/lib-dynload/"),
        NATIVE_MODULES,
    ),
    "libssl3": Part(
        (f"{LIB}/libssl.so.3", f"{LIB}/libcrypto.so.3"),
        "TLS to KMS, which ends in this enclave, by Python's `ssl`. No engines, no providers, no `openssl`",
    ),
    "python3.11-minimal": Part(("usr/bin/python3.11",), "the interpreter: the only program in the image"),
    "zlib1g": Part(
        ("lib/x86_64-linux-gnu/libz.so.1*",), "the interpreter is linked against it; wheels' data is packed"
    ),
}

WHEELS: Final = {
    "asn1crypto": Part(("asn1crypto/",), "reads what KMS encrypted to this enclave (CMS)"),
    "botocore": Part(
        ("botocore/",),
        "asks KMS: signs requests, judges answers. Of its descriptions of services that of KMS alone, and the list of "
        "authorities for TLS",
        ("botocore/data/",),
        (
            "botocore/data/kms/",
            *(
                f"botocore/data/{name}.json"
                for name in ("endpoints", "partitions", "sdk-default-configuration", "_retry")
            ),
        ),
    ),
    "cffi": Part(("_cffi_backend*",), "`cryptography` loads its backend. The rest of it compiles C: left out"),
    "cryptography": Part(("cryptography/",), "signatures, key agreement, AEAD, X.509"),
    "jmespath": Part(("jmespath/",), "botocore's paginators and waiters are written in it"),
    "python-dateutil": Part(("dateutil/",), "botocore reads times with it", ("dateutil/zoneinfo/",)),
    "six": Part(("six.py",), "dateutil asks for it"),
    "urllib3": Part(("urllib3/",), "HTTP under botocore", ("urllib3/contrib/emscripten/",)),
}
"""By project. One that is locked and not here (pycparser, which only a C compiler's front end needs) is left out."""
