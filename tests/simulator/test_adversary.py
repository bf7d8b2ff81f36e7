"""The man in the middle itself: each rule does what it says, and an honest link changes nothing."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from strongroom.wire import cbor, frame
from strongroom_simulator import adversary
from strongroom_simulator.adversary import Adversary, Drop
from tests import accepting

SEALED: Any = [["a", b"\x01" * 40], ["b", b"\x02" * 40]]


class Signer:
    """Answers every request with a step that carries two sealed messages, and counts what it heard."""

    def __init__(self, path: Path) -> None:
        self.heard: list[bytes] = []
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        self.connections: list[socket.socket] = []
        accepting.serve(self._server, self._serve)

    def _serve(self, connection: socket.socket) -> None:
        self.connections.append(connection)
        assert connection.recv(64) == b"CONNECT 5000\n"
        connection.sendall(b"OK 5000\n")
        # `close` takes the connection away under this thread.
        with contextlib.suppress(OSError):
            while (request := adversary.read_frame(connection)) is not None:
                self.heard.append(request)
                connection.sendall(frame.encode_frame(cbor.encode([1, True, {"messages": SEALED}])))

    def close(self) -> None:
        accepting.end(self._server, *self.connections)


@pytest.fixture
def signer(tmp_path: Path) -> Iterator[Signer]:
    signer = Signer(tmp_path / "signer")
    yield signer
    signer.close()


@pytest.fixture
def link(signer: Signer, tmp_path: Path) -> Iterator[Adversary]:
    with Adversary(tmp_path / "link", tmp_path / "signer") as link:
        yield link


@pytest.fixture
def host(link: Adversary, tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as host:
        host.settimeout(5)
        host.connect(str(tmp_path / "link"))
        host.sendall(b"CONNECT 5000\n")
        assert host.recv(64) == b"OK 5000\n"
        yield host


def ask(host: socket.socket, operation: str = "sign.start", **body: Any) -> list[list[Any]]:
    answer: Any = cbor.decode(adversary.exchange(host, frame.encode_request(operation, body)))
    messages: list[list[Any]] = answer[2]["messages"]
    return messages


def test_an_honest_link_passes_and_sees_everything(host: socket.socket, link: Adversary, signer: Signer) -> None:
    assert ask(host, tag=1) == SEALED
    assert signer.heard == [frame.encode_request("sign.start", {"tag": 1})]
    (seen,) = link.seen
    assert (seen.call.operation, seen.call.nth, seen.call.body) == ("sign.start", 1, {"tag": 1})
    assert link.ciphertext() == b"\x01" * 40 + b"\x02" * 40


def test_flip_changes_one_bit(host: socket.socket, link: Adversary) -> None:
    link.rules.append(adversary.flip())
    assert ask(host) == [SEALED[0], ["b", b"\x02" * 39 + b"\x82"]]


def test_swap(host: socket.socket, link: Adversary) -> None:
    link.rules.append(adversary.swap)
    assert ask(host) == [["a", b"\x02" * 40], ["b", b"\x01" * 40]]


def test_only_the_second_of_one_operation(host: socket.socket, link: Adversary) -> None:
    link.rules.append(adversary.only("sign.start", adversary.swap, nth=2))
    assert [ask(host, operation) == SEALED for operation in ("sign.start", "other", "sign.start", "sign.start")] == [
        True, True, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize(("rule", "heard"), [(adversary.drop, 0), (adversary.mute, 1)])
def test_no_answer(host: socket.socket, link: Adversary, signer: Signer, rule: adversary.Rule, heard: int) -> None:
    link.rules.append(rule)
    with pytest.raises(Drop):
        ask(host)
    assert len(signer.heard) == heard


def test_duplicate_and_replay(host: socket.socket, link: Adversary, signer: Signer) -> None:
    link.rules.append(adversary.duplicate)
    ask(host, tag=1)
    link.rules[:] = [adversary.replay()]
    ask(host, tag=2)
    ask(host, tag=3)
    tags = [cbor.decode(each)[2]["tag"] for each in signer.heard]  # type: ignore[index,call-overload]
    assert tags == [1, 1, 2, 2]


def test_delay(host: socket.socket, link: Adversary) -> None:
    link.rules.append(adversary.delay(0.2))
    began = time.monotonic()
    ask(host)
    assert time.monotonic() - began >= 0.2


def test_a_signer_that_goes_is_gone_for_its_caller_too(host: socket.socket, signer: Signer) -> None:
    ask(host)
    signer.close()
    assert host.recv(1) == b""


def test_entropy() -> None:
    assert adversary.entropy(b"") == 0
    assert adversary.entropy(b"aaaa") == 0
    assert adversary.entropy(bytes(range(256))) == 8
