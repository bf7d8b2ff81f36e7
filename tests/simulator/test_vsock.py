"""The vsock device between a guest's rings and Unix sockets; without a virtual machine (tests/qemu has one)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from strongroom_simulator.vsock.device import Device
from strongroom_simulator.vsock.packets import HEADER_SIZE, STOPS_RECEIVING, STOPS_SENDING, Operation, Packet
from strongroom_simulator.vsock.streams import SPACE
from tests.simulator.guest import BUFFER, CID, GUEST, PATIENCE, SIZE, Guest
from tests.simulator.guest import SPACE as GUEST_SPACE


class Wired:
    def __init__(self, folder: Path, buffers: int = 64) -> None:
        self.path = folder / "vsock"
        device = Device(folder / "control", self.path, CID)
        self.thread = threading.Thread(target=device.serve, daemon=True)
        self.thread.start()
        self.guest = Guest(folder / "control", buffers=buffers)

    def dial(self, port: int) -> socket.socket:
        """A program of the host's, which calls the guest; not answered yet."""
        caller = socket.socket(socket.AF_UNIX)
        caller.settimeout(PATIENCE)
        caller.connect(str(self.path))
        caller.sendall(b"CONNECT %d\n" % port)
        return caller

    def connected(self, port: int) -> tuple[socket.socket, int]:
        """With the guest's yes; the host's port."""
        caller = self.dial(port)
        host = self.guest.expect(Operation.REQUEST).source[1]
        self.guest.send(Operation.RESPONSE, port, host)
        assert _line(caller) == b"OK %d\n" % host
        return caller, host

    def listen(self, port: int) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        listener.settimeout(PATIENCE)
        listener.bind(f"{self.path}_{port}")
        listener.listen()
        return listener

    def close(self) -> None:
        self.guest.close()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


def _line(caller: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        line += caller.recv(1)
    return line


@pytest.fixture
def wired(tmp_path: Path) -> Iterator[Wired]:
    made = Wired(tmp_path)
    yield made
    made.close()


def test_the_host_calls_the_guest(wired: Wired) -> None:
    with wired.connected(5000)[0] as caller:
        caller.sendall(b"question")
        question = wired.guest.expect(Operation.DATA)
        assert question.data == b"question" and question.target == (CID, 5000)
        wired.guest.send(Operation.DATA, 5000, question.source[1], b"answer", taken=8)
        assert caller.recv(64) == b"answer"


def test_the_guest_calls_a_program_of_the_host(wired: Wired) -> None:
    with wired.listen(9000) as listener:
        wired.guest.send(Operation.REQUEST, 1024, 9000)
        with listener.accept()[0] as called:
            assert wired.guest.expect(Operation.RESPONSE).target == (CID, 1024)
            wired.guest.send(Operation.DATA, 1024, 9000, b"\xb7")
            assert called.recv(8) == b"\xb7"
            called.sendall(b"\xb7")
            assert wired.guest.expect(Operation.DATA).data == b"\xb7"


@pytest.mark.parametrize(("cid", "port"), [(3, 9001), (2, 9000), (CID, 9000)], ids=["nobody", "hypervisor", "itself"])
def test_a_call_to_nobody_is_reset(wired: Wired, cid: int, port: int) -> None:
    with wired.listen(9000):
        wired.guest.send(Operation.REQUEST, 1024, port, cid=cid)
        assert wired.guest.expect(Operation.RESET).source == (cid, port)


def test_a_guest_that_refuses_ends_the_hosts_call(wired: Wired) -> None:
    with wired.dial(5000) as caller:
        host = wired.guest.expect(Operation.REQUEST).source[1]
        wired.guest.send(Operation.RESET, 5000, host)
        assert caller.recv(8) == b""


@pytest.mark.parametrize("line", [b"HELLO 5000\n", b"CONNECT many\n", b"CONNECT 5000" + b"0" * 40, b"\n"])
def test_a_preamble_that_is_none_ends_the_call(wired: Wired, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(PATIENCE)
        caller.connect(str(wired.path))
        caller.sendall(line)
        try:
            assert caller.recv(8) == b""
        except ConnectionResetError:
            pass  # with bytes of the line left unread


def test_no_more_than_the_guest_has_space_for(wired: Wired) -> None:
    """And the rest as soon as it has taken some."""
    caller, host = wired.connected(5000)
    with caller:
        sent = bytes(range(256)) * (3 * GUEST_SPACE // 256)
        sender = threading.Thread(target=caller.sendall, args=(sent,))
        sender.start()
        received = b""
        while len(received) < GUEST_SPACE:
            received += wired.guest.expect(Operation.DATA).data
        assert len(received) == GUEST_SPACE
        wired.guest.send(Operation.CREDIT_REQUEST, 5000, host)
        assert wired.guest.receive().operation == Operation.CREDIT_UPDATE
        while len(received) < len(sent):
            wired.guest.send(Operation.CREDIT_UPDATE, 5000, host, taken=len(received))
            received += wired.guest.expect(Operation.DATA).data
            while len(received) % GUEST_SPACE and len(received) < len(sent):
                received += wired.guest.expect(Operation.DATA).data
        assert received == sent
        sender.join(PATIENCE)


def test_the_guest_hears_that_there_is_space_again(wired: Wired) -> None:
    caller, host = wired.connected(5000)
    with caller:
        sent, piece = 0, bytes(BUFFER - HEADER_SIZE)
        while sent + len(piece) <= SPACE // 2:
            wired.guest.send(Operation.DATA, 5000, host, piece)
            sent += len(piece)
            got = 0
            while got < len(piece):
                got += len(caller.recv(len(piece)))
        assert SPACE // 4 < wired.guest.expect(Operation.CREDIT_UPDATE).taken <= sent


def test_a_guest_without_buffers_gets_what_waits_once_it_has_one(tmp_path: Path) -> None:
    wired = Wired(tmp_path, buffers=1)
    caller, _ = wired.connected(5000)
    with caller:
        sent = bytes(range(250)) * 100
        caller.sendall(sent)
        received = b""
        while len(received) < len(sent):
            received += wired.guest.expect(Operation.DATA).data
        assert received == sent
    wired.close()


def test_each_side_may_stop_by_itself(wired: Wired) -> None:
    """The host sends nothing more, and still hears the answer; the guest then ends it."""
    caller, host = wired.connected(5000)
    with caller:
        caller.sendall(b"all of it")
        caller.shutdown(socket.SHUT_WR)
        assert wired.guest.expect(Operation.DATA).data == b"all of it"
        assert wired.guest.expect(Operation.SHUTDOWN).flags == STOPS_SENDING
        wired.guest.send(Operation.DATA, 5000, host, b"heard", taken=9)
        wired.guest.send(Operation.SHUTDOWN, 5000, host, flags=STOPS_SENDING | STOPS_RECEIVING)
        assert caller.recv(8) == b"heard" and caller.recv(8) == b""
        wired.guest.expect(Operation.RESET)


def test_a_caller_that_went_away_is_reset(wired: Wired) -> None:
    caller, host = wired.connected(5000)
    caller.close()
    assert wired.guest.expect(Operation.SHUTDOWN).flags == STOPS_SENDING
    wired.guest.send(Operation.DATA, 5000, host, b"too late")
    wired.guest.expect(Operation.RESET)


def test_packets_of_no_stream_are_reset(wired: Wired) -> None:
    wired.guest.send(Operation.DATA, 77, 78, b"?")
    answer = wired.guest.expect(Operation.RESET)
    assert (answer.source[1], answer.target[1]) == (78, 77)


@pytest.mark.parametrize("address", [0, 0xFFFF_FFFF_0000, GUEST + SIZE - 63])
def test_a_guest_that_points_outside_of_its_memory_ends_the_device(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, address: int
) -> None:
    wired = Wired(tmp_path)
    wired.guest.send_from(address)
    wired.thread.join(PATIENCE)
    assert "no memory at" in caplog.text
    wired.close()


def test_half_a_packet_is_none() -> None:
    whole = Packet((CID, 1), (3, 2), Operation.DATA, data=b"abcd").encode()
    assert Packet.decode(whole).data == b"abcd"
    for size in range(len(whole)):
        with pytest.raises(ValueError, match=r"half|bytes of"):
            Packet.decode(whole[:size])
