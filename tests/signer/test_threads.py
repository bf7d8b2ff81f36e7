"""Many requests at one signer at once: one of them wins where one may, and none is lost where all may."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from strongroom.errors import Refusal
from tests.signer.cluster import Cluster, loaded
from tests.wallet.orders import MUSIG2

PAIR = ("a", "b")


@pytest.fixture
def cluster() -> Cluster:
    return loaded()


def at_once(calls: Sequence[Callable[[], object]]) -> Counter[str]:
    """Each in its own thread, let go together; how often each code came back, `ok` for none."""
    barrier, outcomes = threading.Barrier(len(calls)), []

    def begin(call: Callable[[], object]) -> None:
        barrier.wait()
        try:
            call()
        except Refusal as refusal:
            outcomes.append(refusal.code)
        else:
            outcomes.append("ok")

    threads = [threading.Thread(target=begin, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(outcomes)


def test_a_ticket_is_spent_by_one_of_many(cluster: Cluster) -> None:
    ordered = cluster.tickets(PAIR)
    runs = [cluster.signing(cluster.intent(), PAIR, tickets=ordered) for _ in range(8)]
    outcomes = at_once([partial(run.start, "a") for run in runs])
    assert outcomes == {"ok": 1, "stale_ticket": 7}


def test_a_round_is_computed_once(cluster: Cluster) -> None:
    """A nonce that signed twice would give the share away: the others find the round taken or over."""
    for _ in range(5):
        run = cluster.signing(cluster.intent(), PAIR).start()
        outcomes = at_once([partial(run.step, "a", run.messages)] * 8)
        assert outcomes["ok"] == 1
        assert set(outcomes) <= {"ok", "ceremony_round", "unknown_ceremony"}


def test_one_request_id_goes_to_one_intent(cluster: Cluster) -> None:
    request = bytes(16)
    runs = [cluster.signing(cluster.intent(f"pay {n}", request=request), PAIR) for n in range(8)]
    outcomes = at_once([partial(run.start, "a") for run in runs])
    assert outcomes == {"ok": 1, "request_conflict": 7}


def test_ceremonies_beside_each_other_all_end(cluster: Cluster) -> None:
    intents = [cluster.intent(str(n)) for n in range(12)]
    signatures: set[bytes] = set()

    def sign(number: int) -> None:
        names = [("a", "b"), ("b", "c"), ("a", "c")][number % 3]
        steps = cluster.signing(intents[number], names).all()
        signatures.add(cluster.combined(steps, cluster.message(intents[number])))

    outcomes = at_once([partial(sign, number) for number in range(12)])
    assert outcomes == {"ok": 12}
    assert len(signatures) == 12
    assert all(node.call("status")["inflight"] == 0 for node in cluster.nodes.values())


def test_an_order_that_comes_many_times_is_one_wallet() -> None:
    cluster = Cluster()
    outcomes = at_once([lambda: cluster["a"].call("order.accept", order=cluster.signed.encode())] * 8)
    assert outcomes == {"ok": 8}
    assert len(cluster["a"].call("status")["wallets"]) == 1


def test_a_record_that_is_loaded_many_times_is_one_share() -> None:
    cluster = loaded(MUSIG2)
    cluster["a"].start()
    body = {"record": cluster.records["a"], "body": cluster.body}
    assert at_once([lambda: cluster["a"].call("wallet.load", **body)] * 8) == {"ok": 8}
    assert cluster["a"].phase == "certified"
    cluster.link().sign(cluster.intent(), cluster.names)
