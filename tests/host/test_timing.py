"""Server-Timing: what a signature's time went to, for whoever waits for it."""

from __future__ import annotations

import threading

from flask.testing import FlaskClient

from strongroom_host import timing
from strongroom_host.storage.wallets import Wallet
from tests.host.test_api import body
from tests.host.world import World


def laps(header: str) -> dict[str, float]:
    return {name: float(spent) for name, spent in (each.split(";dur=") for each in header.split(", "))}


def test_a_signature_says_where_its_time_went(client: FlaskClient, world: World, wallet: Wallet) -> None:
    answer = client.post("/v1/requests", json=body(world, wallet))
    assert answer.status_code == 201
    told = laps(answer.headers[timing.HEADER])
    assert list(told) == ["read", "look", "judge", "relay", "trip-1", "trip-2", "combine", "record", "answer"]
    assert all(spent > 0 for spent in told.values())


def test_a_refusal_says_how_far_it_came(client: FlaskClient, world: World, wallet: Wallet) -> None:
    answer = client.post("/v1/requests", json=body(world, wallet, expiry=1))
    assert answer.status_code >= 400
    assert list(laps(answer.headers[timing.HEADER])) == ["read", "look", "answer"]


def test_what_signs_nothing_tells_nothing(client: FlaskClient) -> None:
    for path in ("/v1/wallets", "/v1/nowhere"):
        assert timing.HEADER not in client.get(path).headers


def test_laps_of_one_name_are_added_up_and_their_number_is_bounded() -> None:
    timing.begin()
    for number in range(3 * timing.MOST_LAPS):
        timing.lap("same")
        timing.lap(f"other-{number}")
    told = laps(timing.end("answer") or "")
    assert len(told) == timing.MOST_LAPS and "same" in told


def test_nothing_is_timed_outside_a_request_or_in_another_thread() -> None:
    timing.lap("before")
    assert timing.end("answer") is None
    timing.begin()
    thread = threading.Thread(target=lambda: timing.lap("elsewhere"))
    thread.start()
    thread.join()
    assert timing.end("answer") is None
