"""(c) Making a wallet, against the bare DKG of all parties in one process."""

from __future__ import annotations

import time

from benchmarks import bare
from benchmarks.report import Row, at_most, median, plain
from benchmarks.served import Served

RUNS = 30
SCHEMES = ("dkls23-secp256k1", "frost-ed25519")
GOAL = 1.3
"""Not met by FROST, whose DKG is milliseconds of arithmetic: docs/adr/0008 says what a wallet costs besides."""


def run(served: Served) -> list[Row]:
    rows: list[Row] = []
    for scheme in SCHEMES:
        made: list[float] = []
        protocol: list[float] = []
        for _ in range(RUNS):
            begin = time.perf_counter()
            served.make_wallet(scheme, 2)
            made.append((time.perf_counter() - begin) * 1000)
            protocol.append(bare.dkg(scheme, 2, served.size))
        name = f"{scheme} 2-of-{served.size}"
        rows.append(plain(f"{name}: wallet made and verified, p50 of {RUNS}", median(made), "ms"))
        rows.append(plain(f"{name}: bare DKG, all parties in one process, p50", median(protocol), "ms"))
        rows.append(at_most(f"{name}: wallet / bare DKG", median(made) / median(protocol), "ratio", GOAL))
    return rows
