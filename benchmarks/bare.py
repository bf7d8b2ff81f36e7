"""The bare protocol: the native module driven in a loop in one process, all parties, no channel, no judge, no host."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from types import TracebackType
from typing import TypeVar

import strongroom_native as native

from strongroom import schemes
from tests.native.driver import run_dkg, run_sign

T = TypeVar("T")


def _timed(call: Callable[[], T]) -> tuple[T, float]:
    begin = time.perf_counter()
    value = call()
    return value, (time.perf_counter() - begin) * 1000


def critical_path(scheme: str, shares: Sequence[native.KeyShare]) -> float:
    """Milliseconds: the sum over phases of the slower party, plus combine, as if each party had its own machine."""
    tweak, session, message = schemes.suite(scheme).tweak, secrets.token_bytes(32), secrets.token_bytes(32)
    parties = [share.index for share in shares]
    ceremonies = {share.index: native.sign(share, session, parties, message, tweak) for share in shares}
    total = 0.0
    timed = {party: _timed(ceremony.start) for party, ceremony in ceremonies.items()}
    while True:
        total += max(spent for _, spent in timed.values())
        steps = {party: step for party, (step, _) in timed.items()}
        if all(step.done for step in steps.values()):
            break
        inboxes = _deliver(steps)
        timed = {party: _receive(ceremonies[party], inboxes[party]) for party in parties}
    parts = [(party, part) for party in parties if isinstance(part := ceremonies[party].result(), bytes)]
    package = shares[0].public_package()
    _, spent = _timed(lambda: native.combine(scheme, package, session, message, parts, tweak))
    return total + spent


def _receive(ceremony: native.Ceremony, inbox: list[tuple[int, bool, bytes]]) -> tuple[native.Step, float]:
    return _timed(lambda: ceremony.receive(inbox))


def _deliver(steps: dict[int, native.Step]) -> dict[int, list[tuple[int, bool, bytes]]]:
    inboxes: dict[int, list[tuple[int, bool, bytes]]] = {party: [] for party in steps}
    for sender, step in steps.items():
        for recipient, payload in step.outgoing:
            for party in [recipient] if recipient else [other for other in steps if other != sender]:
                inboxes[party].append((sender, recipient == 0, payload))
    return inboxes


def dkg(scheme: str, threshold: int, parties: int) -> float:
    """Milliseconds of a DKG, all parties one after the other."""
    return _timed(lambda: run_dkg(scheme, threshold, parties))[1]


class Bound:
    """Two processes of bare protocol, each with all parties of a key of its own: what this machine's cores can do."""

    def __init__(self, scheme: str, threshold: int, parties: int) -> None:
        arguments = (scheme, threshold, parties)
        # One process each, so that both have their key before the clock runs, and none does the other's work.
        self._processes = [
            ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_deal, initargs=arguments)
            for _ in range(2)
        ]

    def __enter__(self) -> Bound:
        self.measure(0.1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.shutdown()

    def measure(self, seconds: float) -> float:
        """Signatures a second of both together."""
        runs = [process.submit(_sign_for, seconds) for process in self._processes]
        return sum(run.result() for run in runs)


_dealt: list[native.KeyShare] = []


def _deal(scheme: str, threshold: int, parties: int) -> None:
    _dealt[:] = run_dkg(scheme, threshold, parties)[:threshold]


def _sign_for(seconds: float) -> float:
    """Signatures a second, all parties in this process."""
    tweak = schemes.suite(_dealt[0].suite).tweak
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        run_sign(_dealt, secrets.token_bytes(32), tweak)
        count += 1
    return count / (time.perf_counter() - begin)
