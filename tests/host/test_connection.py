"""One connection to a signer that answers late, twice, never, in pieces, or with what is no frame."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from strongroom.errors import Refusal
from strongroom.wire.frame import MAX_FRAME
from strongroom_host.connection import Address, Connection, connect, exchange
from strongroom_host.pool import Pool

Script = Callable[[socket.socket, bytes], None]
"""What the fake signer does with a request: it is handed the connection and the payload."""


def frame(payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + payload


def read(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


class Fake:
    """Accepts, greets, and follows its script for every frame."""

    def __init__(self, path: Path, script: Script, greeting: bytes = b"OK 7\n") -> None:
        self.address = Address("uds", str(path), 0, 7)
        self.accepted = 0
        self._script, self._greeting = script, greeting
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(8)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            with sock:
                assert read(sock, 10) == b"CONNECT 7\n"
                sock.sendall(self._greeting)
                while True:
                    (length,) = struct.unpack(">I", read(sock, 4))
                    self._script(sock, read(sock, length))
        except (OSError, EOFError):
            pass

    def close(self) -> None:
        self._listener.close()


Faker = Callable[..., Fake]


@pytest.fixture
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faker]:
    folder = tmp_path_factory.mktemp("f")
    made: list[Fake] = []

    def make(script: Script, greeting: bytes = b"OK 7\n") -> Fake:
        made.append(Fake(folder / str(len(made)), script, greeting))
        return made[-1]

    yield make
    for each in made:
        each.close()


class Lines:
    """Connections and pools that are closed when the test ends."""

    def __init__(self) -> None:
        self._made: list[Connection | Pool] = []

    def connect(self, name: str, signer: Fake, seconds: float = 5.0) -> Connection:
        connection = connect(name, signer.address, soon(seconds))
        self._made.append(connection)
        return connection

    def pool(self, signer: Fake) -> Pool:
        pool = Pool("a", signer.address)
        self._made.append(pool)
        return pool

    def ask(self, signer: Fake, payload: bytes = b"question", timeout: float = 5.0) -> bytes:
        (answer,) = exchange([(self.connect("a", signer), payload)], soon(timeout))
        if isinstance(answer, Refusal):
            raise answer
        return answer

    def close(self) -> None:
        for each in self._made:
            each.close()


@pytest.fixture
def lines() -> Iterator[Lines]:
    lines = Lines()
    yield lines
    lines.close()


def soon(seconds: float = 5.0) -> float:
    return time.monotonic() + seconds


def echo(sock: socket.socket, payload: bytes) -> None:
    sock.sendall(frame(payload))


def never(_sock: socket.socket, _payload: bytes) -> None:
    time.sleep(5)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("uds:/run/a.sock#5000", Address("uds", "/run/a.sock", 0, 5000)),
        ("uds:/run/a#b.sock#1", Address("uds", "/run/a#b.sock", 0, 1)),
        ("vsock:16:5000", Address("vsock", "", 16, 5000)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert Address.parse(text) == address


@pytest.mark.parametrize(
    "text", ["", "uds:/a", "uds:#1", "tcp:a:1", "vsock:a:1", "vsock:1:x", "uds:/a#-1", "uds:/a#4294967296"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(Refusal) as caught:
        Address.parse(text)
    assert caught.value.code == "bad_configuration"


@pytest.mark.parametrize("size", [0, 1, 100, (1 << 17) - 4, (1 << 17) - 3, 1 << 20, MAX_FRAME])
def test_frames_of_every_size_come_back(fake: Faker, lines: Lines, size: int) -> None:
    payload = os.urandom(size)
    assert lines.ask(fake(echo), payload) == payload


def test_large_frames_of_all_at_once(fake: Faker, lines: Lines) -> None:
    """Nobody's full socket holds up the others, in either direction."""
    payloads = [os.urandom(3 << 20) for _ in range(4)]
    jobs = [(lines.connect("a", fake(echo)), payload) for payload in payloads]
    assert exchange(jobs, soon()) == payloads


def test_an_answer_in_pieces(fake: Faker, lines: Lines) -> None:
    def drip(sock: socket.socket, payload: bytes) -> None:
        for byte in frame(payload):
            sock.sendall(bytes((byte,)))
            time.sleep(0.002)

    assert lines.ask(fake(drip), b"0123456789") == b"0123456789"


def test_a_frame_over_the_limit_is_not_sent(fake: Faker, lines: Lines) -> None:
    with pytest.raises(Refusal) as caught:
        lines.ask(fake(echo), bytes(MAX_FRAME + 1))
    assert caught.value.code == "oversized_frame"


def test_a_hundred_megabytes_are_refused_by_their_header(fake: Faker, lines: Lines) -> None:
    def huge(sock: socket.socket, _payload: bytes) -> None:
        sock.sendall(struct.pack(">I", 100 << 20))
        time.sleep(5)

    began = time.monotonic()
    with pytest.raises(Refusal) as caught:
        lines.ask(fake(huge))
    assert caught.value.code == "oversized_frame" and caught.value.culprits == ("a",)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("end", [b"", b"\0", b"\0\0\0\x09trunc"])
def test_a_truncated_answer(fake: Faker, lines: Lines, end: bytes) -> None:
    def stop(sock: socket.socket, _payload: bytes) -> None:
        sock.sendall(end)
        sock.shutdown(socket.SHUT_RDWR)

    with pytest.raises(Refusal) as caught:
        lines.ask(fake(stop))
    assert caught.value.code == "signer_unreachable"


def test_silence_ends_at_the_deadline_and_costs_nobody_else(fake: Faker, lines: Lines) -> None:
    silent, quick = lines.connect("a", fake(never)), lines.connect("b", fake(echo))
    began = time.monotonic()
    lost, answer = exchange([(silent, b"question"), (quick, b"question")], soon(0.3))
    assert 0.2 < time.monotonic() - began < 2
    assert isinstance(lost, Refusal) and lost.code == "signer_unreachable" and lost.culprits == ("a",)
    assert answer == b"question" and silent.closed and not quick.closed


def test_who_reads_nothing_holds_up_nobody(fake: Faker, lines: Lines) -> None:
    reader = fake(never)  # it reads one frame, then no more
    stuck = lines.connect("a", reader)
    assert isinstance(exchange([(stuck, b"first")], soon(0.1))[0], Refusal)
    stuck = lines.connect("a", reader)
    stuck.send(b"busy")
    quick = lines.connect("b", fake(echo))
    lost, answer = exchange([(stuck, bytes(MAX_FRAME)), (quick, bytes(1 << 20))], soon(0.5))
    assert isinstance(lost, Refusal) and answer == bytes(1 << 20)


def test_an_answer_sent_twice_is_never_taken_for_the_next(fake: Faker, lines: Lines) -> None:
    def twice(sock: socket.socket, payload: bytes) -> None:
        sock.sendall(frame(payload))
        time.sleep(0.05)
        sock.sendall(frame(b"once more"))

    signer = fake(twice)
    pool = lines.pool(signer)
    for question in (b"one", b"two", b"three"):
        connection = pool.borrow(soon())
        assert exchange([(connection, question)], soon()) == [question]
        pool.give_back(connection)
        time.sleep(0.1)
    assert signer.accepted == 3


def test_an_answer_glued_to_another_ends_the_connection(fake: Faker, lines: Lines) -> None:
    def glued(sock: socket.socket, payload: bytes) -> None:
        sock.sendall(frame(payload) + frame(b"more"))

    connection = lines.connect("a", fake(glued))
    assert exchange([(connection, b"one")], soon()) == [b"one"]
    assert connection.closed


def test_a_late_answer_is_never_taken_for_the_next(fake: Faker, lines: Lines) -> None:
    def late(sock: socket.socket, payload: bytes) -> None:
        if payload == b"one":
            time.sleep(0.3)
        sock.sendall(frame(payload))

    pool = lines.pool(fake(late))
    connection = pool.borrow(soon())
    assert isinstance(exchange([(connection, b"one")], soon(0.1))[0], Refusal)
    pool.give_back(connection)
    time.sleep(0.4)
    connection = pool.borrow(soon())
    assert exchange([(connection, b"two")], soon()) == [b"two"]
    pool.give_back(connection)


def test_a_pool_keeps_connections_and_replaces_dead_ones(fake: Faker, lines: Lines) -> None:
    sockets: list[socket.socket] = []

    def remember(sock: socket.socket, payload: bytes) -> None:
        sockets.append(sock)
        sock.sendall(frame(payload))

    signer = fake(remember)
    pool = lines.pool(signer)
    for _ in range(3):
        connection = pool.borrow(soon())
        exchange([(connection, b"question")], soon())
        pool.give_back(connection)
    assert signer.accepted == 1
    sockets[0].shutdown(socket.SHUT_RDWR)
    time.sleep(0.05)
    fresh = pool.borrow(soon())
    assert fresh is not connection and exchange([(fresh, b"question")], soon()) == [b"question"]
    pool.give_back(fresh)


def test_a_forked_child_opens_its_own(fake: Faker, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = lines.pool(fake(echo))
    parents = pool.borrow(soon())
    pool.give_back(parents)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    own = pool.borrow(soon())
    assert own is not parents and not parents.closed
    for connection in (own, parents):
        connection.close()


def test_a_devices_greeting_names_the_hosts_port(fake: Faker, lines: Lines) -> None:
    """Firecracker's and QEMU's say which port of the host's the call has; a process has none, and says its own."""
    assert lines.ask(fake(echo, b"OK 1073741824\n"), b"hello") == b"hello"


@pytest.mark.parametrize("greeting", [b"OK\n", b"OK \n", b"OK 7a\n", b"OK 12345678901\n", b"", b"no\n", b"x" * 64])
def test_another_greeting_is_no_signer(fake: Faker, lines: Lines, greeting: bytes) -> None:
    signer = fake(lambda sock, _: sock.close(), greeting)
    with pytest.raises(Refusal) as caught:
        lines.connect("a", signer, 0.3)
    assert caught.value.code == "signer_unreachable"


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(Refusal) as caught:
        connect("a", Address("uds", str(tmp_path / "none"), 0, 1), soon())
    assert caught.value.code == "signer_unreachable"


def test_what_fails_meanwhile_leaves_no_answer_unread(fake: Faker, lines: Lines) -> None:
    connection = lines.connect("a", fake(echo))

    def fail() -> None:
        raise ValueError("the disk is full")

    with pytest.raises(ValueError, match="disk"):
        exchange([(connection, b"one")], soon(), fail)
    assert connection.quiet()
    assert exchange([(connection, b"two")], soon()) == [b"two"]
