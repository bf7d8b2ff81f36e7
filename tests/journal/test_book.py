"""The live set: its digest, what it counts, what it drops."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.journal import book as book_module
from strongroom.journal.book import GRAIN, HORIZON, MAX_ACCOUNTS, Book, View
from strongroom.journal.entry import Candidate, Entry, turn
from strongroom.journal.multiset import SIZE, Multiset, element
from strongroom.journal.rejoin import PAGE_SIZE, Answer, Noted
from strongroom.journal.series import Series
from strongroom.policy.history import History, Spend
from tests.journal.world import START, Ask, refused


def nothing(_: History) -> Sequence[Spend]:
    return ()


def spend(number: int) -> Spend:
    return Spend(f"rule-{number % 2}", f"asset-{number % 3}", f"to-{number % 4}", number)


def an_entry(number: int, at: int, **more: object) -> Entry:
    request = number.to_bytes(16, "big")
    spends = tuple(spend(number + each) for each in range(number % 4))
    return Entry(request, request * 2, at, at + 600, spends, **more)  # type: ignore[arg-type]


entries = st.builds(an_entry, st.integers(0, 30), st.integers(START, START + 5 * GRAIN))
questions = st.tuples(
    st.sampled_from([None, "asset-0", "asset-1"]),
    st.sampled_from([None, "rule-0", "rule-1"]),
    st.sampled_from([None, "to-0", "to-3"]),
    st.integers(START, START + 5 * GRAIN),
)


@given(st.lists(entries, max_size=60), st.lists(questions, max_size=12), st.randoms())
def test_a_book_counts_what_a_list_would(
    added: list[Entry], asked: list[tuple[str | None, str | None, str | None, int]], shuffle: random.Random
) -> None:
    """In any order, questions in between; and the digest depends on the set alone."""
    books = [Book(), Book()]
    for book in books:
        shuffle.shuffle(added)
        for number, entry in enumerate(added):
            book.add(entry)
            if asked and number % 7 == 0:
                View(book, []).spent(*shuffle.choice(asked))
    newest = {entry.key: max(each.at for each in added if each.key == entry.key) for entry in added}
    for asset, rule, to, since in asked:
        rows = [
            row.amount
            for entry in {entry.key: entry for entry in added}.values()
            if newest[entry.key] >= since
            for row in entry.spends
            if asset in (None, row.asset) and rule in (None, row.rule) and to in (None, row.to)
        ]
        for book in books:
            assert View(book, []).spent(asset, rule, to, since) == (sum(rows), len(rows))
    assert books[0].digest() == books[1].digest() and len(books[0]) == len(newest)


@given(st.lists(st.binary(max_size=4), max_size=30, unique=True), st.randoms())
def test_the_digest_of_a_set(elements: list[bytes], shuffle: random.Random) -> None:
    grown, other = Multiset(), Multiset()
    for each in elements:
        grown.add(each)
    left = elements[: len(elements) // 2]
    for each in elements[len(left) :]:
        grown.remove(each)
    shuffle.shuffle(left)
    for each in left:
        other.add(each)
    assert grown.digest() == other.digest()
    other.add(b"something else")
    assert grown.digest() != other.digest()


def test_lanes_do_not_carry() -> None:
    """65,536 times the same element is nothing at all in the lanes, and another count."""
    lanes = Multiset()
    for _ in range(1 << 8):
        lanes.add(b"x")
    expected = [(256 * each) % 65536 for each in _lanes(element(b"x"))]
    assert _lanes(lanes._state) == expected


def _lanes(value: int) -> list[int]:
    raw = value.to_bytes(SIZE, "big")
    return [int.from_bytes(raw[place : place + 2], "big") for place in range(0, SIZE, 2)]


TIMES = st.sampled_from([*range(3), *range(3598, 3603), 7199, 7200, 36_000])


@given(st.lists(st.tuples(TIMES, st.integers(0, 5), st.booleans(), TIMES)))
def test_a_series_is_its_sums(steps: list[tuple[int, int, bool, int]]) -> None:
    """Asked between any two changes: what it keeps of earlier answers must not outlive them."""
    series = Series()
    rows: list[tuple[int, int]] = []
    for at, amount, remove, since in steps:
        if remove and rows:
            series.remove(*rows.pop(amount % len(rows)))
        else:
            series.add(at, amount)
            rows.append((at, amount))
        kept = [each for when, each in rows if when >= since]
        assert series.since(since) == (sum(kept), len(kept))
        assert len(series) == len(rows)


def test_a_series_has_no_amount_that_was_not_added() -> None:
    series = Series()
    series.add(10, 5)
    for at, amount in ((10, 4), (11, 5), (4000, 5)):
        with pytest.raises(KeyError):
            series.remove(at, amount)
    assert series.since(0) == (5, 1)


# --- Compaction ---


def test_what_is_past_every_window_is_dropped_and_the_nonce_stays() -> None:
    book = Book()
    old = Ask(1, 5, nonce=41).candidate(START)
    book.add(book.decide(old, nothing))
    day = START + GRAIN
    while day < START + HORIZON + 2 * GRAIN:
        book.add(an_entry(day % 1000 + 2, day))
        day += 24 * GRAIN
    book.add(an_entry(1, START + HORIZON + 2 * GRAIN))
    assert all(entry.at >= START + GRAIN for entry in book)
    assert set(book.floors.values()) == {41}
    # Another transaction with that nonce is refused for ever, and the next one is still the next.
    later = START + HORIZON + 2 * GRAIN
    with refused("journal_conflict"):
        book.decide(Ask(2, 5, nonce=41).candidate(later), nothing)
    with refused("nonce_gap"):
        book.decide(Ask(2, 5, nonce=43).candidate(later), nothing)
    book.decide(Ask(2, 5, nonce=42).candidate(later), nothing)
    with refused("journal_clock"):
        book.decide(Ask(9).candidate(START), nothing)


def test_journals_drop_the_same_by_the_hour() -> None:
    """Whatever order their entries came in: what is kept depends on the newest time alone."""
    rows = [an_entry(number, START + number * 977) for number in range(200)]
    books = [Book(horizon=20 * GRAIN), Book(horizon=20 * GRAIN)]
    for entry in rows:
        books[0].add(entry)
    for entry in reversed(rows):
        books[1].add(entry)
    assert books[0].digest() == books[1].digest()
    assert 0 < len(books[0]) < 100


def test_a_renewed_entry_is_kept() -> None:
    book = Book(horizon=20 * GRAIN)
    entry = an_entry(3, START)
    book.add(entry)
    book.add(an_entry(3, START + 19 * GRAIN))
    book.add(an_entry(4, START + 30 * GRAIN))
    assert [each.request for each in book] == [entry.request, an_entry(4, 0).request]
    assert not book.add(entry)


# --- Who is told what ---


def test_what_a_liar_tells_of_a_request_stands_beside_the_truth() -> None:
    """The same intent, said to spend nothing: heard first, it must not take the place of what was spent."""
    book, ask = Book(), Ask(1, 60)
    true = book.decide(ask.candidate(START), ask.judge(START))
    lie = Entry(true.request, true.intent, START, true.expiry)
    book.add(lie)
    book.add(true)
    assert View(book, []).spent(None, None, None, 0) == (60, 1)
    # The request itself may be asked for again.
    assert book.decide(ask.candidate(START + 1), ask.judge(START)).key == true.key


def test_a_liars_replacement_moves_nothing_out_of_its_window() -> None:
    """It claims to take the place of a payment, long ago: the payment stays counted where it is."""
    book, ask = Book(), Ask(1, 60, nonce=1)
    true = book.decide(ask.candidate(START + 1000), ask.judge(START))
    book.add(true)
    for at, spends in ((START, true.spends), (START + 2000, ())):
        book.add(Entry(bytes(16), bytes(32), at, at + 9, spends, true.once, true.request, true.meaning, 99))
        assert View(book, []).spent(None, None, None, START + 1) == (60, 1)
    book.add(
        Entry(bytes(16), bytes(32), START + 3000, START + 9, true.spends, true.once, true.request, true.meaning, 99)
    )
    assert View(book, []).spent(None, None, None, START + 1) == (60, 1)


def test_the_request_that_is_judged_is_not_counted_against_itself() -> None:
    book, ask = Book(), Ask(1, 90)
    book.add(book.decide(ask.candidate(START), ask.judge(START)))
    book.decide(ask.candidate(START + 5), ask.judge(START + 5))
    with refused("policy_limit"):
        book.decide(Ask(2, 1).candidate(START + 5), Ask(2, 1).judge(START + 5))


def test_a_replacement_under_other_rules_is_counted_beside() -> None:
    """The policy changed its rules' names meanwhile: nothing says that both spend from one limit, so both count."""
    book, ask = Book(), Ask(1, 40, nonce=1)
    book.add(book.decide(ask.candidate(START), ask.judge(START)))
    again = Ask(2, 40, nonce=1, replaces=1, fee=2)
    seen: list[int] = []

    def judge(history: History) -> Sequence[Spend]:
        seen.append(history.spent(None, None, None, 0)[0])
        return (Spend("another", "evm:1/native", "0xpayee", 40),)

    book.add(book.decide(again.candidate(START + 1), judge))
    assert seen == [0, 40]
    assert View(book, []).spent(None, None, None, 0) == (80, 2)


def test_an_address_has_nonces_of_its_own() -> None:
    book = Book()
    for path in ((), (0, 1), (0, 2)):
        draft = Ask(sum(path) + 10, 1, nonce=0).candidate(START)
        book.add(
            book.decide(Candidate(draft.request, draft.intent, START, START + 9, draft.effects, None, path), nothing)
        )
    assert len(book) == 3


def test_what_counts_up() -> None:
    assert turn("evm:1//nonce:7") == ("evm:1/", 7)
    assert turn("bitcoin:regtest//outpoint:00:1") is None
    assert turn("evm:1//nonce:x") is None


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3), st.booleans(), st.integers(0, 400)), max_size=12),
    st.randoms(),
)
def test_counting_does_not_depend_on_the_order(rows: list[tuple[int, int, bool, int]], shuffle: random.Random) -> None:
    """Also where entries replace each other, and cancel."""
    added = [
        Ask(number, 0 if cancels else 10, nonce=number % 2, replaces=number - 1 if fee > 1 else None, fee=fee)
        .candidate(START + at)
        .entry([] if cancels else [Spend("pay", "a", "b", 10)])
        for number, fee, cancels, at in rows
    ]
    totals = []
    for _ in range(3):
        shuffle.shuffle(added)
        book = Book()
        for number, entry in enumerate(added):
            book.add(entry)
            if number == 2:
                View(book, []).spent(None, "pay", None, 0)
        totals.append([View(book, []).spent(None, "pay", None, START + since) for since in (0, 100, 200, 300)])
    assert totals[0] == totals[1] == totals[2]


# --- Addresses that are kept count of ---


def of(account: int, number: int = 0, request: int | None = None) -> Candidate:
    return replace(Ask(account if request is None else request, 1, nonce=number).candidate(START), path=(0, account))


def test_addresses_are_bounded_and_a_used_nonce_stays_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each address that ever signed is remembered for good, so that there is an end to them, not to the memory."""
    monkeypatch.setattr(book_module, "MAX_ACCOUNTS", 8)
    book = Book()
    for account in range(8):
        book.add(book.decide(of(account), nothing))
    with refused("journal_accounts"):
        book.decide(of(8), nothing)
    book.add(book.decide(of(3, 1, request=100), nothing))
    # Past every window only the numbers are left: still as many, and none of them is free again.
    late = START + HORIZON + 2 * GRAIN
    book.add(an_entry(1, late))
    assert len(book) == 1 and len(book.floors) == 8
    for account, number, code in ((0, 0, "journal_conflict"), (3, 1, "journal_conflict"), (8, 0, "journal_accounts")):
        with refused(code):
            book.decide(replace(of(account, number, request=200), at=late), nothing)
    book.decide(replace(of(3, 2, request=200), at=late), nothing)


def test_what_others_tell_of_addresses_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two honest journals may each have reserved for others; beyond that somebody lies, and nothing of it is taken."""
    monkeypatch.setattr(book_module, "MAX_ACCOUNTS", 4)
    book = Book()
    book.lift({f"evm:1/{number}": 5 for number in range(6)})
    for account in range(2):
        book.add(of(account).entry(()))
    assert len(book.floors) == 6
    with refused("journal_accounts"):
        book.add(of(2).entry(()))
    with refused("journal_accounts"):
        book.lift({"evm:1/0": 9, "evm:1/99": 1})
    assert book.floors["evm:1/0"] == 5
    book.lift({"evm:1/0": 9})
    assert book.floors["evm:1/0"] == 9
    with refused("journal_conflict"):
        book.decide(replace(of(0, 0, request=100), path=(0,)), nothing)
    with refused("journal_accounts"):
        book.decide(of(50), nothing)


def test_as_many_addresses_as_others_may_tell_fit_a_message() -> None:
    floors = {f"evm:{'9' * 19}/{'/'.join(['2147483647'] * 5)}/{number}": 2**63 for number in range(2 * MAX_ACCOUNTS)}
    answer = Answer(bytes(16), True, Noted(1, bytes(16)), {}, floors, bytes(32), (), False)
    raw = answer.encode()
    assert Answer.decode(raw) == answer and len(raw) < PAGE_SIZE
