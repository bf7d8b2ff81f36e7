"""How much of a signer one wallet, and one requester of it, may use: at once, and within an hour.

A host asks as often as it likes, with intents that were signed once, and may abort each ceremony that it starts. So
what is asked for is counted when a ceremony starts, in signatures, and nothing is given back for what fails. The counts
live in memory: a restart forgets them, and costs whoever restarts the signer more than they are worth.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from strongroom.errors import Refusal
from strongroom.wire import cbor

_log = logging.getLogger(__name__)

SETUP: Final[Mapping[str, int]] = {"dkg": 200, "pair": 100, "test": 1}
"""What ceremonies that make no signature for anybody cost, in signatures: by the processor time that they take."""

BUCKETS: Final = 60
"""Parts of a window that are forgotten one after the other: it is exact to a sixtieth, on the safe side."""

WARN: Final = 0.8
"""Of a bound: when that much is reached it is an event, which log and status show."""

REARM: Final = 0.5
"""Of a bound: below that it may be approached anew. Else whoever goes back and forth would make an event each time."""

MAX_EVENTS: Final = 16
"""Of each wallet, the newest."""

Bound = Literal["inflight", "window"]

Key = tuple[bytes, bytes | None]
"""The wallet's order, and the requester's key; None for the wallet as a whole."""


@dataclass(frozen=True)
class Bounds:
    """In signatures. inflight: of ceremonies that have not ended. window: of all that began within `seconds`."""

    wallet_inflight: int = 56
    requester_inflight: int = 48
    wallet_window: int = 40_000
    requester_window: int = 20_000
    seconds: int = 3600


@dataclass(frozen=True)
class Event:
    """A bound that will refuse soon. at: Unix seconds. requester: None where it is the wallet's as a whole. used, most:
    signatures."""

    at: int
    requester: bytes | None
    bound: Bound
    used: int
    most: int

    def value(self) -> list[cbor.Value]:
        return [self.at, self.requester, self.bound, self.used, self.most]


@dataclass
class _Use:
    """warned: bounds that were approached, and not left far behind since."""

    inflight: int = 0
    spent: int = 0
    buckets: deque[list[int]] = field(default_factory=deque)
    warned: set[Bound] = field(default_factory=set)

    def of(self, bound: Bound) -> int:
        return self.inflight if bound == "inflight" else self.spent

    def add(self, bucket: int, cost: int) -> None:
        self.spent += cost
        if not self.buckets or self.buckets[-1][0] != bucket:
            self.buckets.append([bucket, 0])
        self.buckets[-1][1] += cost


@dataclass(frozen=True)
class Load:
    """What one ceremony asks for. order: the wallet's; requester: None where nobody in particular asked.

    signatures: that are in flight while it runs. cost: what it uses up of the window.
    """

    order: bytes
    requester: bytes | None = None
    signatures: int = 1
    cost: int = 1

    @property
    def keys(self) -> tuple[Key, ...]:
        whole: Key = (self.order, None)
        return (whole,) if self.requester is None else (whole, (self.order, self.requester))


class Meter:
    """Thread safe. `now` is the signer's clock, in seconds."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.bounds = bounds or Bounds()
        self._uses: dict[Key, _Use] = {}
        self._forgot = 0
        self._events: dict[bytes, deque[Event]] = {}
        self._refused: Counter[bytes] = Counter()
        self._lock = threading.Lock()

    def begin(self, load: Load, now: int) -> None:
        """Counts a ceremony that starts. Raises Refusal, having counted nothing: `ceremony_limit` where too much is in
        flight, `ceremony_rate` where too much began within the window."""
        with self._lock:
            self._forget(now)
            for key in load.keys:
                self._require(key, load)
            for key in load.keys:
                use = self._uses.setdefault(key, _Use())
                use.inflight += load.signatures
                use.add(self._bucket(now), load.cost)
                self._warn(key, use, now)

    def require(self, load: Load, now: int) -> None:
        """Raises what `begin` would, and counts nothing."""
        with self._lock:
            self._forget(now)
            for key in load.keys:
                self._require(key, load)

    def end(self, load: Load) -> None:
        """It is no longer in flight, however it ended. What it used of the window stays used."""
        with self._lock:
            for key in load.keys:
                self._uses[key].inflight -= load.signatures
                self._rearm(key, self._uses[key])

    def status(self, order: bytes, now: int) -> dict[str, cbor.Value]:
        """Counters of one wallet and its requesters, as `status` shows them."""
        with self._lock:
            self._forget(now)
            rows: list[cbor.Value] = [
                [requester, use.inflight, use.spent]
                for (wallet, requester), use in sorted(self._uses.items(), key=lambda item: item[0][1] or b"")
                if wallet == order and requester is not None
            ]
            whole = self._uses.get((order, None), _Use())
            return {
                "inflight": whole.inflight,
                "spent": whole.spent,
                "seconds": self.bounds.seconds,
                "most": [self.bounds.wallet_inflight, self.bounds.wallet_window],
                "requesters": rows,
                "requester_most": [self.bounds.requester_inflight, self.bounds.requester_window],
                "refused": self._refused[order],
                "events": [each.value() for each in self._events.get(order, ())],
            }

    def _bucket(self, now: int) -> int:
        return now * BUCKETS // self.bounds.seconds

    def _forget(self, now: int) -> None:
        """What is older than the window: once for each of its parts, so that a ceremony does not pay for all keys."""
        oldest = self._bucket(now) - BUCKETS
        if oldest == self._forgot:
            return
        self._forgot = oldest
        for key, use in list(self._uses.items()):
            while use.buckets and use.buckets[0][0] < oldest:
                use.spent -= use.buckets.popleft()[1]
            self._rearm(key, use)
            if not use.buckets and not use.inflight:
                del self._uses[key]

    def _most(self, key: Key) -> Mapping[Bound, int]:
        own = self.bounds
        if key[1] is None:
            return {"inflight": own.wallet_inflight, "window": own.wallet_window}
        return {"inflight": own.requester_inflight, "window": own.requester_window}

    def _require(self, key: Key, load: Load) -> None:
        use, most = self._uses.get(key, _Use()), self._most(key)
        whose = "this wallet" if key[1] is None else "this requester"
        if use.inflight + load.signatures > most["inflight"]:
            self._refused[key[0]] += 1
            reason = f"{use.inflight} signatures of {whose} are in flight, of at most {most['inflight']}"
            raise Refusal("ceremony_limit", reason)
        if use.spent + load.cost > most["window"]:
            self._refused[key[0]] += 1
            reason = f"{use.spent} signatures of {whose} within {self.bounds.seconds} s, of at most {most['window']}"
            raise Refusal("ceremony_rate", reason)

    def _rearm(self, key: Key, use: _Use) -> None:
        if use.warned:
            most = self._most(key)
            use.warned = {bound for bound in use.warned if use.of(bound) >= REARM * most[bound]}

    def _warn(self, key: Key, use: _Use, now: int) -> None:
        for bound, most in self._most(key).items():
            if use.of(bound) >= WARN * most and bound not in use.warned:
                use.warned.add(bound)
                event = Event(now, key[1], bound, use.of(bound), most)
                self._events.setdefault(key[0], deque(maxlen=MAX_EVENTS)).append(event)
                _log.warning(
                    "order %s: %d of %d signatures %s by %s; further ones will be refused",
                    key[0].hex()[:16],
                    event.used,
                    most,
                    "are in flight" if bound == "inflight" else f"within {self.bounds.seconds} seconds are used up",
                    "all requesters" if key[1] is None else f"requester {key[1].hex()[:16]}",
                )
