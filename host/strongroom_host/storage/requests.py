"""Requests as the host keeps them: one row each, moved only along `states.ALLOWED`, and a history that only grows."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa

from strongroom.errors import Refusal
from strongroom.wire import cbor
from strongroom.wire.fields import bytes_item
from strongroom_host.problems import Problem, members
from strongroom_host.storage.database import Database, Prepared
from strongroom_host.storage.states import ABANDONED, MAY_BE_SIGNED, State, require, state
from strongroom_host.storage.tables import REQUESTS, TRANSITIONS

Json = dict[str, Any]


Entry = tuple[State, int, str | None]
"""State, since when (milliseconds), and why, where there is more to say."""


@dataclass(frozen=True)
class Request:
    """at: milliseconds of the last change. error: a problem's members, or None. slot: wallet, chain and nonce, of which
    only one transaction can be mined; None where it has none. replaces: the request whose place it takes, or None.
    worker: the process that works on it, or None. raw: the finished thing; hash: what its chain calls a transaction
    (`strongroom.intent.finishing`)."""

    request: str
    wallet: str
    kind: str
    state: State
    intent: bytes
    intent_signature: bytes
    slot: str | None = None
    replaces: str | None = None
    chain_id: int | None = None
    nonce: int | None = None
    idempotency: str | None = None
    attempt: int = 0
    signers: tuple[str, ...] = ()
    worker: int | None = None
    signatures: tuple[bytes, ...] = ()
    raw: bytes | None = None
    hash: str | None = None
    block: int | None = None
    block_hash: str | None = None
    confirmations: int = 0
    status: str | None = None
    error: Json | None = None
    at: int = 0
    history: tuple[Entry, ...] = field(default=(), compare=False)

    @property
    def waited(self) -> bool:
        """Whether it was ever pending, so that there may be approvals of it."""
        return any(state == "pending" for state, _, _ in self.history)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Requests:
    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve(self, request: Request) -> bool:
        """Records a new request and its history, durably. False when its id is known: nothing was changed then.

        Raises Refusal `outcome_unknown` when another request with this nonce is being signed or may be, and this one
        does not say that it replaces it, and `idempotency_conflict` when its key was used for another request.
        """
        row = _row(request)
        entries = [_transition(request.request, *entry) for entry in request.history]

        def insert(connection: sa.Connection) -> bool:
            if not _free(connection, request):
                return False
            _INSERT(connection, [row])
            _REMEMBER(connection, entries)
            return True

        return self._database.write(insert)

    def move(
        self,
        request: Request,
        to: State | None,
        *,
        via: Sequence[State] = (),
        reason: str | None = None,
        free: bool = False,
        durable: bool = True,
        changed: Mapping[str, Any] = MappingProxyType({}),
    ) -> Request:
        """Changes a row that is still in its state; free: and that nobody works on. to: None where the state stays.
        via: states passed on the way. durable: see Database.write.

        Raises Refusal `request_conflict` when somebody else moved it, and `outcome_unknown` as `reserve` does where it
        begins to be signed.
        """
        path = [*via, *([] if to is None else [to])]
        for one, other in zip([request.state, *path], path, strict=False):
            require(one, other)
        at = now_ms()
        entries = [(each, at, reason if each == to else None) for each in path]
        after = replace(request, state=to or request.state, at=at, history=(*request.history, *entries), **changed)
        statement = _update(("state", "at", *changed), free=free)
        values = {name: _column(getattr(after, name)) for name in ("state", "at", *changed)}
        values |= {"its_request": request.request, "its_state": request.state}
        rows = [_transition(request.request, *entry) for entry in entries]
        begins = request.state not in _HOLDING and after.state in _HOLDING

        def update(connection: sa.Connection) -> None:
            if begins:
                _require_free(request, _clashes(connection, request))
            if statement(connection, [values]).rowcount != 1:
                raise Refusal("request_conflict", "another worker is busy with this request; look again in a moment")
            if rows:
                _REMEMBER(connection, rows)

        self._database.write(update, durable=durable)
        return after

    def release(self, request: str, error: Json | None = None) -> None:
        """Nobody works on it any more; its state stays."""
        changed = {"worker": None, **({} if error is None else {"error": _column(error)})}
        update = REQUESTS.update().where(REQUESTS.c.request == request).values(changed)
        self._database.write(lambda connection: connection.execute(update))

    def get(self, request: str) -> Request:
        """Raises Refusal `not_found`."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(REQUESTS).where(REQUESTS.c.request == request)).one_or_none()
            if row is None:
                raise Refusal("not_found", f"this host knows no request {request[:32]}")
            return _request(row, _history(connection, [request]))

    def find(self, request: str) -> Request | None:
        try:
            return self.get(request)
        except Refusal:
            return None

    def of_idempotency(self, key: str) -> str | None:
        """The id of the request that was sent with this key (its hash)."""
        chosen = sa.select(REQUESTS.c.request).where(REQUESTS.c.idempotency == key)
        with self._database.read() as connection:
            return connection.execute(chosen).scalar_one_or_none()

    def all(self, wallet: str | None, most: int = 100) -> list[Request]:
        """The newest first."""
        chosen = sa.select(REQUESTS).order_by(REQUESTS.c.at.desc(), REQUESTS.c.request).limit(most)
        if wallet is not None:
            chosen = chosen.where(REQUESTS.c.wallet == wallet)
        with self._database.read() as connection:
            rows = connection.execute(chosen).all()
            history = _history(connection, [row.request for row in rows])
        return [_request(row, history) for row in rows]

    def pending(self, most: int = 1000) -> list[Request]:
        """Those that wait for approvals, the newest first; without their histories."""
        waiting = sa.select(REQUESTS).where(REQUESTS.c.state == "pending")
        chosen = waiting.order_by(REQUESTS.c.at.desc(), REQUESTS.c.request).limit(most)
        with self._database.read() as connection:
            return [_request(row, {}) for row in connection.execute(chosen).all()]

    def rivals(self, request: Request) -> list[Request]:
        """Others of its nonce of which there is a finished transaction; without their histories."""
        chosen = sa.select(REQUESTS).where(
            REQUESTS.c.slot == request.slot, REQUESTS.c.request != request.request, REQUESTS.c.hash.is_not(None)
        )
        with self._database.read() as connection:
            return [_request(row, {}) for row in connection.execute(chosen).all()]

    def replacing(self, request: str) -> list[str]:
        """The requests that say that they take its place."""
        chosen = sa.select(REQUESTS.c.request).where(REQUESTS.c.replaces == request).order_by(REQUESTS.c.at)
        with self._database.read() as connection:
            return list(connection.execute(chosen).scalars())

    def next_nonce(self, wallet: str, chain_id: int) -> int:
        """One more than the highest nonce of a transaction that may still be mined; 0 when there is none."""
        chosen = sa.select(REQUESTS.c.nonce).where(
            REQUESTS.c.wallet == wallet,
            REQUESTS.c.slot.startswith(f"{wallet}:{chain_id}:"),
            REQUESTS.c.state.in_([*MAY_BE_SIGNED, "signing"]),
        )
        with self._database.read() as connection:
            return max((int(nonce) + 1 for nonce in connection.execute(chosen).scalars() if nonce), default=0)

    def recover(self, worker: int | None = None, request: str | None = None) -> int:
        """Nothing is half done after the death of this worker, or of whoever worked on this request, or, with neither
        given, of all: at start, when none lives. Gives how many requests were left."""
        where = REQUESTS.c.worker.is_not(None) if worker is None else REQUESTS.c.worker == worker
        if request is not None:
            where = sa.and_(where, REQUESTS.c.request == request)
        return self._database.write(lambda connection: _recover(connection, where))


def _recover(connection: sa.Connection, where: sa.ColumnElement[bool]) -> int:
    reason = "the host stopped before the last round was sent: nothing was signed"
    left = connection.execute(sa.select(REQUESTS.c.request, REQUESTS.c.state).where(where)).all()
    for row in left:
        changed: Json = {"worker": None}
        after = ABANDONED.get(state(row.state))
        if after is not None:
            at, problem = now_ms(), members(Problem(Refusal("aborted", reason), request=row.request))
            changed |= {"state": after, "at": at, "error": json.dumps(problem)}
            connection.execute(TRANSITIONS.insert(), _transition(row.request, after, at, reason))
        connection.execute(REQUESTS.update().where(REQUESTS.c.request == row.request).values(changed))
    return len(left)


_COLUMNS: Final = (
    "request",
    "wallet",
    "kind",
    "state",
    "intent",
    "intent_signature",
    "idempotency",
    "slot",
    "replaces",
    "chain_id",
    "nonce",
    "attempt",
    "signers",
    "worker",
    "error",
    "at",
)
_INSERT: Final = Prepared(REQUESTS.insert().values({name: sa.bindparam(name) for name in (*_COLUMNS, "confirmations")}))
_REMEMBER: Final = Prepared(
    TRANSITIONS.insert().values({name: sa.bindparam(name) for name in ("request", "state", "at", "reason")})
)
_HOLDING: Final = frozenset({"signing", "unknown"})
"""Nothing is known yet of what becomes of its nonce."""

_CLASHES: Final = Prepared(
    sa.select(REQUESTS.c.request, REQUESTS.c.idempotency, REQUESTS.c.replaces, REQUESTS.c.state).where(
        sa.or_(
            REQUESTS.c.request == sa.bindparam("its_request"),
            REQUESTS.c.idempotency == sa.bindparam("its_idempotency"),
            REQUESTS.c.slot == sa.bindparam("its_slot"),
        )
    )
)


@cache
def _update(columns: tuple[str, ...], *, free: bool) -> Prepared:
    """free: only a row that nobody works on."""
    where = [REQUESTS.c.request == sa.bindparam("its_request"), REQUESTS.c.state == sa.bindparam("its_state")]
    if free:
        where.append(REQUESTS.c.worker.is_(None))
    values: dict[str, sa.BindParameter[Any]] = {name: sa.bindparam(name) for name in columns}
    return Prepared(REQUESTS.update().where(*where).values(values))


def _free(connection: sa.Connection, request: Request) -> bool:
    """False when the request is known. Raises Refusal when its key, or its nonce, is another's."""
    found = _clashes(connection, request)
    if any(row.request == request.request for row in found):
        return False
    if any(row.idempotency == request.idempotency for row in found if request.idempotency is not None):
        raise Refusal("idempotency_conflict", "this Idempotency-Key was sent with another request")
    _require_free(request, found)
    return True


def _clashes(connection: sa.Connection, request: Request) -> Sequence[sa.Row[tuple[Any, ...]]]:
    """Rows with its id, its key, or its nonce."""
    names = {"its_request": request.request, "its_idempotency": request.idempotency, "its_slot": request.slot}
    return _CLASHES(connection, [names]).all()


def _require_free(request: Request, found: Sequence[sa.Row[tuple[Any, ...]]]) -> None:
    """Whoever holds its nonce is the one that it replaces, or was replaced by that one in turn."""
    others = {row.request: row for row in found if row.request != request.request}
    name = request.replaces
    while name is not None:
        replaced = others.pop(name, None)
        name = None if replaced is None else replaced.replaces
    for row in others.values():
        if row.state in _HOLDING:
            reason = f"request {row.request} has the same nonce and may be signed already: retry or replace that one"
            raise Refusal("outcome_unknown", reason)


def _row(request: Request) -> Json:
    row = {name: _column(getattr(request, name)) for name in _COLUMNS}
    for name in ("chain_id", "nonce"):
        row[name] = None if row[name] is None else str(row[name])
    return {**row, "confirmations": 0}


def _column(value: Any) -> Any:
    """Errors are kept as JSON, sets of signers as a list of names, signatures as one of CBOR."""
    if isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, tuple) and value and isinstance(value[0], bytes):
        return cbor.encode(list(value))
    return ",".join(value) if isinstance(value, tuple) else value


def _signatures(kept: bytes) -> tuple[bytes, ...]:
    rows = cbor.decode(kept)
    if not isinstance(rows, list):
        raise ValueError("signatures that none of our programs wrote")
    return tuple(map(bytes_item, rows))


def _transition(request: str, to: State, at: int, reason: str | None) -> Json:
    return {"request": request, "state": to, "at": at, "reason": reason}


def _history(connection: sa.Connection, requests: Iterable[str]) -> dict[str, list[Entry]]:
    history: dict[str, list[Entry]] = {}
    chosen = sa.select(TRANSITIONS).where(TRANSITIONS.c.request.in_(list(requests))).order_by(TRANSITIONS.c.id)
    for row in connection.execute(chosen):
        history.setdefault(row.request, []).append((state(row.state), row.at, row.reason))
    return history


def _request(row: sa.Row[tuple[Any, ...]], history: dict[str, list[Entry]]) -> Request:
    return Request(
        request=row.request,
        wallet=row.wallet,
        kind=row.kind,
        state=state(row.state),
        intent=row.intent,
        intent_signature=row.intent_signature,
        slot=row.slot,
        replaces=row.replaces,
        chain_id=None if row.chain_id is None else int(row.chain_id),
        nonce=None if row.nonce is None else int(row.nonce),
        idempotency=row.idempotency,
        attempt=row.attempt,
        signers=tuple(name for name in row.signers.split(",") if name),
        worker=row.worker,
        signatures=() if row.signatures is None else _signatures(row.signatures),
        raw=row.raw,
        hash=row.hash,
        block=row.block,
        block_hash=row.block_hash,
        confirmations=row.confirmations,
        status=row.status,
        error=None if row.error is None else json.loads(row.error),
        at=row.at,
        history=tuple(history.get(row.request, ())),
    )
