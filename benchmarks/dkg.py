"""(c) Making a wallet, against the bare DKG of all parties in one process."""

from __future__ import annotations

import time

from benchmarks import bare
from benchmarks.report import Row, at_most, median, plain
from benchmarks.served import Served

RUNS = {"dkls23-secp256k1": 5, "frost-ed25519": 30}
"""An ECDSA wallet takes seconds: five of them, in turn with the bare protocol."""


def run(served: Served) -> list[Row]:
    rows: list[Row] = []
    for scheme, count in RUNS.items():
        made: list[float] = []
        protocol: list[float] = []
        for _ in range(count):
            begin = time.perf_counter()
            served.make_wallet(scheme, 2)
            made.append((time.perf_counter() - begin) * 1000)
            protocol.append(bare.dkg(scheme, 2, served.size))
        name = f"{scheme} 2-of-{served.size}"
        rows.append(plain(f"{name}: wallet made and verified, p50 of {count}", median(made), "ms"))
        rows.append(plain(f"{name}: bare DKG, all parties in one process, p50", median(protocol), "ms"))
        metric, ratio = f"{name}: wallet / bare DKG", median(made) / median(protocol)
        rows.append(
            at_most(metric, ratio, "ratio", 1.3) if scheme.startswith("dkls23") else plain(metric, ratio, "ratio")
        )
    return rows
