"""Requests that a host recorded, read again to be judged by another policy. What they would do is decoded here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from strongroom.errors import CODES, Refusal
from strongroom.intent.decoding import decode
from strongroom.intent.intent import Intent
from strongroom.policy.replay import Past, Replayed
from strongroom.wallet.certificate import Body
from strongroom_client.api import Json, unhex

_SIGNED = frozenset({"signed", "broadcast", "included", "confirmed", "unknown", "replaced"})


def past(requests: Iterable[Json], body: Body) -> tuple[list[Past], list[str]]:
    """What can be replayed, and a sentence for each that cannot. requests: as the host lists them."""
    found: list[Past] = []
    left: list[str] = []
    for row in requests:
        name = str(row.get("request"))
        try:
            intent = Intent.decode(unhex(row, "intent"))
            if intent.wallet != body.wallet:
                raise Refusal("intent_mismatch", "it is of another wallet")
            effects = decode(intent, body.keys).effects
        except Refusal as refusal:
            left.append(f"{name}: {refusal.reason}")
            continue
        asked = Past(intent.request, _at(row), intent.requester, effects, _refused(row), intent.replaces, intent.path)
        found.append(asked)
    return found, left


def _at(row: Json) -> int:
    """Seconds at which the host first heard of it: its history is in milliseconds."""
    history = row.get("history")
    at = history[0].get("at") if isinstance(history, list) and history and isinstance(history[0], dict) else None
    if not isinstance(at, int):
        raise Refusal("bad_file", "a request has no history that says when it came")
    return at // 1000


def _refused(row: Json) -> str | None:
    error = row.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    if row.get("state") in _SIGNED:
        return None
    return code if isinstance(code, str) and code in CODES else "aborted"


def document(replayed: Iterable[Replayed]) -> list[dict[str, Any]]:
    """For JSON."""
    return [
        {
            "request": each.past.request.hex(),
            "at": each.past.at,
            "was": each.past.refused or "signed",
            "would_be": "allowed" if each.refusal is None else each.refusal.code,
            "differs": each.differs,
            "reason": None if each.refusal is None else each.refusal.reason,
            "rules": [] if each.decision is None else list(each.decision.rules),
            "approvals": [] if each.decision is None else [str(demand) for demand in each.decision.demands],
        }
        for each in replayed
    ]
