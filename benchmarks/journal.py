"""(g) What a journal costs as it grows: memory, a reservation under a window, joining, coming back from its blocks.

One payment a minute: what is older than 93 days is dropped, so that the live set ends at 134,000 entries however many
there were. Beside it the same numbers where all of a million are live, which is the most that a journal takes.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.report import Row, at_most, median, plain
from strongroom.chains.effects import Effects, Transfer
from strongroom.journal.book import MAX_ENTRIES
from strongroom.journal.entry import Candidate, Entry
from strongroom.journal.journal import Journal
from strongroom.journal.quorum import Quorum
from strongroom.journal.sealed import Chain, Place
from strongroom.policy.history import History, Spend

SIZES = (1_000, 100_000, 1_000_000)
ROUNDS = 300
START = 1_800_000_000
NAMES = ("a", "b", "c", "w")
ASSET, RULE, PAYEE = "evm:1/native", "payments", "0x70997970c51812dc3a010c7d01b50e0d17dc79c8"
WINDOW = 30 * 86_400


def run() -> list[Row]:
    rows: list[Row] = []
    taken: dict[int, float] = {}
    for size in SIZES:
        rows += _measure(size, 60, f"{size} requests, one a minute", taken)
    most = MAX_ENTRIES - ROUNDS
    rows += _measure(most, 1, f"{most} requests, all live", {})
    grown = taken[SIZES[-1]] / taken[SIZES[0]]
    rows.append(at_most(f"a reservation after {SIZES[-1]} requests by one after {SIZES[0]}", grown, "times", 1.5))
    return rows


def _measure(size: int, every: int, what: str, taken: dict[int, float]) -> list[Row]:
    gc.collect()
    before = _memory()
    journal = _journal("a")
    journal.book.total((ASSET, RULE, None), 0)
    begun = time.perf_counter()
    for number in range(size):
        journal.book.add(_entry(number, START + number * every))
    filled = time.perf_counter() - begun
    gc.collect()
    memory = _memory() - before
    at = journal.book.latest
    reserved = _times(lambda number: journal.reserve(_candidate(size + number, at), _judge(at), at))
    taken[size] = median(reserved)
    rows = [
        plain(f"{what}: live entries", len(journal.book), "entries"),
        plain(f"{what}: memory", memory / 1e6, "MB"),
        plain(f"{what}: adding one", filled / size * 1e6, "us"),
        plain(f"{what}: a reservation under a window of 30 days, median", taken[size] * 1e6, "us"),
    ]
    begun = time.perf_counter()
    blocks = journal.checkpoint()
    rows.append(plain(f"{what}: a checkpoint", time.perf_counter() - begun, "s"))
    rows.append(plain(f"{what}: its size", sum(map(len, blocks)) / 1e6, "MB"))
    again = _journal("b")
    begun = time.perf_counter()
    again.book = journal.book
    _exchange(again, journal, at)
    rows.append(plain(f"{what}: hearing one that remembers the same", (time.perf_counter() - begun) * 1e3, "ms"))
    blank = _journal("c")
    begun = time.perf_counter()
    _exchange(blank, journal, at)
    rows.append(plain(f"{what}: hearing all of it, from nothing", time.perf_counter() - begun, "s"))
    return rows


def _journal(name: str) -> Journal:
    journal = Journal(
        name, NAMES, Quorum(4, 2), Chain(bytes(32), Place(name, bytes(32), 1), os.urandom), os.urandom(16)
    )
    journal._joining = None
    journal.incarnation = 1
    return journal


def _exchange(asker: Journal, teller: Journal, now: int) -> None:
    heard = False
    while not heard:
        answer, _ = teller.tell(asker.name, asker.ask(teller.name, os.urandom))
        heard, _ = asker.hear(teller.name, answer, now)


def _candidate(number: int, at: int) -> Candidate:
    effects = Effects(
        "evm:1", (Transfer(ASSET, PAYEE, 10**15),), fee_asset=ASSET, fee_ceiling=1, once=(f"nonce:{number}",)
    )
    request = number.to_bytes(4, "little") * 4
    return Candidate(request, request * 2, at, at + 600, effects)


def _entry(number: int, at: int) -> Entry:
    return _candidate(number, at).entry((Spend(RULE, ASSET, PAYEE, 10**15),))


def _judge(at: int) -> Callable[[History], Sequence[Spend]]:
    def judge(history: History) -> Sequence[Spend]:
        history.spent(ASSET, RULE, None, at - WINDOW)
        return (Spend(RULE, ASSET, PAYEE, 10**15),)

    return judge


def _times(call: Callable[[int], object]) -> list[float]:
    taken: list[float] = []
    for number in range(ROUNDS):
        begun = time.perf_counter()
        call(number)
        taken.append(time.perf_counter() - begun)
    return taken


def _memory() -> int:
    """Bytes of this process that are resident."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
