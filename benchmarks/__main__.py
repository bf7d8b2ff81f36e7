"""Runs the benchmarks named on the command line, or all; each writes `build/bench/<name>.json` and prints its rows."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import (
    additions,
    approving,
    dkg,
    enclave,
    evidence,
    footprint,
    growth,
    journal,
    judging,
    latency,
    throughput,
)
from benchmarks.report import Row, write
from benchmarks.served import Served

SHARED: Mapping[str, Callable[[Served], list[Row]]] = {
    "latency": latency.run,
    "throughput": throughput.run,
    "dkg": dkg.run,
    "footprint": footprint.run,
    "approving": approving.run,
}
"""On one cluster of two enclaves and an HSM."""

ALONE: Mapping[str, Callable[[], list[Row]]] = {
    "judging": judging.run,
    "journal": journal.run,
    "evidence": evidence.run,
}
"""Without one."""

CLUSTERS: Mapping[str, Callable[[Path], list[Row]]] = {
    "additions": additions.run,
    "growth": growth.run,
    "enclave": enclave.run,
}
"""On clusters of their own, in the folder given."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join([*ALONE, *SHARED, *CLUSTERS]))
    names = parser.parse_args().names or [*ALONE, *SHARED, *CLUSTERS]
    for name in names:
        if name in ALONE:
            write(name, ALONE[name]())
    with tempfile.TemporaryDirectory(prefix="strongroom-bench-") as folder:
        if set(names) & set(SHARED):
            with Served(Path(folder) / "three", enclaves=2, hsms=1) as served:
                for name in names:
                    if name in SHARED:
                        write(name, SHARED[name](served))
        for name in names:
            if name in CLUSTERS:
                write(name, CLUSTERS[name](Path(folder) / name))


if __name__ == "__main__":
    main()
