"""What two things that a production wallet has add to a request: signers behind links, and journals with a witness.

Each is measured against the same signers without it, block by block in turn. The links are TLS between processes of
this machine: a network's own time comes on top, once for each trip.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.latency import BLOCKS, EACH, WARM_UP
from benchmarks.report import Row, median, plain
from benchmarks.served import Served
from benchmarks.trips import NoReservation, relaying, task
from strongroom.policy.terms import Window
from strongroom_client.cluster.plan import PORT
from strongroom_client.wallets import Verified
from strongroom_host.relay.relay import Relay
from strongroom_host.relay.signing import sign
from tests.infra.link import Links

SCHEMES = ("dkls23-secp256k1", "frost-ed25519")
WINDOWS = (Window(86400, amount=10**20, count=10_000),)


def run(folder: Path) -> list[Row]:
    with Served(folder, enclaves=2, hsms=1, witnesses=1) as served:
        return [*_links(served), *_journals(served)]


def _links(served: Served) -> list[Row]:
    cluster, rows = served.cluster, list[Row]()
    with ExitStack() as within:
        links = Links(Path(within.enter_context(tempfile.TemporaryDirectory(prefix="links-"))) / "links", cluster.names)
        within.callback(links.stop)
        for name in cluster.names:
            links.dial(name, f"uds:{cluster.socket(name)}#{PORT}").said("linked to")
        here = within.enter_context(relaying({name: cluster.socket(name) for name in cluster.names}))
        there = within.enter_context(relaying({name: links.sockets / f"{name}.sock" for name in cluster.names}))
        for scheme in SCHEMES:
            wallet = served.wallet(scheme, 2)
            rows += _compared(
                f"{scheme} 2-of-3",
                ("relayed here", _signing(served, wallet, here)),
                ("relayed over links", _signing(served, wallet, there)),
            )
    return rows


def _signing(served: Served, wallet: Verified, relay: Relay) -> Callable[[], float]:
    def once() -> float:
        asked = task(wallet, served.request(wallet, served.requester()))
        begin = time.perf_counter()
        sign(relay, asked, NoReservation())
        return (time.perf_counter() - begin) * 1000

    return once


def _journals(served: Served) -> list[Row]:
    rows: list[Row] = []
    for scheme in SCHEMES:
        plainly, counted = served.wallet(scheme, 2), served.make_wallet(scheme, 2, windows=WINDOWS)
        rows += _compared(
            f"{scheme} 2-of-3",
            ("request", _request(served, plainly)),
            ("request with a witness and windows", _request(served, counted)),
        )
    return rows


def _request(served: Served, wallet: Verified) -> Callable[[], float]:
    line = served.line()
    return lambda: line.post(served.request(wallet, served.requester()))


def _compared(
    name: str, without: tuple[str, Callable[[], float]], with_it: tuple[str, Callable[[], float]]
) -> list[Row]:
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(BLOCKS):
        for (_, once), times in zip((without, with_it), spent, strict=True):
            times += [once() for _ in range(EACH + WARM_UP)][WARM_UP:]
    before, after = map(median, spent)
    return [
        plain(f"{name}: {without[0]}, p50 of {len(spent[0])}", before, "ms"),
        plain(f"{name}: {with_it[0]}, p50", after, "ms"),
        plain(f"{name}: {with_it[0]} / {without[0]}", after / before, "ratio"),
    ]
