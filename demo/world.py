"""What every step works on: the cluster, the malicious links, what was made so far."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from demo.result import Result
from demo.screen import Screen
from strongroom.errors import Refusal
from strongroom.wire.fields import Fields
from strongroom.wire.frame import decode_answer, encode_request
from strongroom_client.api import Api
from strongroom_client.cluster import Cluster
from strongroom_client.cluster.plan import PORT, SignerPlan
from strongroom_client.wallets import Verified
from strongroom_simulator import adversary
from strongroom_simulator.adversary import Adversary, Call, Forward

ETHER: Final = 10**18
BUILD: Final = Path(
    os.environ.get("STRONGROOM_DEMO_BUILD") or Path(__file__).resolve().parent.parent / "build" / "demo"
)


@dataclass
class World:
    """links: the host's side of every signer, in the demo's hands. wallet: the ECDSA wallet, once it was verified."""

    screen: Screen
    result: Result
    links: dict[str, Adversary] = field(default_factory=dict)
    _cluster: Cluster | None = None
    _wallet: Verified | None = None

    @property
    def cluster(self) -> Cluster:
        assert self._cluster is not None
        return self._cluster

    @cluster.setter
    def cluster(self, cluster: Cluster) -> None:
        self._cluster = cluster

    @property
    def wallet(self) -> Verified:
        assert self._wallet is not None
        return self._wallet

    @wallet.setter
    def wallet(self, wallet: Verified) -> None:
        self._wallet = wallet

    def api(self) -> Api:
        return self.cluster.api()

    def intercept(self, signer: SignerPlan) -> Path:
        """Puts a link before a signer; the host will dial it and know nothing else."""
        path = signer.socket.with_suffix(".link")
        link = Adversary(path, signer.socket)
        link.start()
        self.links[signer.name] = link
        return path

    def stop_links(self) -> None:
        for link in self.links.values():
            link.stop()

    @contextmanager
    def cut_off(self, names: Iterable[str]) -> Iterator[None]:
        """The host does not reach these signers meanwhile."""
        cut = [(self.links[name], _cut) for name in names]
        for link, rule in cut:
            link.rules.append(rule)
        try:
            yield
        finally:
            for link, rule in cut:
                link.rules.remove(rule)


def _cut(call: Call, forward: Forward) -> bytes:
    raise adversary.Drop


def ask(path: Path, operation: str, body: dict[str, Any]) -> Fields:
    """Speaks to a signer without any host in between. Raises the signer's Refusal."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(30)
        line.connect(str(path))
        line.sendall(f"CONNECT {PORT}\n".encode())
        if not line.recv(32).startswith(b"OK "):
            raise Refusal("signer_unreachable", f"{path} answered no preamble")
        return decode_answer(adversary.exchange(line, encode_request(operation, body)))
