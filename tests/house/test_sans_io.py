"""The trusted library touches nothing it was not handed: whatever it imports from outside stands in this list.

Imports do not show `datetime.now()`, `X25519PrivateKey.generate()` or `open()`: ruff's banned-api, in pyproject.toml,
refuses those.
"""

from __future__ import annotations

import grimp

ALLOWED = {
    "__future__",
    "abc",
    "base64",
    "binascii",
    "bisect",
    "collections",
    "contextlib",
    "copy",
    "dataclasses",
    "datetime",
    "enum",
    "functools",
    "hashlib",
    "heapq",
    "hmac",
    "ipaddress",
    "itertools",
    "json",
    "logging",
    "math",
    "operator",
    "re",
    "string",
    "struct",
    "threading",
    "types",
    "typing",
    "unicodedata",
    # Not the standard library: each is in requirements/enclave.txt, so part of the trusted base.
    "cryptography",
    "strongroom_native",
}

# The listener's loop is handed a socket that listens, opens none, and says how its own threads are scheduled.
EXCEPTIONS = {module: {"strongroom.signer.serve"} for module in ("os", "socket", "time")}


def test_the_trusted_library_imports_only_what_cannot_reach_outside() -> None:
    graph = grimp.build_graph("strongroom", include_external_packages=True, cache_dir=None)
    outside = {module for module in graph.modules if module.split(".")[0] != "strongroom"}
    guilty = {module: sorted(graph.find_modules_that_directly_import(module)) for module in outside - ALLOWED}
    assert {module: set(importers) - EXCEPTIONS.get(module, set()) for module, importers in guilty.items()} == {
        module: set() for module in EXCEPTIONS
    }
