"""What the parent hands in, and what it may try: too much, too little, too slowly, nothing."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from strongroom.errors import Refusal
from strongroom_enclave import credentials, parent

Answer = Callable[[socket.socket], None]


class Host:
    """Answers each connection with the next of `answers`; the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.ports: list[int] = []

    def __call__(self, port: int) -> socket.socket:
        self.ports.append(port)
        ours, theirs = socket.socketpair()
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        threading.Thread(target=_close_after, args=(answer, theirs), daemon=True).start()
        return ours


def _close_after(answer: Answer, connection: socket.socket) -> None:
    with connection, suppress(BrokenPipeError):
        answer(connection)


def document(content: bytes) -> Answer:
    return lambda connection: connection.sendall(len(content).to_bytes(4, "big") + content)


def test_a_document_comes_whole() -> None:
    host = Host(document(b"x" * 70000))
    assert parent.ask(8001, 70000, host) == b"x" * 70000
    assert host.ports == [8001]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(lambda c: c.sendall((65537).to_bytes(4, "big")), "65537 bytes where 65536", id="too-long"),
        pytest.param(lambda c: c.sendall(b"\xff" * 4), "4294967295 bytes", id="four-gigabytes"),
        pytest.param(lambda c: c.sendall(b"\0\0"), "ends its answer early", id="half-a-length"),
        pytest.param(lambda c: c.sendall(b"\0\0\0\5abcd"), "ends its answer early", id="less-than-it-said"),
        pytest.param(lambda c: None, "ends its answer early", id="nothing"),
    ],
)
def test_another_answer_is_none(answer: Answer, words: str) -> None:
    with pytest.raises(OSError, match=words):
        parent.ask(8001, 65536, Host(answer))


def test_a_byte_now_and_then_does_not_hold_the_enclave_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "TIMEOUT", 0.3)

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"\0\0\1\0")
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.05)

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        parent.ask(8001, 65536, Host(drip))
    assert time.monotonic() - began < 3


def test_the_heartbeat_is_one_byte_that_comes_back() -> None:
    seen = bytearray()

    def echo(connection: socket.socket) -> None:
        byte = connection.recv(16)
        seen.extend(byte)
        connection.sendall(byte)

    host = Host(echo)
    parent.beat(host)
    assert (bytes(seen), host.ports) == (b"\xb7", [9000])


def test_a_heartbeat_answered_otherwise_is_none() -> None:
    def other(connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(b"\xb6")

    with pytest.raises(OSError, match="something else"):
        parent.beat(Host(other))


# --- Credentials ---


def given(key: str) -> Answer:
    return document(json.dumps({"AccessKeyId": key, "SecretAccessKey": "secret", "SessionToken": "token"}).encode())


def test_credentials_are_asked_for_anew_once_they_are_a_minute_old() -> None:
    now = 100.0
    host = Host(given("one"), given("two"))
    source = credentials.from_parent(8002, host, lambda: now)
    assert [source().access_key, source().access_key] == ["one", "one"]
    now += 61
    assert source() == credentials.Credentials("two", "secret", "token")
    assert host.ports == [8002, 8002]


def test_credentials_that_did_not_come_are_asked_for_again_at_once() -> None:
    source = credentials.from_parent(8002, Host(document(b"{"), given("one")), lambda: 1.0)
    with pytest.raises(Refusal, match="no AWS credentials in what the parent says on port 8002"):
        source()
    assert source().access_key == "one"


def test_credentials_are_not_in_the_refusal() -> None:
    source = credentials.from_parent(8002, Host(document(b'{"AccessKeyId": "AKIA", "SecretAccessKey": ')))
    with pytest.raises(Refusal) as refusal:
        source()
    assert "AKIA" not in str(refusal.value)
