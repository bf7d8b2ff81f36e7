"""A host that asks in a loop, and requesters that help it: a signer bounds what it does for one wallet and requester.

The signers are in this process, with bounds that a test reaches; their clock is the test's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.errors import Refusal
from strongroom.signer.ceremonies import MAX_IDLE, MAX_INFLIGHT
from strongroom.signer.exhaustion import BUCKETS, MAX_EVENTS, SETUP, Bounds, Load, Meter
from tests.signer.cluster import Cluster, Run, loaded
from tests.signer.test_several_signatures import spending
from tests.signer.wide import wide
from tests.wallet.orders import ECDSA, ED25519, REQUESTER, REQUESTER_KEYS, TAPROOT
from tests.wire.refused import refused

PAIR = ("a", "b")
OTHER = next(key for key in REQUESTER_KEYS if key != REQUESTER)
SMALL = Bounds(wallet_inflight=6, requester_inflight=4, wallet_window=30, requester_window=20, seconds=600)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Its signer `a` with small bounds."""
    made = loaded(ED25519)
    made["a"].bounds = SMALL
    made.restart("a")
    made.link()
    yield made


def start(cluster: Cluster, requester: bytes = REQUESTER) -> Run:
    return cluster.signing(cluster.intent(requester=requester), PAIR).start("a")


def load(cluster: Cluster) -> dict[str, Any]:
    found: dict[str, Any] = cluster["a"].status()["load"]
    return found


# --- In flight ---


def test_one_requester_leaves_room_for_others(cluster: Cluster) -> None:
    for _ in range(SMALL.requester_inflight):
        start(cluster)
    refusal = refused("ceremony_limit", start, cluster)
    assert refusal.retryable and "this requester" in refusal.reason
    start(cluster, OTHER)
    start(cluster, OTHER)
    refusal = refused("ceremony_limit", start, cluster, OTHER)
    assert "this wallet" in refusal.reason
    assert load(cluster)["inflight"] == SMALL.wallet_inflight


def test_what_ends_or_is_forgotten_makes_room(cluster: Cluster) -> None:
    runs = [start(cluster) for _ in range(SMALL.requester_inflight)]
    cluster["a"].call("ceremony.abort", ceremony=runs[0].identifier("a"))
    start(cluster)
    runs[1].start("b").finish()
    start(cluster)
    refused("ceremony_limit", start, cluster)
    cluster.pass_time(MAX_IDLE + 1)
    start(cluster)
    assert load(cluster)["inflight"] == 1


def test_a_start_that_fails_takes_no_room_but_counts(cluster: Cluster) -> None:
    for number in range(SMALL.requester_window):
        refused("stale_ticket", cluster.signing(cluster.intent(), PAIR, tickets=[bytes(16)] * 2).start, "a")
        assert (load(cluster)["inflight"], load(cluster)["spent"]) == (0, number + 1)
    refused("ceremony_rate", start, cluster)


def test_every_signature_of_a_transaction_counts() -> None:
    """Sixteen inputs are sixteen signatures, in flight and in the window."""
    cluster = wide(TAPROOT)
    before = load(cluster)
    run = cluster.signing(spending(cluster, 16)[0], PAIR).start()
    assert load(cluster)["inflight"] == before["inflight"] + 16
    most = Bounds().requester_inflight // 16
    others = [cluster.signing(spending(cluster, 16)[0], PAIR).start("a") for _ in range(most - 1)]
    refused("ceremony_limit", cluster.signing(spending(cluster, 1)[0], PAIR).start, "a")
    run.finish()
    for each in others:
        cluster["a"].call("ceremony.abort", ceremony=each.identifier("a"))
    assert load(cluster)["inflight"] == 0 and load(cluster)["spent"] == before["spent"] + 16 * most


# --- Within the window ---


def test_a_loop_of_aborted_ceremonies_is_stopped(cluster: Cluster) -> None:
    """The host starts and aborts, with one intent that was signed once. Nothing is given back for what was aborted."""
    intent = cluster.intent()
    for _ in range(SMALL.requester_window):
        run = cluster.signing(intent, PAIR).start("a")
        cluster["a"].call("ceremony.abort", ceremony=run.identifier("a"))
    refusal = refused("ceremony_rate", cluster.signing(intent, PAIR).start, "a")
    assert refusal.retryable and "within 600 s" in refusal.reason
    assert load(cluster)["inflight"] == 0

    # Others are served, up to the wallet's own bound.
    for _ in range(SMALL.wallet_window - SMALL.requester_window):
        run = start(cluster, OTHER)
        cluster["a"].call("ceremony.abort", ceremony=run.identifier("a"))
    assert "this wallet" in refused("ceremony_rate", start, cluster, OTHER).reason

    cluster.pass_time(SMALL.seconds + SMALL.seconds // BUCKETS)
    start(cluster)


def test_a_refusal_spends_neither_ticket_nor_count(cluster: Cluster) -> None:
    intent = cluster.intent()
    for _ in range(SMALL.requester_window):
        run = cluster.signing(intent, PAIR).start("a")
        cluster["a"].call("ceremony.abort", ceremony=run.identifier("a"))
    again = cluster.signing(intent, PAIR)
    for _ in range(5):
        refused("ceremony_rate", again.start, "a")
    assert load(cluster)["spent"] == SMALL.requester_window
    cluster.pass_time(SMALL.seconds + SMALL.seconds // BUCKETS)
    again.start("a")


def test_other_ceremonies_count_by_what_they_cost() -> None:
    """A pairing takes as long as a hundred signatures: a host that pairs in a loop is stopped too."""
    cluster = loaded(ECDSA)
    cluster["a"].bounds = Bounds(wallet_window=2 * SETUP["pair"])
    cluster.restart("a")
    cluster.link()
    for _ in range(2):
        run = cluster.pairing("a", "b").start("a")
        cluster["a"].call("ceremony.abort", ceremony=run.identifier("a"))
    refused("ceremony_rate", cluster.pairing("a", "b").start, "a")


def test_log_and_status_warn_before_a_bound_bites(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    """Once for each time that it is approached; and they name the requester, never what was asked for."""
    with caplog.at_level(logging.WARNING, "strongroom.signer.exhaustion"):
        for number in range(SMALL.requester_window):
            run = start(cluster)
            cluster["a"].call("ceremony.abort", ceremony=run.identifier("a"))
            assert len(caplog.records) == len(load(cluster)["events"]) == (number + 1 >= 0.8 * SMALL.requester_window)
        refused("ceremony_rate", start, cluster)
    (record,) = caplog.records
    said = record.getMessage()
    assert f"requester {REQUESTER.hex()[:16]}" in said and "16 of 20" in said and "used up" in said
    found = load(cluster)
    assert [each[1:] for each in found["events"]] == [[REQUESTER, "window", 16, 20]]
    assert found["events"][0][0] == cluster["a"].clock.time and found["refused"] == 1


def test_the_bound_in_flight_warns_too(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "strongroom.signer.exhaustion"):
        for _ in range(SMALL.requester_inflight):
            assert load(cluster)["events"] == []
            start(cluster)
        start(cluster, OTHER)
    events = [[REQUESTER, "inflight", 4, 4], [None, "inflight", 5, 6]]
    assert [each[1:] for each in load(cluster)["events"]] == events
    assert all("are in flight" in record.getMessage() for record in caplog.records) and len(caplog.records) == 2


def test_status_shows_the_counters(cluster: Cluster) -> None:
    start(cluster)
    start(cluster, OTHER)
    start(cluster, OTHER).start("b").finish()
    assert load(cluster) == {
        "inflight": 2,
        "spent": 3,
        "seconds": 600,
        "most": [6, 30],
        "requesters": sorted([[REQUESTER, 1, 1], [OTHER, 1, 2]]),
        "requester_most": [4, 20],
        "refused": 0,
        "events": [],
    }


def test_whoever_is_no_requester_is_counted_nowhere(cluster: Cluster) -> None:
    """Refused before: a stranger's key fills no table."""
    for number in range(50):
        stranger = bytes((number,)) * 32
        refused("unknown_requester", cluster.signing(cluster.intent(requester=stranger), PAIR).start, "a")
    assert load(cluster)["requesters"] == [] and load(cluster)["spent"] == 0


# --- The meter alone ---


def test_a_window_slides() -> None:
    meter = Meter(Bounds(wallet_window=10, seconds=60))
    one = Load(b"order")
    for now in range(10):
        meter.begin(one, now)
        meter.end(one)
    refused("ceremony_rate", meter.begin, one, 59)
    for now in range(61, 71):
        meter.begin(one, now)
        meter.end(one)
    refused("ceremony_rate", meter.begin, one, 70)


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(1, 16)), max_size=80))
def test_no_window_of_that_length_has_more_than_the_bound(steps: list[tuple[int, int]]) -> None:
    """Whenever they come: at most 50 within any 600 seconds."""
    meter, began, now = Meter(Bounds(wallet_window=50, seconds=600)), [], 0
    for pause, cost in steps:
        now += pause
        try:
            meter.begin(Load(b"order", cost=cost), now)
        except Refusal:
            continue
        meter.end(Load(b"order", cost=cost))
        began.append((now, cost))
        assert sum(each for at, each in began if at > now - 600) <= 50


def test_a_clock_that_is_set_back_gives_nothing_back() -> None:
    meter, one = Meter(Bounds(wallet_window=4, seconds=600)), Load(b"order")
    for now in (5000, 100, 5000, 100):
        meter.begin(one, now)
        meter.end(one)
    refused("ceremony_rate", meter.begin, one, 100)
    refused("ceremony_rate", meter.begin, one, 5000)


def test_one_event_for_each_time_that_a_bound_is_approached() -> None:
    """Back and forth about the mark is one; well below and back again is another. Only the newest are kept."""
    meter, one = Meter(Bounds(wallet_inflight=10)), Load(b"order")

    def events() -> int:
        found = meter.status(b"order", 0)["events"]
        assert isinstance(found, list)
        return len(found)

    for _ in range(8):
        meter.begin(one, 0)
    assert events() == 1
    for _ in range(5):
        meter.end(one)
        meter.begin(one, 0)
    assert events() == 1
    for approach in range(2, MAX_EVENTS + 5):
        for _ in range(4):
            meter.end(one)
        for _ in range(4):
            meter.begin(one, 0)
        assert events() == min(approach, MAX_EVENTS)
    assert meter.status(b"another", 0)["events"] == []


def test_memory_is_bounded_by_time() -> None:
    meter = Meter(Bounds(seconds=60))
    for now in range(10_000):
        each = Load(b"order", bytes((now % 250,)) * 32)
        meter.begin(each, now)
        meter.end(each)
    assert len(meter._uses) <= 62
    assert all(len(use.buckets) <= BUCKETS + 1 for use in meter._uses.values())


def test_the_bounds_leave_room_for_other_wallets() -> None:
    default = Bounds()
    assert default.requester_inflight < default.wallet_inflight < MAX_INFLIGHT
    assert default.requester_window < default.wallet_window
