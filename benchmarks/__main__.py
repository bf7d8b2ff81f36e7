"""Runs the benchmarks named on the command line, or all; each writes `build/bench/<name>.json` and prints its rows."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import approving, dkg, enclave, evidence, footprint, growth, journal, judging, latency, throughput
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


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join([*ALONE, *SHARED, "growth", "enclave"]))
    names = parser.parse_args().names or [*ALONE, *SHARED, "growth", "enclave"]
    for name in names:
        if name in ALONE:
            write(name, ALONE[name]())
    with tempfile.TemporaryDirectory(prefix="strongroom-bench-") as folder:
        if set(names) & set(SHARED):
            with Served(Path(folder) / "three", enclaves=2, hsms=1) as served:
                for name in names:
                    if name in SHARED:
                        write(name, SHARED[name](served))
        if "growth" in names:
            write("growth", growth.run(Path(folder)))
        if "enclave" in names:
            write("enclave", enclave.run(Path(folder) / "enclave"))


if __name__ == "__main__":
    main()
