"""RFC 9457 problems out of the library's refusals: one table from the kind of a code to an HTTP status."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from strongroom.errors import CODES, Kind, Refusal

STATUS: Final[Mapping[Kind, int]] = {
    "malformed": 400,
    "refused": 403,
    "missing": 404,
    "conflict": 409,
    "fault": 502,
    "busy": 503,
    "unavailable": 503,
    "internal": 500,
}
STATUS_OF_CODE: Final[Mapping[str, int]] = {
    "unauthorized": 401,
    "oversized_message": 413,
    "idempotency_conflict": 422,
}
MEDIA_TYPE: Final = "application/problem+json"


class Problem(Exception):
    """A refusal with what only the host knows: the request it concerns, and each signer's own refusal."""

    def __init__(
        self, cause: Refusal, *, request: str | None = None, refusals: Mapping[str, Refusal] = MappingProxyType({})
    ) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.request = request
        self.refusals = refusals


def status(code: str) -> int:
    return STATUS_OF_CODE.get(code, STATUS[CODES[code].kind])


def members(problem: Problem) -> dict[str, Any]:
    """The problem's JSON. `title` is the code in words, `detail` why, `remedy` what to do."""
    cause = problem.cause
    answer: dict[str, Any] = {
        "type": f"urn:strongroom:error:{cause.code}",
        "title": cause.code.replace("_", " ").capitalize(),
        "status": status(cause.code),
        "detail": cause.reason,
        "code": cause.code,
        "remedy": cause.remedy,
        "retryable": cause.retryable,
        "culprits": list(cause.culprits),
        "verdict": cause.verdict,
    }
    if cause.proof is not None:
        answer["proof"] = cause.proof.hex()
    if problem.request is not None:
        answer["request"] = problem.request
    if problem.refusals:
        answer["refusals"] = [
            {
                "signer": name,
                "code": refusal.code,
                "detail": refusal.reason,
                "culprits": list(refusal.culprits),
                "verdict": refusal.verdict,
            }
            for name, refusal in problem.refusals.items()
        ]
    return answer
