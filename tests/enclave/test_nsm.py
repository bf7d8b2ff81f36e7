"""The NSM's client: what it takes from a device, and what it refuses of a broken one."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable
from pathlib import Path

import cbor2
import pytest

from strongroom.errors import Refusal
from strongroom_enclave.nsm import MAX_RESPONSE, Nsm, SocketTransport
from tests.simulator.running import REGISTERS


class Device:
    """Answers whatever a test wants."""

    def __init__(self, answer: object) -> None:
        self.answer = answer if isinstance(answer, bytes) else cbor2.dumps(answer)
        self.asked: list[object] = []

    def exchange(self, request: bytes) -> bytes:
        self.asked.append(cbor2.loads(request))
        return self.answer


def test_registers(nsm: Nsm) -> None:
    assert nsm.describe_pcr(0).value == REGISTERS[0] and nsm.describe_pcr(0).locked
    value = hashlib.sha384(bytes(48) + b"data").digest()
    assert nsm.extend_pcr(16, b"data") == value
    nsm.lock_pcr(16)
    nsm.lock_pcrs(20)
    assert nsm.describe_pcr(16).value == value and nsm.describe_pcr(19).locked and not nsm.describe_pcr(20).locked


def test_random_bytes_of_any_number(nsm: Nsm) -> None:
    drawn = [nsm.random(size) for size in (0, 1, 256, 700)]
    assert [len(each) for each in drawn] == [0, 1, 256, 700]
    assert drawn[3][:256] != drawn[3][256:512]


def test_requests_have_the_form_of_awss_interface() -> None:
    device = Device({"Attestation": {"document": b"d"}})
    Nsm(device).attest(nonce=b"n", public_key=b"p")
    assert device.asked == [{"Attestation": {"nonce": b"n", "user_data": None, "public_key": b"p"}}]
    device = Device({"GetRandom": {"random": b"12345678"}})
    assert Nsm(device).random(5) == b"12345"
    assert device.asked == ["GetRandom"]


CALLS: list[tuple[Callable[[Nsm], object], str]] = [
    (lambda nsm: nsm.describe_pcr(0), "DescribePCR"),
    (lambda nsm: nsm.extend_pcr(16, b"x"), "ExtendPCR"),
    (lambda nsm: nsm.lock_pcr(16), "LockPCR"),
    (lambda nsm: nsm.lock_pcrs(16), "LockPCRs"),
    (lambda nsm: nsm.random(1), "GetRandom"),
    (lambda nsm: nsm.attest(), "Attestation"),
]


@pytest.mark.parametrize(("call", "operation"), CALLS)
def test_an_answer_that_is_none(call: Callable[[Nsm], object], operation: str) -> None:
    answers: list[object] = [
        b"",
        b"\xff",
        None,
        "Other",
        {},
        {operation: None},
        {operation: {}},
        {operation: {"data": bytes(47), "lock": True, "document": b"", "random": b""}},
        {operation: {"data": "text", "lock": 1, "document": "text", "random": "text"}},
        {operation: {"data": bytes(49), "lock": 1, "document": None, "random": None}},
        {operation: {"data": bytes(48), "lock": True, "document": b"d", "random": b"r"}, "More": "x"},
        cbor2.dumps({operation: {"document": b"d"}}) + b"\x00",
    ]
    for answer in answers:
        with pytest.raises(Refusal) as caught:
            call(Nsm(Device(answer)))
        assert caught.value.code == "internal"


def test_a_lock_that_is_no_boolean() -> None:
    with pytest.raises(Refusal):
        Nsm(Device({"DescribePCR": {"data": bytes(48), "lock": 1}})).describe_pcr(0)


@pytest.mark.parametrize(("call", "operation"), CALLS)
def test_the_devices_error_is_told(call: Callable[[Nsm], object], operation: str) -> None:
    with pytest.raises(Refusal) as caught:
        call(Nsm(Device({"Error": "InvalidOperation"})))
    assert operation in caught.value.reason and "InvalidOperation" in caught.value.reason


def test_a_request_that_no_device_takes() -> None:
    device = Device({"ExtendPCR": {"data": bytes(48)}})
    with pytest.raises(Refusal):
        Nsm(device).extend_pcr(16, bytes(0x1000))
    assert device.asked == []


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "closed"),
        (b"\x00\x00", "closed"),
        (b"\x00\x00\x00\x02a", "closed"),
        ((MAX_RESPONSE + 1).to_bytes(4, "big"), "answers with"),
        (MAX_RESPONSE.to_bytes(4, "big"), "closed"),
    ],
)
def test_a_socket_that_breaks_off(tmp_path: Path, sent: bytes, reason: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "nsm"))
        listener.listen()
        transport = SocketTransport(tmp_path / "nsm")
        connection, _ = listener.accept()
        with connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            with pytest.raises(Refusal) as caught:
                Nsm(transport).random(1)
        assert caught.value.code == "internal" and reason in caught.value.reason
        transport.close()
