"""(f) What a judgement costs: the policy's evaluation by the length of its list of recipients.

Up to 4096 entries are written out in the policy; longer lists are a Merkle root, and each request brings a proof.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.report import Row, at_most, median, plain
from strongroom.chains.evm import Transaction
from strongroom.policy.decide import Circumstances, decide
from strongroom.policy.document import Fee, Policy
from strongroom.policy.history import NO_HISTORY
from strongroom.policy.lists import MAX_ENTRIES, Entry, Proof, Prover, Recipients
from strongroom.policy.rules import Rule
from strongroom.policy.terms import Window
from strongroom.wire import cbor
from strongroom.wire.fields import Fields

SIZES = (10, 1_000, 100_000)
ROUNDS = 2_000
NOW = 1_800_000_000
COIN = "evm:1/native"


def run() -> list[Row]:
    rows: list[Row] = []
    medians: dict[int, float] = {}
    for size in SIZES:
        entries = [Entry(f"0x{number:040x}", f"Recipient {number}") for number in range(1, size + 1)]
        policy, proofs = _policy(entries)
        chosen = entries[size // 2].address
        taken = _times(partial(_decide, policy, chosen, proofs(chosen)))
        medians[size] = median(taken)
        form = "written out" if size <= MAX_ENTRIES else "by a root, with a proof"
        rows.append(plain(f"decode and judge, {size} recipients {form}: median", medians[size] * 1e6, "us"))
        rows.append(plain(f"decode and judge, {size} recipients {form}: p99", _p99(taken) * 1e6, "us"))
        rows.append(plain(f"the policy's document, {size} recipients", len(cbor.encode(policy.value())), "bytes"))
    grown = medians[1_000] / medians[10]
    rows.append(at_most("decode and judge, 1000 recipients by 10", grown, "times", 1.5))
    raw = cbor.encode(_policy([Entry(f"0x{number:040x}", "R") for number in range(1_000)])[0].value())
    parsed = _times(lambda: Policy.parse(Fields.decode(raw, "policy")).digest(), rounds=50)
    rows.append(plain("reading a policy of 1000 recipients, once for each version: median", median(parsed) * 1e3, "ms"))
    return rows


def _policy(entries: Sequence[Entry]) -> tuple[Policy, Callable[[str], tuple[Proof, ...]]]:
    """A policy with such a list, and what gives proofs for it."""
    if len(entries) <= MAX_ENTRIES:
        return _with(Recipients("known", tuple(entries))), lambda _address: ()
    prover = Prover("known", entries)

    def proofs(address: str) -> tuple[Proof, ...]:
        proof = prover.prove(address)
        assert proof is not None
        return (proof,)

    return _with(Recipients.rooted("known", entries)), proofs


def _with(known: Recipients) -> Policy:
    windows = (Window(86400, amount=10**20, count=1000), Window(3600, count=100, each=True))
    rule = Rule("pay", "transfer", assets=(COIN,), to=("known",), most=10**18, windows=windows)
    return Policy(NOW, (), ("evm:1",), (rule,), (known,), fees=(Fee(COIN, 10**16),))


def _decide(policy: Policy, to: str, proofs: tuple[Proof, ...]) -> None:
    payload = Transaction(1, 0, 1, 10**9, 21_000, bytes.fromhex(to[2:]), 10**15).encode()
    effects = Transaction.decode(payload).effects()
    decide(policy, effects, Circumstances(NOW, proofs=proofs), NO_HISTORY)


def _times(work: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """Seconds of each."""
    taken = []
    for _ in range(rounds + 10):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return taken[10:]


def _p99(taken: Sequence[float]) -> float:
    return sorted(taken)[len(taken) * 99 // 100]
