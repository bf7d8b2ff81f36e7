"""What the host does for its clients: wallets and requests. The API only translates to and from it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from strongroom.chains.evm import Transaction
from strongroom.errors import Refusal
from strongroom.intent import judge as judging
from strongroom.intent.finishing import finish
from strongroom.intent.intent import Intent
from strongroom.intent.judge import Judged
from strongroom.intent.replacing import require_replacement, require_witnesses
from strongroom.policy.document import Policy
from strongroom.policy.shown import NOTHING, Shown
from strongroom.wallet.order import SignedOrder
from strongroom.wire import cbor
from strongroom_host import timing
from strongroom_host.broadcasting import Chains
from strongroom_host.directing import Directed, Directing
from strongroom_host.gathering import Asked, Gathered, Gathering
from strongroom_host.problems import Problem
from strongroom_host.relay.relay import Group, Relay
from strongroom_host.relay.signing import SigningFailed, Task, sign
from strongroom_host.relay.wallets import Disagreed, Maker
from strongroom_host.relays import Relays
from strongroom_host.releasing import Progress, Releasing
from strongroom_host.reserved import Known, Reserved
from strongroom_host.storage.requests import Request, Requests, now_ms
from strongroom_host.storage.states import State
from strongroom_host.storage.wallets import Wallet, Wallets
from strongroom_host.waiving import Waiving

ATTEST_TIMEOUT: Final = 10.0

_DONE: Final = frozenset({"signed", "broadcast", "included", "confirmed", "replaced"})

_NOT_REPLACED: Final[Mapping[State, str]] = {
    "received": "nothing of it was signed yet",
    "pending": "it waits for approvals, and nothing of it was signed: it ends when its intent expires",
    "judged": "nothing of it was signed yet",
    "included": "its transaction is in a block",
    "confirmed": "its transaction is in a block for good",
    "replaced": "another transaction of its nonce is in a block",
}
"""Why a request in this state is not replaced. A failed or refused one may be: journals may have reserved it."""


@dataclass(frozen=True)
class Submission:
    """preferred: the set of signers to try first; None for the host's choice. idempotency: the hash of the key sent.

    shown: proofs that the requester sent along, and where the request came from.
    """

    intent: bytes
    signature: bytes
    idempotency: str | None = None
    preferred: tuple[str, ...] | None = None
    shown: Shown = NOTHING


class Custody:
    """Thread safe; one for each process. Raises Problem, or Refusal where there is nothing to add to one.

    worker: what marks the requests that this process works on; its id. arriving, new: see `Relays`.
    """

    def __init__(
        self,
        relay: Relay,
        wallets: Wallets,
        requests: Requests,
        chains: Chains,
        gathering: Gathering,
        worker: int | None = None,
        *,
        arriving: Relay | None = None,
        new: frozenset[str] = frozenset(),
    ) -> None:
        self.relay = relay
        self.relays = Relays(relay, wallets.directives, arriving, new)
        self.wallets = wallets
        self.requests = requests
        self.chains = chains
        self.gathering = gathering
        self.maker = Maker(relay, wallets)
        self.directing = Directing(self.relays, wallets.directives)
        self.releasing = Releasing(self.relays, wallets, self.directing)
        self.waiving = Waiving(self.relays, wallets.waivers)
        self._worker = os.getpid() if worker is None else worker
        self._guard = threading.Lock()
        self._busy: dict[str, tuple[threading.Lock, int]] = {}

    def create(self, order: SignedOrder, idempotency: str | None = None) -> Wallet:
        """The certified wallet of this order."""
        with self._alone(order.order_id.hex()):
            try:
                return self.maker.create(order, idempotency)
            except Disagreed as disagreed:
                raise Problem(disagreed, refusals=disagreed.refusals) from disagreed

    def attestations(self, wallet: Wallet, nonce: bytes) -> dict[str, Any]:
        """Asked of every signer of the roster; a restarted one is given its share first."""
        group = self.group(wallet)
        question: dict[str, cbor.Value] = {"wallet": wallet.body.wallet, "nonce": nonce}
        questions = [(name, "wallet.attest", question) for name in group.names]
        relay = self.relays.of(group.order)
        answers = relay.signers.ask(questions, ATTEST_TIMEOUT)
        for index, (name, answer) in enumerate(zip(group.names, answers, strict=True)):
            if isinstance(answer, Refusal) and answer.code == "unknown_wallet":
                try:
                    relay.load(group, name)
                    answers[index] = relay.signers.ask([questions[index]], ATTEST_TIMEOUT)[0]
                except Refusal as refusal:
                    answers[index] = refusal
        given, refusals = [], []
        for name, answer in zip(group.names, answers, strict=True):
            if isinstance(answer, Refusal):
                refusals.append({"signer": name, "code": answer.code, "detail": answer.reason})
            else:
                document, root = answer.blob("document"), answer.text("root")
                given.append({"signer": name, "document": document.hex(), "root": root})
        return {"attestations": given, "refusals": refusals}

    def group(self, wallet: Wallet) -> Group:
        """Whoever holds this wallet, to be asked."""
        group = self.maker.group(wallet.signed_order, wallet.body.wallet, wallet.body_bytes)
        return replace(group, waived=self.waiving.waived(group.order)) if group.journals else group

    def release(self, wallet: Wallet) -> Progress:
        """Goes on with the wallet's next release."""
        group = self.group(wallet)
        with self._alone(group.order.hex()):
            return self.releasing.proceed(wallet, group)

    def submit(self, submission: Submission) -> tuple[Request, bool]:
        """The request after it was signed, and broadcast where its chain is known; whether it is new."""
        timing.lap("read")
        intent = Intent.decode(submission.intent)
        with self._alone(intent.request.hex()):
            try:
                return self._sign_new(intent, submission), True
            except Known:
                return self._again(intent.request.hex(), submission), False

    def retry(self, request: str) -> Request:
        """The very same bytes once more, as far as they have not come yet."""
        with self._alone(request):
            known = self.chains.refresh(self.requests.get(request))
            if known.state == "broadcast":
                return self.chains.again(known)
            return self._again(request, Submission(known.intent, known.intent_signature))

    def look(self, request: str) -> Request:
        """A request as it is now: its chain is asked, and what waited for too long has expired."""
        known = self.chains.refresh(self.requests.get(request))
        if _overdue(known):
            with suppress(Refusal, Problem):
                return self.retry(request)
            return self.requests.get(request)
        return known

    def listed(self, wallet: str | None) -> list[Request]:
        """The newest first; no chain is asked."""
        return [self.look(each.request) if _overdue(each) else each for each in self.requests.all(wallet)]

    def approve(self, request: str, raw: bytes) -> Request:
        """Takes an approval or a rejection; the one that was missing has the request signed.

        Raises Refusal `request_conflict` where the request waits for none, `unknown_approver`, `approval_invalid`. How
        the signing ends is in the request that is given: the approval was taken whatever became of it.
        """
        with self._alone(request):
            known = self.requests.get(request)
            if known.state != "pending":
                raise Refusal("request_conflict", f"the request is {known.state}, and waits for no approval")
            asked = self._asked(known)
            self.gathering.add(asked, raw)
            with suppress(Refusal, Problem):
                return self._again(request, Submission(known.intent, known.intent_signature))
            return self.requests.get(request)

    def resume(self) -> int:
        """After a start: what has every approval that it waited for is signed. Gives how many were begun."""
        ready = [each for each in self.requests.pending() if not _overdue(each) and not self.missing(each)]
        for each in ready:
            with suppress(Refusal, Problem):
                self.retry(each.request)
        return len(ready)

    def missing(self, known: Request) -> tuple[str, ...]:
        """What a pending request waits for; nothing in every other state."""
        if known.state != "pending":
            return ()
        try:
            return self.gathering.missing(self._asked(known))
        except Refusal as refusal:
            return (refusal.reason,)

    def _asked(self, known: Request) -> Asked:
        """Raises Refusal where it is judged otherwise by now."""
        wallet, intent = self.wallets.get(known.wallet), Intent.decode(known.intent)
        directed, shown = self.directing.of(wallet), self.wallets.shown.of(known.request)
        demands = _judge(wallet, directed, intent, known.intent_signature, shown).demands
        return Asked(intent, known.intent, known.intent_signature, directed.policy(intent.policy), demands)

    def _sign_new(self, intent: Intent, submission: Submission) -> Request:
        wallet = self.wallets.get(intent.wallet.hex())
        reserved = Reserved(self.requests, _fresh(intent, submission), self._worker, recorded=False)
        return self._sign(wallet, intent, submission, reserved)

    def _again(self, request: str, submission: Submission) -> Request:
        known = self.requests.get(request)
        if known.intent != submission.intent:
            raise Refusal("request_conflict", "this request id was used for another intent")
        if known.worker == self._worker:
            # Whoever calls this has the request to itself in this process: a thread of ours died over it.
            self.requests.recover(request=request)
            known = self.requests.get(request)
        if known.worker is not None:
            return known
        if known.state in _DONE:
            return self.chains.broadcast(known) if known.state == "signed" else known
        if known.state == "expired":
            raise Problem(Refusal("intent_expired", "the intent expired before it was signed"), request=request)
        intent = Intent.decode(known.intent)
        submission = replace(submission, signature=known.intent_signature)
        reserved = Reserved(self.requests, known, self._worker, recorded=True)
        return self._sign(self.wallets.get(known.wallet), intent, submission, reserved)

    def _sign(self, wallet: Wallet, intent: Intent, submission: Submission, reserved: Reserved) -> Request:
        directed = self.directing.of(wallet)
        try:
            policy = directed.policy(intent.policy)
            timing.lap("look")
            shown = self._shown(policy, intent, submission, recorded=reserved.recorded)
            judged = _judge(wallet, directed, intent, submission.signature, shown)
            timing.lap("judge")
            self._require_replacement(wallet, intent)
            task = replace(self._task(wallet, intent, submission, judged), shown=shown)
            if shown != NOTHING and not reserved.recorded:
                self.wallets.shown.keep(intent.request.hex(), shown)
            if judged.demands:
                asked = Asked(intent, submission.intent, submission.signature, policy, judged.demands)
                gathered = self._gather(asked, reserved)
                if gathered.missing:
                    return reserved.request
                task = replace(task, approvals=gathered.raw)
        except Refusal as refusal:
            if not reserved.recorded and self.requests.find(reserved.request.request) is not None:
                raise Known from None
            if not _authentic(directed, intent, submission):
                raise  # Whoever is no requester of this wallet leaves no trace, and takes no request id.
            problem = Problem(refusal, request=reserved.request.request)
            raise reserved.failed(problem, last_left=False) from refusal
        try:
            signed = sign(self.relays.of(task.group.order), task, reserved)
        except SigningFailed as failed:
            problem = Problem(failed.cause, request=reserved.request.request, refusals=failed.refusals)
            raise reserved.failed(problem, last_left=failed.last_left) from failed
        except (Known, Refusal):
            raise
        except Exception:
            problem = Problem(Refusal("internal", "the host failed; its log says why"))
            reserved.failed(problem, last_left=reserved.request.state == "unknown")
            raise
        timing.lap("combine")
        finished = finish(intent, wallet.body.keys, signed.signatures)
        reserved.signed(signed, finished, durable=self.chains.broadcasts(reserved.request))
        timing.lap("record")
        return self.chains.broadcast(reserved.request)

    def _shown(self, policy: Policy, intent: Intent, submission: Submission, *, recorded: bool) -> Shown:
        """As it was when the request came first; a source only where the policy asks for one."""
        if recorded:
            return self.wallets.shown.of(intent.request.hex())
        if any(rule.source is not None for rule in policy.rules):
            return submission.shown
        return Shown(submission.shown.proofs)

    def _require_replacement(self, wallet: Wallet, intent: Intent) -> None:
        """To fail early, like the judgement: what it replaces may be unknown here, and is not to the journals."""
        if intent.replaces is None:
            return
        order = wallet.signed_order.order
        require_witnesses(order)
        known = self.requests.find(intent.replaces.hex())
        if known is None:
            return
        require_replacement(intent, Intent.decode(known.intent), order, wallet.body.keys)
        known = self.chains.refresh(known)
        if known.state in _NOT_REPLACED:
            why = _NOT_REPLACED[known.state]
            raise Refusal("request_conflict", f"request {known.request} is {known.state}: {why}")

    def _gather(self, asked: Asked, reserved: Reserved) -> Gathered:
        """Recorded as pending first, so that an approval has a request to belong to."""
        if not (reserved.recorded and reserved.request.state == "pending"):
            reserved.wait(self.gathering.missing(asked))
        return self.gathering.gather(asked)

    def _task(self, wallet: Wallet, intent: Intent, submission: Submission, judged: Judged) -> Task:
        order, body = wallet.signed_order.order, wallet.body
        preferred = None if submission.preferred is None else order.sorted_set(submission.preferred)
        return Task(
            group=self.group(wallet),
            scheme=order.scheme,
            threshold=order.threshold,
            package=body.package,
            intent=submission.intent,
            intent_id=intent.intent_id,
            intent_signature=submission.signature,
            to_sign=judged.to_sign,
            preferred=preferred,
            replaces=intent.replaces is not None,
        )

    @contextmanager
    def _alone(self, request: str) -> Iterator[None]:
        """One thread of this process at a time for each request; the database sees to other processes."""
        with self._guard:
            lock, users = self._busy.get(request, (threading.Lock(), 0))
            self._busy[request] = (lock, users + 1)
        try:
            with lock:
                yield
        finally:
            with self._guard:
                lock, users = self._busy[request]
                if users == 1:
                    del self._busy[request]
                else:
                    self._busy[request] = (lock, users - 1)


def _judge(wallet: Wallet, directed: Directed, intent: Intent, signature: bytes, shown: Shown) -> Judged:
    """The signers' own judgement, to fail early; each of them judges again, and counts the approvals."""
    policy = directed.policy(intent.policy)
    known = judging.Wallet(wallet.body.wallet, wallet.signed_order.order, wallet.body.keys)
    return judging.judge(intent, signature, known, policy, directed.circumstances(policy, shown), None)


def _authentic(directed: Directed, intent: Intent, submission: Submission) -> bool:
    try:
        intent.verify(submission.signature)
    except Refusal:
        return False
    return any(intent.requester in policy.requesters for policy in directed.policies)


def _overdue(known: Request) -> bool:
    return known.state == "pending" and Intent.decode(known.intent).expiry <= time.time()


def _fresh(intent: Intent, submission: Submission) -> Request:
    slot, chain_id, nonce = None, None, None
    if intent.kind == "evm-transaction":
        transaction = Transaction.decode(intent.payload)
        chain_id, nonce = transaction.chain_id, transaction.nonce
        # Each derived key is an account of its own, with nonces of its own.
        account = "/".join((intent.wallet.hex(), *map(str, intent.path)))
        slot = f"{account}:{chain_id}:{nonce}"
    return Request(
        request=intent.request.hex(),
        wallet=intent.wallet.hex(),
        kind=intent.kind,
        state="received",
        intent=submission.intent,
        intent_signature=submission.signature,
        slot=slot,
        chain_id=chain_id,
        nonce=nonce,
        replaces=None if intent.replaces is None else intent.replaces.hex(),
        idempotency=submission.idempotency,
        at=now_ms(),
    )
