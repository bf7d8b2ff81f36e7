"""(d) Resident memory of each signer and the host; (e) messages and bytes that the host relays for one signature."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.report import Row, at_most, median, plain
from benchmarks.served import Served
from benchmarks.trips import NoReservation, relaying, task
from strongroom_client.cluster.plan import HOST
from strongroom_client.wallets import Verified
from strongroom_host.relay.relay import Relay
from strongroom_host.relay.rounds import Message
from strongroom_host.relay.signing import sign

SCHEMES = {"dkls23-secp256k1": 2, "frost-ed25519": 2, "frost-secp256k1-tr": 2, "musig2-secp256k1": 3}
REQUESTS = 30
MEGABYTE = 1_000_000


def run(served: Served) -> list[Row]:
    rows: list[Row] = []
    if served.size == 3:
        with relaying({name: served.cluster.socket(name) for name in served.cluster.names}) as relay:
            for scheme, threshold in SCHEMES.items():
                rows += _relayed(served, relay, served.wallet(scheme, threshold))
    for name, pid in served.cluster.pids().items():
        if name in served.cluster.names:
            rows.append(at_most(f"{name}: resident memory", _resident(pid), "MB", 100))
        elif name == HOST:
            rows.append(plain("host: resident memory of its worker", _resident(_child(pid)), "MB"))
    return rows


def _relayed(served: Served, relay: Relay, wallet: Verified) -> list[Row]:
    messages: list[int] = []
    volumes: list[int] = []
    for _ in range(REQUESTS):
        carried: list[Message] = []

        def note(_trip: int, passing: list[Message], kept: list[Message] = carried) -> list[Message]:
            kept.extend(passing)
            return passing

        sign(relay, task(wallet, served.request(wallet, served.requester()), note), NoReservation())
        messages.append(len(carried))
        volumes.append(sum(len(sealed) for _, _, sealed in carried))
    order = wallet.order
    name = f"{order.scheme} {order.threshold}-of-{served.size}"
    return [
        plain(f"{name}: messages relayed for one signature", median(messages), "messages"),
        plain(f"{name}: bytes relayed for one signature", median(volumes), "bytes"),
    ]


def _resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    match = re.search(r"VmRSS:\s+(\d+) kB", status)
    if match is None:
        raise RuntimeError(f"process {pid} says nothing of its memory")
    return int(match[1]) * 1024 / MEGABYTE


def _child(pid: int) -> int:
    """gunicorn's only worker."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
