"""What a signature's trips carry: how many there are, and how long each request and answer is, at the signer's socket.

The transport's floor makes trips of these very sizes, so they are measured in the same run, between a relay and the
cluster's own signers. tests/cluster/test_trips.py compares them with those of a request that the host itself makes.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from strongroom.intent import judge as judging
from strongroom.intent.intent import Intent
from strongroom.policy.decide import Circumstances
from strongroom_client.cluster import Cluster
from strongroom_client.cluster.plan import PORT
from strongroom_client.wallets import Verified
from strongroom_host.connection import Address
from strongroom_host.relay.relay import Group, Relay
from strongroom_host.relay.rounds import Route
from strongroom_host.relay.signing import Task, sign
from strongroom_host.signers import Signers
from strongroom_simulator.adversary import Adversary, Seen

Trip = tuple[int, int]
"""Bytes of a request and of its answer."""


def of(links: Iterable[Sequence[Seen]]) -> tuple[Trip, ...]:
    """Of the newest signature that passed these links; of several signers the longest."""
    signers: list[list[Trip]] = []
    for seen in links:
        starts = [place for place, each in enumerate(seen) if each.call.operation == "sign.start"]
        if starts:
            steps = [each for each in seen[starts[-1] :] if each.call.operation in ("sign.start", "ceremony.step")]
            signers.append([(len(each.call.request), len(each.answer or b"")) for each in steps])
    return tuple(
        (max(asked for asked, _ in trip), max(said for _, said in trip)) for trip in zip(*signers, strict=True)
    )


@contextmanager
def relaying(sockets: Mapping[str, Path]) -> Iterator[Relay]:
    """The host's relay, to signers at these sockets, with no host around it."""
    signers = Signers({name: Address.parse(f"uds:{path}#{PORT}") for name, path in sockets.items()})
    relay = Relay(signers)
    try:
        yield relay
    finally:
        relay.close()
        signers.close()


def measure(cluster: Cluster, wallet: Verified, *bodies: bytes) -> tuple[Trip, ...]:
    """bodies: of fresh requests to the host, which does not get them. The first makes channels and pairings ready."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trips-")))
        links = {name: Adversary(folder / name, cluster.socket(name)) for name in cluster.names}
        for link in links.values():
            stack.enter_context(link)
        relay = stack.enter_context(relaying({name: folder / name for name in links}))
        for body in bodies:
            sign(relay, task(wallet, body), NoReservation())
        return of(link.seen for link in links.values())


class NoReservation:
    """Nothing is stored: only what crosses the relay counts."""

    def begin(self, attempt: int, signers: tuple[str, ...], *, last: bool) -> None:
        return None

    def before_last(self) -> None:
        return None


def task(wallet: Verified, request: bytes, route: Route | None = None) -> Task:
    """What the host would make of a request's body."""
    body, order = wallet.body, wallet.order
    fields = json.loads(request)
    raw, signature = bytes.fromhex(fields["intent"]), bytes.fromhex(fields["signature"])
    intent = Intent.decode(raw)
    known = judging.Wallet(body.wallet, order, body.keys)
    judged = judging.judge(intent, signature, known, order.policy, Circumstances(int(time.time())), ())
    return Task(
        Group(body.order, body.wallet), order.scheme, order.threshold, body.package, raw, intent.intent_id, signature,
        judged.to_sign, route=route,
    )  # fmt: skip
