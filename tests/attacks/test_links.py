"""Signers that are reached over links, and somebody in the network between: who changes, repeats, cuts or redirects
bytes ends connections, and learns and signs nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import pytest

from strongroom.errors import Refusal
from strongroom_client.cluster.plan import PORT
from strongroom_host.relay.signing import SigningFailed
from tests import accepting
from tests.attacks.custody import ECDSA, ED25519, Custody
from tests.attacks.hand import flipped
from tests.infra.link import End, Links

A, B, C = "enclave-1", "enclave-2", "hsm-1"

Rule = Callable[[bytes, int], bytes]
"""What goes on of a piece that came; from which byte of its direction it is."""


class Network:
    """Between `dial` and `listen`: every byte passes here, both ways."""

    def __init__(self, port: int) -> None:
        self.rules: dict[str, Rule] = {}
        self.seen = bytearray()
        self.down = False
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Network:
        accepting.serve(self._listener, self._carry)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        accepting.end(self._listener)
        self.cut()

    def cut(self) -> None:
        """Ends whatever is open, as a reset does."""
        for side in self._open:
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._open.clear()

    def _carry(self, caller: socket.socket) -> None:
        with caller:
            target = self._reach()
            if target is None:
                return
            with target:
                self._open += [caller, target]
                back = threading.Thread(target=self._pump, args=("to the signer", target, caller), daemon=True)
                back.start()
                self._pump("to the host", caller, target)
                back.join()

    def _reach(self) -> socket.socket | None:
        """None while the network is down, or nobody listens there."""
        if self.down:
            return None
        try:
            target = socket.create_connection(("127.0.0.1", self._target), 20)
        except OSError:
            return None
        target.settimeout(None)
        return target

    def _pump(self, way: str, source: socket.socket, sink: socket.socket) -> None:
        passed = 0
        try:
            while data := source.recv(1 << 16):
                self.seen += data
                rule = self.rules.get(way)
                sink.sendall(rule(data, passed) if rule else data)
                passed += len(data)
        except OSError:
            pass
        for side in (source, sink):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Linked(Custody):
    """A custody whose signers are all behind links; links, networks: by signer."""

    def __init__(self, custody: Custody, folder: Path, within: ExitStack) -> None:
        self.links = Links(folder / "links", custody.cluster.names)
        within.callback(self.links.stop)
        self.networks = {name: within.enter_context(Network(self.links.port)) for name in custody.cluster.names}
        self.ends: dict[str, End] = {}
        super().__init__(custody.cluster, {name: self.links.sockets / f"{name}.sock" for name in custody.cluster.names})
        for name in custody.cluster.names:
            self.dial(name)

    def dial(self, name: str, signer: str = "") -> None:
        """signer: another one than the link is named after."""
        if name in self.ends:
            self.ends[name].stop()
        path = self.cluster.socket(signer or name)
        self.ends[name] = self.links.dial(name, f"uds:{path}#{PORT}", port=self.networks[name].port)
        self.ends[name].said("INFO linked to")

    def cut(self, name: str) -> None:
        """Returns once it is linked again."""
        listen, words = self.links.listen, f"{name}: linked"
        before = listen.log.read_text().count(words)
        self.networks[name].cut()
        listen.said(words, before + 1)

    def require_another_set(self, scheme: str) -> None:
        """A was asked first, and what was asked of it came to nothing."""
        assert self.sign(self.wallet(scheme), (A, B)).signers == (B, C)


@pytest.fixture(scope="module")
def linked(breakable: Custody, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Linked]:
    with ExitStack() as within:
        yield within.enter_context(Linked(breakable, tmp_path_factory.mktemp("linked"), within))


@pytest.mark.parametrize("scheme", [ECDSA, ED25519])
def test_a_wallet_is_made_and_signs(linked: Linked, scheme: str) -> None:
    linked.require_intact(linked.wallet(scheme))


def test_the_network_reads_nothing(linked: Linked) -> None:
    wallet = linked.wallet(ED25519)
    for network in linked.networks.values():
        network.seen.clear()
    intent = linked.intent(wallet)
    linked.sign(wallet, (A, B), intent=intent)
    for name in (A, B):
        seen = bytes(linked.networks[name].seen)
        assert len(seen) > 1000
        for words in (b"sign.start", wallet.body.wallet, intent.intent_id, b"pay nobody", A.encode(), b"CONNECT"):
            assert words not in seen


def later(change: Rule) -> Rule:
    """Once TLS and the preamble are over, so that it meets the ceremony."""
    return lambda data, passed: data if passed < 2500 else change(data, passed)


CHANGES: dict[str, Rule] = {
    "one bit": lambda data, _: flipped(data, -1),
    "twice": lambda data, _: data + data,
    "cut short": lambda data, _: data[:-1],
    "left out": lambda _, __: b"",
    "backwards": lambda data, _: data[::-1],
}


@pytest.mark.parametrize("way", ["to the host", "to the signer"])
@pytest.mark.parametrize("change", CHANGES)
def test_bytes_changed_on_their_way(linked: Linked, change: str, way: str) -> None:
    linked.sign(linked.wallet(ED25519), (A, B))
    network = linked.networks[A]
    network.rules[way] = later(CHANGES[change]) if way == "to the host" else CHANGES[change]
    try:
        linked.require_another_set(ED25519)
    finally:
        network.rules.clear()
        linked.cut(A)
    linked.require_intact(linked.wallet(ED25519))


def test_connections_cut_between_rounds_cost_nothing(linked: Linked) -> None:
    """A ceremony is no connection's: the host dials again, and a link is in wait."""
    with linked.signing(linked.wallet(ECDSA), (A, B)) as run:
        while not run.done:
            linked.cut(A)
            run.turn()
        assert all(step.result for step in run.steps.values())


def test_a_network_that_is_gone_and_comes_back(linked: Linked) -> None:
    wallet, network = linked.wallet(ECDSA), linked.networks[A]
    with linked.signing(wallet, (A, B)).turns(1) as run:
        network.down = True
        network.cut()
        with pytest.raises(Refusal) as failed:
            run.turn()
        assert (failed.value.code, failed.value.culprits) == ("signer_unreachable", (A,))
    linked.require_another_set(ECDSA)
    network.down = False
    linked.dial(A)
    linked.require_intact(wallet)


def test_a_stolen_key_of_a_link_is_worth_a_refusal(linked: Linked, tmp_path: Path) -> None:
    """Its thief is taken for the signer's parent. It reads what the host may read anyway, and answers for nobody."""
    heard = bytearray()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "thief"))
    listener.listen()

    def answer(caller: socket.socket) -> None:
        with caller:
            caller.recv(32)
            caller.sendall(b"OK 1\n")
            heard.extend(caller.recv(1 << 16))
            caller.sendall(bytes.fromhex("00000004" + "82f5a0f6"))

    accepting.serve(listener, answer)
    linked.ends[A].stop()
    thief = linked.links.dial(A, f"uds:{tmp_path}/thief#{PORT}")
    thief.said("INFO linked to")
    linked.require_another_set(ED25519)
    assert heard
    thief.stop()
    accepting.end(listener)
    linked.dial(A)
    linked.require_intact(linked.wallet(ED25519))


def test_links_that_lead_to_the_other_signer(linked: Linked) -> None:
    """Two parents of one operator, each with the other's key: each signer is asked what is the other's to do."""
    wallet = linked.wallet(ED25519)
    linked.dial(A, B)
    linked.dial(B, A)
    with pytest.raises(SigningFailed):
        linked.sign(wallet, (A, B))
    linked.dial(A)
    linked.dial(B)
    linked.require_intact(wallet)
