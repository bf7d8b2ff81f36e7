"""The forwarder carries bytes to one place, and what either side does ends no more than its own connection."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from strongroom_enclave.forwarder import Forwarder


class Parent:
    """Accepts what the forwarder opens, and remembers for which port it did."""

    def __init__(self) -> None:
        self.ports: list[int] = []
        self.sides: list[socket.socket] = []
        self.came = threading.Semaphore(0)
        self.away = False

    def __call__(self, port: int) -> socket.socket:
        self.ports.append(port)
        if self.away:
            raise ConnectionRefusedError
        ours, theirs = socket.socketpair()
        self.sides.append(theirs)
        self.came.release()
        return ours

    def next(self) -> socket.socket:
        assert self.came.acquire(timeout=10)
        side = self.sides[-1]
        side.settimeout(10)
        return side


@pytest.fixture
def parent() -> Parent:
    return Parent()


@pytest.fixture
def address(parent: Parent) -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=Forwarder(listener, parent, most=2, idle=1.0).run, daemon=True).start()
        yield listener.getsockname()
        listener.shutdown(socket.SHUT_RDWR)
    for side in parent.sides:
        side.close()


def dial(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, timeout=10)


def send(connection: socket.socket, data: bytes) -> None:
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


def everything(connection: socket.socket) -> bytes:
    parts = bytearray()
    while part := connection.recv(1 << 16):
        parts += part
    return bytes(parts)


def test_bytes_arrive_as_they_were_both_ways(address: tuple[str, int], parent: Parent) -> None:
    there, back = os.urandom(300_000), os.urandom(300_000)
    with dial(address) as caller:
        side = parent.next()
        sender = threading.Thread(target=send, args=(caller, there))
        sender.start()
        assert everything(side) == there
        answer = threading.Thread(target=send, args=(side, back))
        answer.start()
        assert everything(caller) == back
        sender.join()
        answer.join()
    assert parent.ports == [8000]


def test_nothing_that_a_caller_says_chooses_another_port(address: tuple[str, int], parent: Parent) -> None:
    with dial(address) as caller:
        side = parent.next()
        caller.sendall(b"CONNECT 5000\nCONNECT evil.example:443 HTTP/1.1\r\n\r\n")
        assert side.recv(64).startswith(b"CONNECT 5000\n")
    assert parent.ports == [8000]


def test_more_connections_than_are_allowed_end_at_once(address: tuple[str, int], parent: Parent) -> None:
    with dial(address) as one, dial(address) as two:
        parent.next()
        parent.next()
        with dial(address) as three:
            assert three.recv(1) == b""
        one.close()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and len(parent.ports) < 3:
            with dial(address) as again:
                again.settimeout(0.2)
                try:
                    again.recv(1)
                except TimeoutError:
                    break
        assert len(parent.ports) == 3
        two.close()


def test_a_silent_connection_ends(address: tuple[str, int], parent: Parent) -> None:
    with dial(address) as caller:
        parent.next()
        assert caller.recv(1) == b""


def test_a_parent_that_is_away_ends_the_connection_and_the_next_one_is_served(
    address: tuple[str, int], parent: Parent
) -> None:
    parent.away = True
    with dial(address) as caller:
        assert caller.recv(1) == b""
    parent.away = False
    with dial(address) as caller:
        side = parent.next()
        side.sendall(b"x")
        assert caller.recv(1) == b"x"
