"""A share that is let go leaves nothing in its process's heap. What the compiler spilled on a stack is not wiped
(native/README.md, limits), and not claimed here. With a module whose zeroize writes nothing the test fails for every
suite: that was tried."""

from __future__ import annotations

import subprocess
import sys

import pytest
import strongroom_native as native

from tests.attacks.secrets_of import memory
from tests.native.conftest import ECDSA, ED25519, MUSIG2, TAPROOT, Keys
from tests.native.test_layouts import opened, size

HOLDER = """
import gc, sys
import strongroom_native as native

blob, key = (bytearray.fromhex(sys.stdin.readline()) for _ in range(2))
share = native.KeyShare.unseal(bytes(blob), native.DataKey.take(key), b"aad")
share.check()
print("held", flush=True)
sys.stdin.readline()
del share
gc.collect()
print("gone", flush=True)
sys.stdin.readline()
"""
"""A process that gets a sealed share and lets it go. The secret reaches it in no other form than sealed."""


def traces(pid: int, secret: bytes) -> list[str]:
    """Where the secret stands, as it is or back to front (as limbs), but for the stack."""
    needles = (secret, secret[::-1])
    return [
        where
        for where, content in memory(pid)
        if not where.endswith("[stack]") and any(needle in content for needle in needles)
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("suite", [ECDSA, ED25519, TAPROOT, MUSIG2])
def test_a_share_is_wiped_when_it_is_let_go(keys: Keys, suite: str) -> None:
    share, key = keys(suite, size(suite), 3)[0], native.DataKey.generate()
    lines = [share.seal(key, b"aad").hex(), bytes(key.expose()).hex()]
    _, secret = opened(share)
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None and holder.stdout is not None
        try:
            print(*lines, sep="\n", file=holder.stdin, flush=True)
            assert holder.stdout.readline() == "held\n"
            assert traces(holder.pid, secret) != []  # the search finds what is there
            print(file=holder.stdin, flush=True)
            assert holder.stdout.readline() == "gone\n"
            assert traces(holder.pid, secret) == []
        finally:
            holder.kill()
