"""(b) Requests a second with 16 clients, against what two processes of bare protocol do at once.

Both are measured in turn, block by block, so that a noisy neighbour meets them alike; what counts is the median of the
blocks' ratios.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from benchmarks.bare import Bound
from benchmarks.report import Row, at_least, median, plain
from benchmarks.served import Line, Served

CLIENTS = 16
EACH = 20
BLOCKS = 7
"""Each of 320 requests, and of BOUND seconds of bare protocol."""
BOUND = 2.0

GOALS = {"dkls23-secp256k1": 0.85, "frost-ed25519": 0.50, "frost-secp256k1-tr": 0.50, "musig2-secp256k1": None}


def run(served: Served) -> list[Row]:
    rows: list[Row] = []
    for scheme, goal in GOALS.items():
        threshold = served.size if scheme.startswith("musig2") else 2
        bounds, rates = _blocks(served, scheme, threshold)
        name = f"{scheme} {threshold}-of-{served.size}, {CLIENTS} clients"
        rows.append(plain(f"{name}: requests, p50 of {BLOCKS} blocks", median(rates), "1/s"))
        rows.append(plain(f"{name}: bound of two bare processes, p50", median(bounds), "1/s"))
        ratio = median([rate / bound for rate, bound in zip(rates, bounds, strict=True)])
        metric = f"{name}: requests / bound, p50"
        rows.append(plain(metric, ratio, "ratio") if goal is None else at_least(metric, ratio, "ratio", goal))
    return rows


def _blocks(served: Served, scheme: str, threshold: int) -> tuple[list[float], list[float]]:
    """Bounds and rates. The clients are a process of their own, and its cost is part of the figure."""
    wallet, requester, line = served.wallet(scheme, threshold), served.requester(), served.line()
    bounds: list[float] = []
    rates: list[float] = []
    with Bound(scheme, threshold, served.size) as bound, _clients() as clients:
        for _ in range(BLOCKS):
            bounds.append(bound.measure(BOUND))
            bodies = [[served.request(wallet, requester) for _ in range(EACH + 1)] for _ in range(CLIENTS)]
            rates.append(clients.submit(_drive, line.port, line.key, bodies).result())
    return bounds, rates


def _clients() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


def _drive(port: int, key: str, bodies: list[list[bytes]]) -> float:
    begin = [0.0]

    def start() -> None:
        begin[0] = time.perf_counter()

    gate = threading.Barrier(len(bodies), start)
    failures: list[Exception] = []

    def client(mine: list[bytes]) -> None:
        line = Line(port, key)
        try:
            line.post(mine[0])
            gate.wait()
            for body in mine[1:]:
                line.post(body)
        except Exception as error:
            failures.append(error)
            gate.abort()

    threads = [threading.Thread(target=client, args=(mine,)) for mine in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return sum(len(mine) - 1 for mine in bodies) / (time.perf_counter() - begin[0])
