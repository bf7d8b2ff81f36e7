"""(h) What evidence costs whoever verifies it: a Nitro document of the size of a real one, and refusals on the way.

Of processor time: a verifier waits for nothing, and a busy machine is no slow verifier.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Final

from benchmarks.report import Row, at_most, median, plain
from strongroom.errors import Refusal
from strongroom.evidence import nitro
from strongroom.evidence.statement import TrustRoot
from strongroom_simulator import pki
from strongroom_simulator.document import Document

ROUNDS: Final = 300
LIMIT: Final = 10.0
"""Milliseconds that a document may take."""
NOW: Final = 1_800_000_000
LIFE: Final = 3 * 3600
MODULE: Final = "i-0123456789abcdef0-enc0123456789abcdef"


def run() -> list[Row]:
    root = pki.root("simulated.nitro-enclaves")
    chain = pki.issue_chain(root, MODULE, NOW, LIFE)
    contents = Document(
        MODULE,
        NOW * 1000,
        {index: bytes((index + 1,)) * 48 for index in range(18)},
        chain.leaf.der,
        chain.bundle,
        bytes(32),
        bytes(32),
        bytes(32),
    )
    honest = contents.sign(chain.leaf.key)
    trust = TrustRoot("nitro", "simulated", root.fingerprint)
    nitro.verify(honest, root=trust, at=NOW)
    taken = _times(honest, trust)
    rows = [
        at_most("verify a Nitro document: median", median(taken), "ms", LIMIT),
        at_most("verify a Nitro document: p99", sorted(taken)[len(taken) * 99 // 100], "ms", LIMIT),
        plain("the document", len(honest), "bytes"),
    ]
    for what, document in {
        "of another root": honest.replace(root.der[-32:], bytes(32)),
        "with a signature that is none": honest[:-1] + bytes((honest[-1] ^ 1,)),
        "of 32 KiB of nested arrays": b"\x81" * (32 << 10),
    }.items():
        rows.append(at_most(f"refuse one {what}: median", median(_times(document, trust)), "ms", LIMIT))
    return rows


def _times(document: bytes, trust: TrustRoot) -> list[float]:
    """Milliseconds of each."""
    taken = []
    for _ in range(ROUNDS):
        began = time.process_time()
        with suppress(Refusal):
            nitro.verify(document, root=trust, at=NOW)
        taken.append((time.process_time() - began) * 1e3)
    return taken
