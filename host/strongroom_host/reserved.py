"""A request's row while its ceremonies run: reserved in time, and left in the state that is true of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from strongroom.errors import Refusal
from strongroom.intent.finishing import Finished
from strongroom_host.problems import Problem, members
from strongroom_host.relay.signing import Signed
from strongroom_host.storage.requests import Request, Requests, now_ms
from strongroom_host.storage.states import State


class Known(Exception):
    """The request's id is in the database already."""


class Reserved:
    """The request's row while its ceremonies run: reserved during the first trip, `unknown` before the last one.

    request: the row as it is now. recorded: whether there is one. worker: the process that works on it.
    """

    def __init__(self, requests: Requests, request: Request, worker: int, *, recorded: bool) -> None:
        self._requests = requests
        self._worker = worker
        self._was_unknown = recorded and request.state == "unknown"
        self._claimed = False
        self.request = request
        self.recorded = recorded

    def begin(self, attempt: int, signers: tuple[str, ...], *, last: bool) -> None:
        self.request = replace(self.request, attempt=self.request.attempt + 1, signers=signers)
        if self._claimed:
            # Another set after a failure: the reservation stands since the first one.
            if last:
                self.before_last()
            return
        if self._was_unknown:
            self._change(None, free=True, worker=self._worker, error=None)
        elif self.recorded:
            via: list[State] = ["judged", "signing"] if last else ["judged"]
            self._change("unknown" if last else "signing", via=via, free=True, worker=self._worker, error=None)
        else:
            self._reserve(["judged", "signing", "unknown"] if last else ["judged", "signing"])
        self._claimed = True

    def wait(self, missing: Sequence[str]) -> None:
        """`pending`, durably, before anybody is asked to approve. missing: what it waits for."""
        if not self.recorded:
            self._reserve(["pending"], reason="; ".join(missing))
        elif self.request.state in ("refused", "failed"):
            self._change("pending", reason="; ".join(missing), free=True, error=None)

    def before_last(self) -> None:
        if self.request.state == "signing":
            self._change("unknown")

    def signed(self, signed: Signed, finished: Finished, *, durable: bool) -> None:
        """durable: before the transaction is broadcast. A result that is only handed out may be forgotten in a loss of
        power: the request is `unknown` then, and the same bytes are signed again."""
        self._change(
            "signed",
            durable=durable,
            worker=None,
            error=None,
            signatures=signed.signatures,
            signers=signed.signers,
            attempt=self.request.attempt,
            raw=finished.raw,
            hash=finished.name,
        )

    def failed(self, problem: Problem, *, last_left: bool) -> Problem:
        """Records how it ended. Once a last request left, in this run or an earlier one, the outcome is unknown."""
        cause = problem.cause
        if last_left or self._was_unknown:
            reason = f"a signature may exist, but could not be completed: {cause.reason}"
            unknown = Refusal("outcome_unknown", reason, culprits=cause.culprits)
            problem = Problem(unknown, request=problem.request, refusals=problem.refusals)
            if self._claimed:
                self._requests.release(self.request.request, members(problem))
            return problem
        to: State = "failed"
        if cause.code == "intent_expired":
            to = "expired"
        elif cause.kind in ("refused", "malformed", "conflict"):
            to = "refused"
        self.request = replace(self.request, error=members(problem))
        if not self.recorded:
            self._reserve([to])
        elif self._claimed or self.request.state == "pending":
            self._change(to, reason=cause.reason, worker=None, error=self.request.error, attempt=self.request.attempt)
        return problem

    def _reserve(self, path: Sequence[State], reason: str | None = None) -> None:
        """Raises Known when the id is taken."""
        worker = self._worker if path[-1] in ("signing", "unknown") else None
        at = now_ms()
        history = (("received", self.request.at, None), *((state, at, reason) for state in path))
        fresh = replace(self.request, state=path[-1], worker=worker, at=at, history=history)
        if not self._requests.reserve(fresh):
            raise Known
        self.request, self.recorded = fresh, True

    def _change(
        self,
        to: State | None,
        *,
        via: Sequence[State] = (),
        reason: str | None = None,
        free: bool = False,
        durable: bool = True,
        **changed: Any,
    ) -> None:
        self.request = self._requests.move(
            self.request, to, via=via, reason=reason, free=free, durable=durable, changed=changed
        )
