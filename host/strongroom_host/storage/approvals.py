"""Approvals as the host keeps them: one for each approver and decision on a request, as its bytes came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from strongroom.approval import MAX_APPROVALS, Approval
from strongroom.errors import Refusal
from strongroom_host.storage.database import Database
from strongroom_host.storage.requests import now_ms
from strongroom_host.storage.tables import APPROVALS


@dataclass(frozen=True)
class Kept:
    """at: milliseconds of its arrival."""

    approval: Approval
    raw: bytes
    at: int


class Approvals:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, request: str, raw: bytes) -> None:
        """Durably. A second one of the same approver for the same decision changes nothing: the first one stays.

        raw: verified by the caller. Raises Refusal `request_conflict` when the request has as many as signers take.
        """
        approval = Approval.decode(raw)
        row = {"request": request, "approver": approval.approver, "decision": approval.decision}
        known = sa.select(APPROVALS.c.approver, APPROVALS.c.decision).where(APPROVALS.c.request == request)

        def insert(connection: sa.Connection) -> None:
            there = {tuple(each) for each in connection.execute(known)}
            if (approval.approver, approval.decision) in there:
                return
            if len(there) >= MAX_APPROVALS:
                raise Refusal("request_conflict", f"a request has at most {MAX_APPROVALS} approvals")
            connection.execute(APPROVALS.insert(), {**row, "approval": raw, "at": now_ms()})

        self._database.write(insert)

    def of(self, request: str) -> list[Kept]:
        """In the order of their arrival."""
        chosen = sa.select(APPROVALS).where(APPROVALS.c.request == request)
        chosen = chosen.order_by(APPROVALS.c.at, APPROVALS.c.approver, APPROVALS.c.decision)
        with self._database.read() as connection:
            return [_kept(row) for row in connection.execute(chosen)]


def _kept(row: sa.Row[tuple[Any, ...]]) -> Kept:
    return Kept(Approval.decode(row.approval), row.approval, row.at)
