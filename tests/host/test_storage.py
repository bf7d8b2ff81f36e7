"""The database: allowed steps only, one writer's effect at a time, and nothing half done after a crash."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from strongroom.errors import Refusal
from strongroom.wire import cbor
from strongroom_host.storage.database import Database
from strongroom_host.storage.migrate import migrate
from strongroom_host.storage.requests import Request, Requests
from strongroom_host.storage.states import ALLOWED, STATES, State, require, state
from strongroom_host.storage.tables import METADATA, REQUESTS


def request(number: int = 0, at: State = "signing", **changes: object) -> Request:
    fields: dict[str, object] = {
        "request": f"{number:032x}",
        "wallet": "aa" * 32,
        "kind": "message",
        "state": at,
        "intent": b"intent",
        "intent_signature": bytes(64),
        "worker": 7,
        "at": 1,
        "history": (("received", 1, None),),
        **changes,
    }
    return Request(**fields)  # type: ignore[arg-type]


@pytest.fixture
def requests(database: Database) -> Requests:
    return Requests(database)


def test_the_table_knows_every_state_and_leads_out_of_none_but_ends() -> None:
    assert set(ALLOWED) == set(STATES)
    assert {each for each in STATES if not ALLOWED[each]} == {"confirmed", "expired"}
    assert all(after in STATES for afters in ALLOWED.values() for after in afters)
    # After a signature may exist, nothing leads back to a place where other bytes would be welcome.
    for each in ("signed", "broadcast", "included", "confirmed"):
        assert not ALLOWED[each] & {"received", "judged", "signing", "refused", "failed", "expired"}


def test_every_step_is_in_the_table_or_refused(requests: Requests) -> None:
    for number, (before, after) in enumerate(product(STATES, STATES)):
        kept = request(number, at=before)
        assert requests.reserve(kept)
        if after in ALLOWED[before]:
            moved = requests.move(kept, after)
            assert moved.state == after and requests.get(kept.request) == moved
            assert requests.get(kept.request).history == moved.history
        else:
            with pytest.raises(Refusal) as caught:
                requests.move(kept, after)
            assert caught.value.code == "request_conflict" and requests.get(kept.request) == kept


def test_a_state_that_we_never_wrote() -> None:
    with pytest.raises(ValueError, match="no such state"):
        state("done")
    with pytest.raises(Refusal):
        require("confirmed", "signing")


@pytest.mark.parametrize("left", STATES)
def test_a_host_killed_in_any_state_leaves_nothing_half_done(requests: Requests, left: State) -> None:
    requests.reserve(request(at=left))
    assert requests.recover() == 1
    after = requests.get(request().request)
    assert after.worker is None
    if left in ("received", "judged", "signing"):
        assert after.state == "failed" and after.error is not None and after.error["code"] == "aborted"
        assert after.history[-1][0] == "failed"
    else:
        assert after.state == left and after.error is None
    assert requests.recover() == 0


def test_a_dead_worker_leaves_other_workers_requests_alone(requests: Requests) -> None:
    requests.reserve(request(1, worker=7))
    requests.reserve(request(2, worker=8))
    assert requests.recover(7) == 1
    assert requests.get(request(2).request).worker == 8
    assert requests.get(request(1).request).state == "failed"


def test_a_request_is_reserved_once(requests: Requests) -> None:
    assert requests.reserve(request())
    assert not requests.reserve(replace(request(), intent=b"other"))
    assert requests.get(request().request).intent == b"intent"


def test_an_idempotency_key_stands_for_one_request(requests: Requests) -> None:
    requests.reserve(request(1, idempotency="k"))
    with pytest.raises(Refusal) as caught:
        requests.reserve(request(2, idempotency="k"))
    assert caught.value.code == "idempotency_conflict"
    assert requests.find(request(2).request) is None


@pytest.mark.parametrize("left", STATES)
def test_no_second_transaction_of_a_nonce_while_one_may_be_signed(requests: Requests, left: State) -> None:
    requests.reserve(request(1, at=left, slot="w:1:0"))
    if left in ("signing", "unknown"):
        with pytest.raises(Refusal) as caught:
            requests.reserve(request(2, slot="w:1:0"))
        assert caught.value.code == "outcome_unknown"
    else:
        assert requests.reserve(request(2, slot="w:1:0"))
    assert requests.reserve(request(3, slot="w:1:1"))


@pytest.mark.parametrize("left", ["signing", "unknown"])
def test_only_a_declared_replacement_of_exactly_that_one_is_begun(requests: Requests, left: State) -> None:
    first, second = request(1, at=left, slot="w:1:0"), request(2, slot="w:1:0", replaces=request(1).request)
    requests.reserve(first)
    for other in (None, request(9).request):
        with pytest.raises(Refusal) as caught:
            requests.reserve(replace(second, replaces=other))
        assert caught.value.code == "outcome_unknown" and first.request in caught.value.reason
    assert requests.reserve(second)
    # Of three in a row the last one names the second, whatever became of that.
    requests.move(second, "failed", changed={"worker": None})
    assert requests.reserve(request(3, slot="w:1:0", replaces=second.request))
    assert requests.replacing(first.request) == [second.request]


def test_what_waited_does_not_begin_beside_another_of_its_nonce(requests: Requests) -> None:
    waiting = request(1, at="pending", slot="w:1:0", worker=None)
    requests.reserve(waiting)
    requests.reserve(request(2, at="unknown", slot="w:1:0"))
    with pytest.raises(Refusal) as caught:
        requests.move(waiting, "signing", via=["judged"], free=True)
    assert caught.value.code == "outcome_unknown" and requests.get(waiting.request) == waiting
    requests.move(request(2, at="unknown"), "signed")
    assert requests.move(waiting, "signing", via=["judged"], free=True).state == "signing"


def test_the_next_nonce_counts_what_may_still_be_mined(requests: Requests) -> None:
    for number, left in enumerate(STATES):
        slot = f"{'aa' * 32}:1:{10 + number}"
        requests.reserve(request(number, at=left, chain_id=1, nonce=10 + number, slot=slot))
    mined_or_never = {"received", "judged", "confirmed", "replaced", "refused", "failed", "expired"}
    highest = max(10 + number for number, left in enumerate(STATES) if left not in mined_or_never)
    assert requests.next_nonce("aa" * 32, 1) == highest + 1
    assert requests.next_nonce("aa" * 32, 2) == 0 and requests.next_nonce("bb" * 32, 1) == 0


def test_whoever_moved_first_wins(requests: Requests) -> None:
    requests.reserve(request())
    requests.move(request(), "unknown")
    with pytest.raises(Refusal) as caught:
        requests.move(request(), "failed")
    assert caught.value.code == "request_conflict"
    assert requests.get(request().request).state == "unknown"


def test_only_what_nobody_works_on_is_taken_up(requests: Requests) -> None:
    requests.reserve(request(at="failed"))
    with pytest.raises(Refusal):
        requests.move(request(at="failed"), "judged", free=True)
    requests.release(request().request)
    assert requests.move(request(at="failed"), "judged", free=True).state == "judged"


def test_writers_at_once_are_all_durable_and_fail_alone(requests: Requests, tmp_path: Path) -> None:
    refused: list[int] = []

    def write(number: int) -> None:
        # Every third one repeats an idempotency key: its neighbours in the same commit must not suffer.
        try:
            assert requests.reserve(request(number, idempotency="k" if number % 3 == 0 else f"k{number}"))
        except Refusal:
            refused.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 19 and all(number % 3 == 0 for number in refused)
    with sqlite3.connect(tmp_path / "host.db") as other:
        assert other.execute("select count(*) from requests").fetchone() == (41,)


def test_a_writer_that_fails_leaves_nothing(database: Database) -> None:
    def fail(connection: sa.Connection) -> None:
        connection.execute(REQUESTS.delete())
        connection.exec_driver_sql(
            "insert into wallets (order_id, phase, attempt, signed_order, created) values ('a', 'o', 0, '', 0)"
        )
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        database.write(fail)
    with database.read() as connection:
        assert connection.exec_driver_sql("select count(*) from wallets").scalar() == 0


def test_sqlite_is_set_up_to_be_durable(database: Database) -> None:
    with database.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_the_migrations_make_what_the_code_expects(database: Database) -> None:
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    migrate(database)


def test_two_hosts_that_start_at_once_migrate_once(tmp_path: Path) -> None:
    code = (
        "import sys; from strongroom_host.storage.database import Database;"
        "from strongroom_host.storage.migrate import migrate; migrate(Database(sys.argv[1]))"
    )
    url = f"sqlite:///{tmp_path / 'new' / 'host.db'}"
    started = [subprocess.Popen([sys.executable, "-P", "-c", code, url]) for _ in range(3)]
    assert [process.wait(60) for process in started] == [0, 0, 0]


def test_only_what_must_not_be_forgotten_waits_for_the_disk(database: Database) -> None:
    def level(connection: sa.Connection) -> object:
        return connection.exec_driver_sql("PRAGMA synchronous").scalar()

    full, normal = 2, 1
    asked = [True, False, False, True, False]
    assert [database.write(level, durable=each) for each in asked] == [full, normal, normal, full, normal]
    assert database.write(level) == full


def test_a_result_that_was_not_synced_survives_the_process(requests: Requests, tmp_path: Path) -> None:
    kept = request(at="unknown")
    requests.reserve(kept)
    requests.move(kept, "signed", durable=False, changed={"signatures": (b"s",)})
    with sqlite3.connect(tmp_path / "host.db") as other:
        assert other.execute("select state, signatures from requests").fetchall() == [("signed", cbor.encode([b"s"]))]


def test_a_commit_that_fails_tells_everybody_and_the_next_one_works(
    requests: Requests, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests.reserve(request(1))
    with monkeypatch.context() as broken:

        def full(_connection: sa.Connection) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        broken.setattr(sa.Connection, "commit", full)
        with pytest.raises(sqlite3.OperationalError, match="full"):
            requests.reserve(request(2))
    assert requests.find(request(2).request) is None
    assert requests.reserve(request(2)) and requests.get(request(1).request).state == "signing"
