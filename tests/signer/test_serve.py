"""The listener's loop over a real Unix socket: preamble, frames, limits, and that one bad peer harms no other."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from strongroom.signer import serve
from strongroom.signer.serve import BUFFER, Server
from strongroom.wire import cbor, frame
from tests.wire.refused import refused

PORT = 5000
Connect = Callable[[], socket.socket]


def reverse(payload: bytes) -> bytes:
    return payload[::-1]


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Connect]:
    with serving(tmp_path, reverse, PORT) as connect:
        yield connect


@contextmanager
def serving(folder: Path, handle: Callable[[bytes], bytes], preamble: int | None) -> Iterator[Connect]:
    path = str(folder / "s")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(200)
    server = Server(listener, handle, preamble)
    thread = threading.Thread(target=server.run)
    thread.start()
    opened: list[socket.socket] = []

    def connect() -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(30)
        client.connect(path)
        opened.append(client)
        return client

    try:
        yield connect
    finally:
        for client in opened:
            client.close()
        server.close()
        thread.join(30)
    assert not thread.is_alive()


def greeted(connect: Connect) -> socket.socket:
    client = connect()
    client.sendall(b"CONNECT 5000\n")
    assert read(client, len(b"OK 5000\n")) == b"OK 5000\n"
    return client


def read(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (part := client.recv(size - len(data))):
        data += part
    return data


def answer(client: socket.socket) -> bytes:
    return read(client, int.from_bytes(read(client, 4), "big"))


def ask(client: socket.socket, payload: bytes) -> bytes:
    client.sendall(frame.encode_frame(payload))
    return answer(client)


def over(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("size", [0, 1, 1000, BUFFER - 4, BUFFER - 3, 3 << 20, frame.MAX_FRAME])
def test_a_frame_of_any_size_is_answered(connect: Connect, size: int) -> None:
    payload = bytes(range(256)) * (size // 256) + bytes(size % 256)
    client = greeted(connect)
    assert ask(client, payload) == payload[::-1]
    assert ask(client, b"again") == b"niaga"


@pytest.mark.parametrize("cuts", [[1], [3], [4], [5], [1, 2, 3, 4, 5, 6]])
def test_a_frame_in_parts_is_answered(connect: Connect, cuts: list[int]) -> None:
    """However the kernel cuts or joins them."""
    client, whole = greeted(connect), frame.encode_frame(b"hello")
    for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        client.sendall(whole[start:stop])
    assert answer(client) == b"olleh"
    assert ask(client, b"again") == b"niaga"


def test_a_hundred_megabytes_are_refused_by_their_header(connect: Connect) -> None:
    """The answer comes although not one byte of the payload was sent, and the connection is closed."""
    for length in (frame.MAX_FRAME + 1, 100 << 20, 2**32 - 1):
        client = greeted(connect)
        client.sendall(length.to_bytes(4, "big"))
        refused("oversized_frame", frame.decode_answer, answer(client))
        assert over(client)
    assert ask(greeted(connect), b"others") == b"srehto"


def test_a_second_request_before_the_answer_is_refused(connect: Connect) -> None:
    client = greeted(connect)
    client.sendall(frame.encode_frame(b"one") + frame.encode_frame(b"two"))
    refused("malformed_frame", frame.decode_answer, answer(client))
    assert over(client)


@pytest.mark.parametrize("sent", [b"", b"\0", b"\0\0\0", b"\0\0\0\5", b"\0\0\0\5hell"])
def test_a_frame_that_is_cut_short_harms_nobody(connect: Connect, sent: bytes) -> None:
    client = greeted(connect)
    client.sendall(sent)
    client.shutdown(socket.SHUT_WR)
    assert over(client)
    assert ask(greeted(connect), b"others") == b"srehto"


@pytest.mark.parametrize(
    "line",
    [b"CONNECT 5001\n", b"CONNECT 05000\n", b"connect 5000\n", b"OK 5000\n", b"\n", b"CONNECT 5000\r\n", b"x" * 33],
    ids=range(7),
)
def test_another_preamble_is_not_answered(connect: Connect, line: bytes) -> None:
    client = connect()
    client.sendall(line)
    assert over(client)
    assert ask(greeted(connect), b"others") == b"srehto"


def test_a_frame_without_a_preamble_is_not_answered(connect: Connect) -> None:
    client = connect()
    client.sendall(frame.encode_frame(b"\n" * 40))
    assert over(client)


def test_on_vsock_there_is_no_preamble(tmp_path: Path) -> None:
    with serving(tmp_path, reverse, None) as connect:
        assert ask(connect(), b"hello") == b"olleh"


def test_connections_are_bounded_and_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "MAX_CONNECTIONS", 2)
    with serving(tmp_path, reverse, PORT) as connect:
        first, second = greeted(connect), greeted(connect)
        assert over(connect())
        assert ask(first, b"still") == b"llits"
        second.close()
        for _ in range(1000):  # the server frees the place in its own time
            third = connect()
            try:
                third.sendall(b"CONNECT 5000\n")
                if read(third, 8) == b"OK 5000\n":
                    break
            except ConnectionError:  # refused before or after the line was sent
                continue
        assert ask(third, b"there") == b"ereht"


def test_many_peers_are_served_at_once(connect: Connect) -> None:
    clients = [greeted(connect) for _ in range(20)]
    for number, client in enumerate(clients):
        client.sendall(frame.encode_frame(b"n%d" % number))
    assert [answer(client) for client in reversed(clients)] == [
        b"%dn" % n if n < 10 else b"%d%dn" % (n % 10, n // 10) for n in reversed(range(20))
    ]


def test_an_answer_that_is_too_large_is_a_refusal(tmp_path: Path) -> None:
    with serving(tmp_path, lambda payload: bytes(frame.MAX_FRAME + 1), PORT) as connect:
        refused("oversized_frame", frame.decode_answer, ask(greeted(connect), cbor.encode([1, "status", {}])))


def test_signers_that_are_woken_do_not_push_the_relay_aside(tmp_path: Path) -> None:
    """It has the others to write to first."""
    with serving(tmp_path, lambda payload: bytes((os.sched_getscheduler(0),)), PORT) as connect:
        assert ask(greeted(connect), b"how") == bytes((os.SCHED_BATCH,))
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_what_is_being_answered_at_the_end_is_answered(tmp_path: Path) -> None:
    """No half-dead answers of a signer that is told to stop: threads of an interpreter that ends lose their files."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(payload: bytes) -> bytes:
        begun.set()
        assert go_on.wait(30)
        return payload

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen(1)
    server = Server(listener, slow, None)
    thread = threading.Thread(target=server.run)
    thread.start()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(tmp_path / "s"))
        client.sendall(frame.encode_frame(b"last"))
        assert begun.wait(30)
        server.close()
        go_on.set()
        assert answer(client) == b"last"
        thread.join(30)
        assert not thread.is_alive() and over(client)


def test_a_vsock_connection_has_its_timeouts_too() -> None:
    """Python's own call refuses a timeval there: no signer in an enclave could serve."""
    try:
        connection = socket.socket(socket.AF_VSOCK)
    except (AttributeError, OSError):
        pytest.skip("this kernel has no vsock")
    with connection:
        serve._set_timeout(connection, socket.SO_RCVTIMEO, 30.0)
        named = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=connection.fileno())
        kept = named.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)
        named.detach()
        assert struct.unpack("@ll", kept) == (30, 0)
