"""(b) Requests a second with 16 clients, against what two processes of bare protocol do at once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from benchmarks import bare
from benchmarks.report import Row, at_least, plain
from benchmarks.served import Line, Served

CLIENTS = 16
EACH = 20
SCHEMES = {"dkls23-secp256k1": 0.85, "frost-ed25519": 0.50}


def run(served: Served) -> list[Row]:
    rows: list[Row] = []
    for scheme, goal in SCHEMES.items():
        bound = bare.bound(scheme, 2, served.size)
        rate = _rate(served, scheme)
        name = f"{scheme} 2-of-{served.size}, {CLIENTS} clients"
        rows.append(plain(f"{name}: requests", rate, "1/s"))
        rows.append(plain(f"{name}: bound of two bare processes", bound, "1/s"))
        rows.append(at_least(f"{name}: requests / bound", rate / bound, "ratio", goal))
    return rows


def _rate(served: Served, scheme: str) -> float:
    """The clients are a process of their own, and its cost is part of the figure."""
    wallet, requester, line = served.wallet(scheme, 2), served.requester(), served.line()
    bodies = [[served.request(wallet, requester) for _ in range(EACH + 1)] for _ in range(CLIENTS)]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_drive, line.port, line.key, bodies).result()


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
