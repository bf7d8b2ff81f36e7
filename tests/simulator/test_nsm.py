"""A connection is a boot."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from strongroom.errors import Refusal
from strongroom_enclave.nsm import Nsm, SocketTransport
from strongroom_simulator import pki
from tests.simulator.running import REGISTERS, Laptop


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Path]:
    pki.create(tmp_path / "pki")
    with Laptop(tmp_path).serve_nsm() as path:
        yield path


def test_power_off_clears_and_unlocks_what_the_enclave_extended(device: Path) -> None:
    for _ in range(2):
        with closing(SocketTransport(device)) as transport:
            nsm = Nsm(transport)
            assert nsm.describe_pcr(16).value == bytes(48) and not nsm.describe_pcr(16).locked
            assert nsm.describe_pcr(0).value == REGISTERS[0]
            nsm.extend_pcr(16, b"configuration")
            nsm.lock_pcr(16)
            with pytest.raises(Refusal):
                nsm.extend_pcr(16, b"another")


def test_a_second_enclave_waits_until_the_first_is_off(device: Path) -> None:
    first = SocketTransport(device)
    Nsm(first).extend_pcr(16, b"configuration")
    with closing(SocketTransport(device, timeout=0.2)) as hasty, pytest.raises(Refusal):
        Nsm(hasty).describe_pcr(16)
    first.close()
    with closing(SocketTransport(device)) as second:
        assert Nsm(second).describe_pcr(16).value == bytes(48)


def test_a_client_that_is_none_of_ours_ends_its_own_boot_alone(device: Path) -> None:
    for noise in (b"\xff\xff\xff\xff", b"\x00\x00", b"\x00\x00\x00\x05ab"):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(device))
            client.sendall(noise)
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
    with closing(SocketTransport(device)) as transport:
        assert Nsm(transport).describe_pcr(0).value == REGISTERS[0]
