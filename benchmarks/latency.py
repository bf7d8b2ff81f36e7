"""(a) A whole request through host and signers, against the bare protocol's critical path and the transport's floor.

The three are measured in turn, block by block, so that a noisy neighbour meets all of them alike.
"""

from __future__ import annotations

import gc

from benchmarks import bare
from benchmarks.floor import PATH, Floor, question
from benchmarks.report import Row, at_most, median, plain
from benchmarks.served import Line, Served
from benchmarks.trips import measure as measure_trips
from tests.native.driver import run_dkg

BLOCKS = 7
EACH = 8
WARM_UP = 2
"""Requests of every block that are not counted."""

SCHEMES = ("dkls23-secp256k1", "frost-ed25519", "frost-secp256k1-tr", "musig2-secp256k1")


def run(served: Served) -> list[Row]:
    rows: list[Row] = []
    with Floor(served.cluster.plan.directory / "floor", served.cluster.plan.sockets) as floor:
        for scheme in SCHEMES:
            threshold = served.size if scheme.startswith("musig2") else 2
            rows += measure(served, scheme, threshold, floor)
    return rows


def measure(served: Served, scheme: str, threshold: int, floor: Line | None) -> list[Row]:
    """floor: None where only the critical path is of interest."""
    wallet, requester, line = served.wallet(scheme, threshold), served.requester(), served.line()
    shares = run_dkg(scheme, threshold, served.size)[:threshold]
    requests: list[float] = []
    laps: dict[str, list[float]] = {}
    critical: list[float] = []
    floors: list[float] = []
    warming = [served.request(wallet, requester) for _ in range(2)]
    trips = () if floor is None else measure_trips(served.cluster, wallet, *warming)
    gc.disable()
    for _ in range(BLOCKS):
        bodies = [served.request(wallet, requester) for _ in range(EACH + WARM_UP)]
        for place, body in enumerate(bodies):
            spent = line.post(body)
            if place >= WARM_UP:
                requests.append(spent)
                for name, each in line.laps.items():
                    laps.setdefault(name, []).append(each)
        critical += [bare.critical_path(scheme, shares) for _ in range(EACH + WARM_UP)][WARM_UP:]
        if floor is not None:
            floors += [floor.post(question(body, trips, threshold), PATH) for body in bodies][WARM_UP:]
        gc.collect()
    gc.enable()
    name = f"{scheme} {threshold}-of-{served.size}"
    rows = _rows(name, scheme, requests, critical, floors)
    return rows + [plain(f"{name}: of it {lap}", median(spent), "ms") for lap, spent in laps.items()]


def _rows(name: str, scheme: str, requests: list[float], critical: list[float], floors: list[float]) -> list[Row]:
    request, path = median(requests), median(critical)
    ratio = request / path
    rows = [plain(f"{name}: request, p50 of {len(requests)}", request, "ms")]
    rows.append(plain(f"{name}: request, p99", sorted(requests)[int(len(requests) * 0.99)], "ms"))
    rows.append(plain(f"{name}: bare critical path, p50", path, "ms"))
    metric = f"{name}: request / bare critical path"
    rows.append(
        at_most(metric, ratio, "ratio", 1.35) if name == "dkls23-secp256k1 2-of-3" else plain(metric, ratio, "ratio")
    )
    if floors:
        floor = median(floors)
        rows.append(plain(f"{name}: transport floor, p50", floor, "ms"))
        metric = f"{name}: request / transport floor"
        to_floor = request / floor
        rows.append(
            at_most(metric, to_floor, "ratio", 1.8) if scheme.startswith("frost") else plain(metric, to_floor, "ratio")
        )
    return rows
