"""The enclave's time is its NSM's, whatever the host does to the system's clock."""

from __future__ import annotations

import threading

import cbor2
import pytest

from strongroom.errors import Refusal
from strongroom.signer.seams import Clock
from strongroom_enclave.clock import MAX_AGE, NitroClock
from strongroom_enclave.nsm import Nsm
from tests.simulator.bench import Bench

START = 1_800_000_000


class Device:
    """An NSM whose clock a test moves; it counts how often it is asked."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.time = float(START)
        self.asked = 0
        self.broken = False

    def exchange(self, request: bytes) -> bytes:
        self.asked += 1
        if self.broken:
            raise OSError("gone")
        document = self.bench.document(timestamp=int(self.time * 1000))
        return cbor2.dumps({"Attestation": {"document": document}})


class Monotonic:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def device() -> Device:
    return Device()


@pytest.fixture
def monotonic() -> Monotonic:
    return Monotonic()


def test_it_is_carried_on_between_readings(device: Device, monotonic: Monotonic) -> None:
    clock: Clock = NitroClock(Nsm(device), monotonic=monotonic)
    assert clock.now() == START
    monotonic.now += MAX_AGE - 1
    assert clock.now() == START + 59
    assert device.asked == 1


def test_it_is_read_anew_each_minute(device: Device, monotonic: Monotonic) -> None:
    clock = NitroClock(Nsm(device), monotonic=monotonic)
    clock.now()
    monotonic.now += MAX_AGE
    device.time += 75
    assert clock.now() == START + 75
    assert device.asked == 2


def test_it_never_goes_back(device: Device, monotonic: Monotonic) -> None:
    clock = NitroClock(Nsm(device), monotonic=monotonic)
    clock.now()
    device.time -= 3600
    monotonic.now += MAX_AGE
    assert clock.now() == START
    monotonic.now -= 5000
    assert clock.now() == START


def test_it_is_never_below_what_a_journal_remembers(device: Device, monotonic: Monotonic) -> None:
    assert NitroClock(Nsm(device), floor=START + 500, monotonic=monotonic).now() == START + 500


def test_without_a_device_there_is_no_time(device: Device, monotonic: Monotonic) -> None:
    clock = NitroClock(Nsm(device), monotonic=monotonic)
    clock.now()
    device.broken = True
    monotonic.now += MAX_AGE
    with pytest.raises(Refusal):
        clock.now()


def test_threads_share_one_reading(device: Device, monotonic: Monotonic) -> None:
    clock = NitroClock(Nsm(device), monotonic=monotonic)
    seen: list[int] = []
    threads = [threading.Thread(target=lambda: seen.append(clock.now())) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [START] * 16 and device.asked == 1
