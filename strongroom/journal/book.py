"""A journal's live set: what is reserved, what conflicts with it, and what of it counts against a limit.

Everything here is a function of the set alone, not of the order in which it grew: two journals with one digest refuse
and count alike.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

from strongroom.errors import Refusal
from strongroom.journal.entry import Candidate, Entry, Key, turn
from strongroom.journal.multiset import Multiset
from strongroom.journal.series import Series
from strongroom.policy.history import Spend

HORIZON: Final = 93 * 24 * 3600
"""Seconds that an entry is kept at least: longer than a policy's longest window and an intent's life together."""

GRAIN: Final = 3600
"""Seconds: what is past the horizon is dropped by the hour, so that journals drop the same."""

MAX_ENTRIES = 1_000_000
"""That a book reserves: what is live of one wallet. What others tell may be twice as many."""

MAX_ACCOUNTS: Final = 2048
"""Addresses of the wallet whose numbers count up, that a book reserves for: none is ever forgotten, since a number that
was used must not be used again. What others tell may be twice as many, which is what one message of theirs holds."""

MAX_NAME: Final = 96
"""Characters of an address's name, `chain/path`: so many names of any length would fit no block, and no answer."""

PARTS: Final = 256
"""By the first byte of the request: how two journals find out where they differ."""

RECENT: Final = 64

T = TypeVar("T", bytes, str)
Shape = tuple[bool, bool, bool]
Place = tuple[str | None, str | None, str | None]


class Book:
    """horizon: seconds. Not thread safe: its journal is called under the wallet's lock."""

    def __init__(self, horizon: int = HORIZON) -> None:
        self._horizon = horizon
        self._entries: dict[Key, Entry] = {}
        self._by_request: dict[bytes, tuple[Key, ...]] = {}
        """More than one: two intents by a race, or somebody's lie."""
        self._by_once: dict[str, tuple[Key, ...]] = {}
        self._by_hour: dict[int, set[Key]] = {}
        self._set = Multiset()
        self._parts: list[set[Key]] = [set() for _ in range(PARTS)]
        self._part_digests: list[bytes | None] = [None] * PARTS
        """None where something changed since."""
        self._series: dict[Shape, dict[Place, Series]] = {}
        self._highest: dict[str, int] = {}
        self.floors: dict[str, int] = {}
        """Highest number of each account among what was dropped: nothing at or below it is reserved again."""
        self.latest = 0
        """The newest time of all entries, Unix seconds."""
        self._uncounted: set[Key] = set()
        self._compacted = self._cut()
        self._recent: deque[Key] = deque(maxlen=RECENT)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def digest(self) -> bytes:
        return self._set.digest()

    def get(self, key: Key) -> Entry | None:
        return self._entries.get(key)

    def recent(self) -> list[Entry]:
        """Those that came or were renewed last."""
        return [self._entries[key] for key in dict.fromkeys(self._recent) if key in self._entries]

    def part(self, number: int) -> list[Entry]:
        """By key."""
        return [self._entries[key] for key in sorted(self._parts[number])]

    def parts(self) -> tuple[bytes, ...]:
        """The digest of each part."""
        return tuple(self._part(number) for number in range(PARTS))

    def _part(self, number: int) -> bytes:
        known = self._part_digests[number]
        if known is None:
            elements = sorted(self._entries[key].element() for key in self._parts[number])
            known = hashlib.sha256(b"strongroom/journal-part/v1" + b"".join(elements)).digest()
            self._part_digests[number] = known
        return known

    # What is asked of it

    def decide(self, candidate: Candidate, judge: Callable[[View], Sequence[Spend]]) -> Entry:
        """The entry that the candidate would be, if nothing here and nothing in `judge` speaks against it.

        judge: gives the spends, or raises the policy's Refusal. Nothing is changed. What is here already, and what the
        candidate replaces, is not shown to it: both would be counted twice.
        """
        draft = candidate.entry(())
        self._require_free(draft)
        rivals, own = self._conflicting(draft), [each.key for each in self._of_request(draft)]
        entry = candidate.entry(judge(View(self, [*own, *(each.key for each in rivals)])))
        if any(not entry.counts_for(each) for each in rivals):
            # Counted beside what it replaces, not in its place: a cancel, or the policy's rules changed since.
            beside = [each.key for each in rivals if entry.counts_for(each)]
            entry = candidate.entry(judge(View(self, [*own, *beside])))
        return entry

    def add(self, entry: Entry) -> bool:
        """Whether the set changed. An entry that is there already moves to the later of both times."""
        known = self._entries.get(entry.key)
        if entry.at < self._cut() or (known is not None and entry.at <= known.at):
            return False
        if known is None:
            if len(self) >= 2 * MAX_ENTRIES:
                raise Refusal("journal_full", "another journal tells of more requests than there may be")
            self._require_room((counted.account for each in entry.once if (counted := turn(each))), 2 * MAX_ACCOUNTS)
        if known is not None:
            self._take(known)
        self._put(entry)
        self.latest = max(self.latest, entry.at)
        self._compact()
        return True

    def lift(self, floors: Mapping[str, int]) -> None:
        """Takes over what others remember of what they dropped: all of it, or none."""
        self._require_room(floors, 2 * MAX_ACCOUNTS)
        for account, number in floors.items():
            self.floors[account] = max(self.floors.get(account, number), number)

    # Conflicts

    def _require_free(self, draft: Entry) -> None:
        known = self._of_request(draft)
        if not all(each.alike(draft) for each in known):
            raise Refusal("request_conflict", "this request id was used for another intent")
        if draft.at < self._cut():
            raise Refusal("journal_clock", "the time asked for is long past: everything about it is forgotten")
        others = self._conflicting(draft)
        for other in others:
            if not draft.supersedes(other):
                raise Refusal("journal_conflict", draft.objection(other))
        if draft.replaces is not None and draft.replaces not in {other.request for other in others}:
            raise Refusal("journal_conflict", "it replaces a request that uses up nothing of what it uses up")
        if not known:
            if len(self) >= MAX_ENTRIES:
                raise Refusal("journal_full", f"{MAX_ENTRIES} requests of this wallet are remembered and not yet old")
            self._require_next(draft)

    def _conflicting(self, draft: Entry) -> list[Entry]:
        keys = dict.fromkeys(key for token in draft.once for key in self._by_once.get(token, ()))
        return [other for key in keys if not (other := self._entries[key]).alike(draft)]

    def _of_request(self, draft: Entry) -> list[Entry]:
        return [self._entries[key] for key in self._by_request.get(draft.request, ())]

    def _require_next(self, draft: Entry) -> None:
        turns = [counted for token in draft.once if (counted := turn(token))]
        self._require_room((counted.account for counted in turns), MAX_ACCOUNTS)
        for counted in turns:
            floor = self.floors.get(counted.account, -1)
            highest = max(floor, self._highest.get(counted.account, -1))
            if counted.number <= floor:
                raise Refusal(
                    "journal_conflict", f"nonce {counted.number} was used long ago: the next is {highest + 1}"
                )
            if highest >= 0 and counted.number > highest + 1:
                raise Refusal("nonce_gap", f"nonce {counted.number} would leave a gap: the next is {highest + 1}")

    def _require_room(self, accounts: Iterable[str], most: int) -> None:
        new = {account for account in accounts if account not in self._highest and account not in self.floors}
        if new and len(self._highest.keys() | self.floors.keys()) + len(new) > most:
            raise Refusal("journal_accounts", f"no more than {most} addresses of this wallet are kept count of")
        if any(len(account) > MAX_NAME for account in new):
            raise Refusal("malformed_message", f"the name of an address has up to {MAX_NAME} characters")

    # The set

    def _put(self, entry: Entry) -> None:
        key = entry.key
        self._entries[key] = entry
        _link(self._by_request, entry.request, key)
        for token in dict.fromkeys(entry.once):
            _link(self._by_once, token, key)
            counted = turn(token)
            if counted is not None:
                self._highest[counted.account] = max(self._highest.get(counted.account, -1), counted.number)
        self._by_hour.setdefault(entry.at // GRAIN, set()).add(key)
        self._set.add(entry.element())
        self._parts[entry.request[0]].add(key)
        self._part_digests[entry.request[0]] = None
        self._recent.append(key)
        others = self._conflicting(entry)
        if any(other.counts_for(entry) for other in others):
            self._uncounted.add(key)
        else:
            self._count(entry, Series.add)
        for other in others:
            if entry.counts_for(other) and other.key not in self._uncounted:
                self._uncounted.add(other.key)
                self._count(other, Series.remove)

    def _take(self, entry: Entry) -> None:
        key = entry.key
        others = self._conflicting(entry)
        del self._entries[key]
        _unlink(self._by_request, entry.request, key)
        for token in dict.fromkeys(entry.once):
            _unlink(self._by_once, token, key)
        hour = self._by_hour[entry.at // GRAIN]
        hour.discard(key)
        if not hour:
            del self._by_hour[entry.at // GRAIN]
        self._set.remove(entry.element())
        self._parts[entry.request[0]].discard(key)
        self._part_digests[entry.request[0]] = None
        if key in self._uncounted:
            self._uncounted.discard(key)
        else:
            self._count(entry, Series.remove)
        for other in others:
            left_over = other.key in self._uncounted and entry.counts_for(other)
            if left_over and not any(each.counts_for(other) for each in self._conflicting(other)):
                self._uncounted.discard(other.key)
                self._count(other, Series.add)

    def _cut(self) -> int:
        return (self.latest - self._horizon) // GRAIN * GRAIN

    def _compact(self) -> None:
        """Once an hour: what is past the horizon goes, and leaves the highest number of each account."""
        cut = self._cut() // GRAIN
        if cut == self._compacted:
            return
        self._compacted = cut
        for hour in sorted(hour for hour in self._by_hour if hour < cut):
            for key in list(self._by_hour[hour]):
                entry = self._entries[key]
                self.lift({counted.account: counted.number for each in entry.once if (counted := turn(each))})
                self._take(entry)

    # What counts

    def _count(self, entry: Entry, change: Callable[[Series, int, int], None]) -> None:
        for shape, series in self._series.items():
            for spend in entry.spends:
                change(series.setdefault(_place(shape, spend), Series()), entry.at, spend.amount)

    def total(self, place: Place, since: int) -> tuple[int, int]:
        """(sum, number) of spends at that time or later; None stands for any asset, rule, destination."""
        asset, rule, to = place
        shape = (asset is not None, rule is not None, to is not None)
        if shape not in self._series:
            # Built when a policy first asks for it: most ask for two or three of the eight.
            built: dict[Place, Series] = {}
            for entry in sorted(self._entries.values(), key=lambda each: each.at):
                if entry.key not in self._uncounted:
                    for spend in entry.spends:
                        built.setdefault(_place(shape, spend), Series()).add(entry.at, spend.amount)
            self._series[shape] = built
        series = self._series[shape].get(place)
        return (0, 0) if series is None else series.since(since)

    def counts(self, key: Key) -> Entry | None:
        """The entry, if it is here and its spends are counted."""
        return None if key in self._uncounted else self._entries.get(key)


class View:
    """A book as the policy sees it (`strongroom.policy.history.History`), without the entries left out.

    asked: whether the policy counted anything, so that the answer depends on the whole set.
    """

    def __init__(self, book: Book, without: Iterable[Key]) -> None:
        self._book = book
        self._without = [entry for key in without if (entry := book.counts(key)) is not None]
        self.asked = False

    def spent(self, asset: str | None, rule: str | None, to: str | None, since: int) -> tuple[int, int]:
        self.asked = True
        amount, count = self._book.total((asset, rule, to), since)
        for entry in self._without:
            if entry.at >= since:
                for spend in entry.spends:
                    if _fits(spend, asset, rule, to):
                        amount, count = amount - spend.amount, count - 1
        return amount, count


class Multiplied:
    """A history in which so many signers spent alike, the request that is judged included.

    spent + a <= limit / d is asked as (d * spent + (d - 1) * a) + a <= limit, so that the policy stays as it is.
    """

    def __init__(self, view: View, spends: Sequence[Spend], divisor: int) -> None:
        self._view = view
        self._spends = spends
        self._divisor = divisor

    def spent(self, asset: str | None, rule: str | None, to: str | None, since: int) -> tuple[int, int]:
        amount, count = self._view.spent(asset, rule, to, since)
        amounts = [each.amount for each in self._spends if _fits(each, asset, rule, to)]
        more = self._divisor - 1
        return self._divisor * amount + more * sum(amounts), self._divisor * count + more * len(amounts)


def _fits(spend: Spend, asset: str | None, rule: str | None, to: str | None) -> bool:
    return asset in (None, spend.asset) and rule in (None, spend.rule) and to in (None, spend.to)


def _link(index: dict[T, tuple[Key, ...]], name: T, key: Key) -> None:
    index[name] = (*index.get(name, ()), key)


def _unlink(index: dict[T, tuple[Key, ...]], name: T, key: Key) -> None:
    left = tuple(each for each in index[name] if each != key)
    if left:
        index[name] = left
    else:
        del index[name]


def _place(shape: Shape, spend: Spend) -> Place:
    by_asset, by_rule, by_to = shape
    return spend.asset if by_asset else None, spend.rule if by_rule else None, spend.to if by_to else None
