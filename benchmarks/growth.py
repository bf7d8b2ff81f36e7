"""How latency and making a wallet grow: 3-of-5 and 5-of-9, one HSM among enclaves."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks import bare, latency
from benchmarks.report import Row, plain
from benchmarks.served import Served

SHAPES = ((3, 5), (5, 9))
SCHEMES = ("dkls23-secp256k1", "frost-ed25519")


def run(folder: Path) -> list[Row]:
    rows: list[Row] = []
    for threshold, size in SHAPES:
        with Served(folder / f"{threshold}-of-{size}", enclaves=size - 1, hsms=1) as served:
            for scheme in SCHEMES:
                begin = time.perf_counter()
                served.wallet(scheme, threshold)
                made = (time.perf_counter() - begin) * 1000
                protocol = bare.dkg(scheme, threshold, size)
                name = f"{scheme} {threshold}-of-{size}"
                rows.append(plain(f"{name}: wallet made and verified, once", made, "ms"))
                rows.append(plain(f"{name}: bare DKG, once", protocol, "ms"))
                rows.append(plain(f"{name}: wallet / bare DKG", made / protocol, "ratio"))
                rows += latency.measure(served, scheme, threshold, None)
    return rows
