"""What a signer says of its KMS, and that it goes on asking: with a sealer of the test's own."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from strongroom.errors import Refusal
from strongroom.signer.seams import Context, DataKey
from strongroom_enclave.health import PAUSES, WatchedSealer

CONTEXT = {"signer": "alice", "wallet": "none", "epoch": "0", "kind": "share"}
SECONDS = 30.0


class Told:
    """A sealer that fails as it is told."""

    def __init__(self) -> None:
        self.fails: Refusal | None = None
        self.asked = 0

    def new_key(self, context: Context) -> tuple[DataKey, bytes]:
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        return DataKey.take(bytearray(32)), b"wrapped"

    def open_key(self, wrapped: bytes, context: Context) -> DataKey:
        return self.new_key(context)[0]


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(Refusal) as caught:
        call()
    return caught.value.code


@pytest.mark.parametrize("code", ["sealer_unavailable", "sealer_refused"])
def test_what_is_wrong_with_kms_is_said_until_it_answers(code: str) -> None:
    sealer = Told()
    health = WatchedSealer(sealer)
    assert health.degraded() is None
    sealer.fails = Refusal(code, "the reason")
    assert refused(lambda: health.open_key(b"x", CONTEXT)) == code
    assert health.degraded() == "the reason"
    sealer.fails = None
    health.new_key(CONTEXT)
    assert health.degraded() is None


def test_a_blob_of_another_wallet_is_not_kmss_fault() -> None:
    """A host may hand over such blobs for ever."""
    sealer = Told()
    health = WatchedSealer(sealer, lambda: pytest.fail("it asked"), begin=lambda run: run())
    sealer.fails = Refusal("sealed_mismatch", "another wallet's")
    assert refused(lambda: health.open_key(b"x", CONTEXT)) == "sealed_mismatch"
    assert health.degraded() is None


def test_it_asks_by_itself_slower_each_time_and_says_the_newest_reason() -> None:
    sealer = Told()
    said: list[tuple[float, str | None]] = []

    def wait(seconds: float) -> None:
        said.append((seconds, health.degraded()))
        sealer.fails = Refusal("sealer_refused", f"reason {len(said)}") if len(said) <= len(PAUSES) else None

    health = WatchedSealer(sealer, lambda: sealer.new_key(CONTEXT), wait, lambda run: run())
    sealer.fails = Refusal("sealer_unavailable", "reason 0")
    refused(lambda: health.new_key(CONTEXT))
    assert said == [(pause, f"reason {at}") for at, pause in enumerate((*PAUSES, PAUSES[-1]))]
    assert health.degraded() is None


def test_many_calls_that_fail_make_one_that_asks() -> None:
    """And when all is well, the next failure makes another."""
    sealer, waiting, begun = Told(), threading.Semaphore(0), []
    threads: list[threading.Thread] = []

    def begin(run: Callable[[], None]) -> None:
        begun.append(run)
        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()

    health = WatchedSealer(sealer, lambda: sealer.new_key(CONTEXT), lambda _: waiting.acquire(timeout=SECONDS), begin)
    for times in (1, 2):
        sealer.fails = Refusal("sealer_unavailable", "no answer")
        for _ in range(5):
            refused(lambda: health.new_key(CONTEXT))
        assert len(begun) == times
        sealer.fails = None
        waiting.release()
        threads[-1].join(SECONDS)
        assert not threads[-1].is_alive() and health.degraded() is None


def test_without_something_to_ask_it_only_remembers() -> None:
    health = WatchedSealer(Told(), None, begin=lambda _: pytest.fail("it asked"))
    assert refused(lambda: health.watch(lambda: _raise())) == "sealer_unavailable"
    assert health.degraded() == "gone"


def _raise() -> None:
    raise Refusal("sealer_unavailable", "gone")
