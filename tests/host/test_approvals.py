"""Requests that wait for approvals: collected, counted, signed by whoever brings the last one, and never by a machine's
silence."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from flask.testing import FlaskClient

from strongroom.approval import Approval, Decision, Demand
from strongroom.intent.intent import Intent
from strongroom.policy.terms import Tier
from strongroom_host.api import schemas
from strongroom_host.custody import Custody, Submission
from strongroom_host.problems import Problem
from strongroom_host.screening import Service
from strongroom_host.storage.requests import Request
from strongroom_host.storage.wallets import Wallet
from tests.approval.keys import Held, held
from tests.host.conftest import Host
from tests.host.test_api import problem
from tests.host.test_directives import directive, next_policy
from tests.host.world import World, cut, when
from tests.wire.refused import refused

ALICE, BOB = held("alice"), held("bob", algorithm="p256", passkey=True)
ROBOT = held("robot", ["screening"], kind="machine")
TWO = Demand((("treasury", 2),))
SCREENED = Demand((("screening", 1),))


@pytest.fixture
def demands() -> tuple[Demand, ...]:
    return (TWO,)


@pytest.fixture
def world(world: World, demands: tuple[Demand, ...]) -> World:
    """Messages need approvals; transfers do not."""
    plain = world.policy
    rules = tuple(
        replace(rule, tiers=(Tier(None, demands),)) if rule.kind == "message" else rule for rule in plain.rules
    )
    world.policy = replace(plain, approvers=(ALICE.approver, BOB.approver, ROBOT.approver), rules=rules)
    return world


def submit(custody: Custody, world: World, wallet: Wallet, **changes: Any) -> Request:
    intent, signature = world.message(wallet.body.wallet, **changes)
    request, new = custody.submit(Submission(intent, signature))
    assert new
    return request


def approval(of: Request, *, by: Held = ALICE, decision: Decision = "approve") -> bytes:
    return by.approval(Intent.decode(of.intent).intent_id, decision).encode()


def asked(world: World) -> int:
    return sum(operation == "sign.start" for signer in world.signers for operation in signer.asked)


def test_a_request_waits_and_the_last_approval_has_it_signed(world: World, custody: Custody, wallet: Wallet) -> None:
    waiting = submit(custody, world, wallet)
    assert waiting.state == "pending" and asked(world) == 0
    assert custody.missing(waiting) == ("2 of treasury must approve, and 0 of treasury did",)
    still = custody.approve(waiting.request, approval(waiting))
    assert still.state == "pending" and asked(world) == 0
    assert custody.missing(still) == ("2 of treasury must approve, and 1 of treasury did",)
    signed = custody.approve(waiting.request, approval(waiting, by=BOB))
    assert signed.state == "signed" and signed.signatures
    assert custody.missing(signed) == ()
    assert [state for state, _, _ in signed.history] == [
        "received",
        "pending",
        "judged",
        "signing",
        "unknown",
        "signed",
    ]
    assert {each.approval.approver for each in custody.gathering.kept.of(signed.request)} == {"alice", "bob"}


def test_what_needs_no_approval_does_not_wait(world: World, custody: Custody) -> None:
    ecdsa = custody.create(world.order("dkls23-secp256k1"))
    request, _ = custody.submit(Submission(*world.transfer(ecdsa.body.wallet)))
    assert request.state == "signed"


def test_the_same_request_again_changes_nothing(world: World, custody: Custody, wallet: Wallet) -> None:
    waiting = submit(custody, world, wallet)
    submission = Submission(waiting.intent, waiting.intent_signature)
    assert custody.submit(submission) == (waiting, False)
    first = approval(waiting)
    for _ in range(2):
        assert custody.approve(waiting.request, first).state == "pending"
    assert custody.retry(waiting.request).state == "pending"
    again = approval(waiting, by=BOB), approval(waiting, by=BOB)
    assert again[0] != again[1]
    assert custody.approve(waiting.request, again[0]).state == "signed"
    refused("request_conflict", custody.approve, waiting.request, again[1])


def test_what_does_not_verify_is_not_kept(world: World, custody: Custody, wallet: Wallet) -> None:
    one, other = submit(custody, world, wallet), submit(custody, world, wallet)
    stranger = held("eve")
    own = Approval.decode(approval(one))
    for wrong, code in (
        (approval(other), "approval_invalid"),
        (approval(one, by=stranger), "unknown_approver"),
        (replace(own, approver="bob").encode(), "approval_invalid"),
        (replace(own, decision="reject").encode(), "approval_invalid"),
        (b"\xa0", "malformed_message"),
    ):
        refused(code, custody.approve, one.request, wrong)
    assert custody.gathering.kept.of(one.request) == []
    refused("not_found", custody.approve, "00" * 16, approval(one))


def test_one_rejection_ends_it_for_good(world: World, custody: Custody, wallet: Wallet) -> None:
    waiting = submit(custody, world, wallet)
    custody.approve(waiting.request, approval(waiting))
    ended = custody.approve(waiting.request, approval(waiting, by=BOB, decision="reject"))
    assert ended.state == "refused" and ended.error is not None and ended.error["code"] == "approval_rejected"
    refused("request_conflict", custody.approve, waiting.request, approval(waiting, by=BOB))
    with pytest.raises(Problem) as caught:
        custody.retry(waiting.request)
    assert caught.value.cause.code == "approval_rejected" and asked(world) == 0


def test_what_waited_too_long_has_expired(
    world: World, custody: Custody, wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = submit(custody, world, wallet, expiry=int(time.time()) + 60)
    custody.approve(waiting.request, approval(waiting))
    assert custody.look(waiting.request).state == "pending"
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    refused("intent_expired", custody.approve, waiting.request, approval(waiting, by=BOB))
    assert [each.state for each in custody.listed(wallet.wallet)] == ["expired"]
    assert custody.look(waiting.request).state == "expired"
    assert asked(world) == 0


def test_approvals_outlive_the_host(world: World, custody: Custody, wallet: Wallet, host: Host) -> None:
    waiting = submit(custody, world, wallet)
    custody.approve(waiting.request, approval(waiting))
    custody.requests.recover()
    assert host().approve(waiting.request, approval(waiting, by=BOB)).state == "signed"


def test_the_last_approval_that_no_signing_followed_is_followed_by_a_retry(
    world: World, custody: Custody, wallet: Wallet
) -> None:
    """A host that died between the two."""
    waiting = submit(custody, world, wallet)
    for each in (ALICE, BOB):
        custody.gathering.kept.add(waiting.request, approval(waiting, by=each))
    assert custody.look(waiting.request).state == "pending" and custody.missing(waiting) == ()
    assert custody.retry(waiting.request).state == "signed"


def test_an_approval_counts_though_signing_failed(world: World, custody: Custody, wallet: Wallet) -> None:
    waiting = submit(custody, world, wallet)
    custody.approve(waiting.request, approval(waiting))
    for signer in world.signers:
        signer.twist = when("sign.start", cut)
    failed = custody.approve(waiting.request, approval(waiting, by=BOB))
    assert failed.state == "failed" and failed.error is not None
    for signer in world.signers:
        signer.twist = None
    assert custody.retry(waiting.request).state == "signed"


def test_approvals_that_come_together_sign_once(world: World, custody: Custody, wallet: Wallet, host: Host) -> None:
    hosts = (custody, host())
    waiting = submit(custody, world, wallet)
    raws = [approval(waiting, by=each) for each in (ALICE, BOB)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda each: hosts[each].approve(waiting.request, raws[each]), range(2)))
    last = custody.requests.get(waiting.request)
    assert last.state == "signed"
    assert sum(state == "judged" for state, _, _ in last.history) == 1


def test_no_more_than_signers_take(world: World, custody: Custody, wallet: Wallet) -> None:
    waiting = submit(custody, world, wallet)
    for number in range(32):
        custody.gathering.kept.add(
            waiting.request, replace(Approval.decode(approval(waiting)), approver=f"a{number}").encode()
        )
    refused("request_conflict", custody.approve, waiting.request, approval(waiting))


def test_an_approver_whom_officers_revoke_counts_no_more(world: World, custody: Custody, wallet: Wallet) -> None:
    """What waited under the old policy is refused by signers that took the new one, whoever approved it."""
    waiting = submit(custody, world, wallet)
    custody.approve(waiting.request, approval(waiting))
    only = held("carol")
    new = next_policy(world, wallet, approvers=(BOB.approver, only.approver, ROBOT.approver))
    assert not custody.directing.direct(custody.group(wallet), directive(world, new)).refusals
    ended = custody.approve(waiting.request, approval(waiting, by=BOB))
    assert ended.state == "refused" and ended.error is not None and ended.error["code"] == "intent_mismatch"
    later = submit(custody, world, wallet, policy=new.digest())
    refused("unknown_approver", custody.approve, later.request, approval(later))
    custody.approve(later.request, approval(later, by=only))
    assert custody.approve(later.request, approval(later, by=BOB)).state == "signed"


# --- Over HTTP ---


def test_as_clients_see_it(client: FlaskClient, world: World, wallet: Wallet) -> None:
    intent, signature = world.message(wallet.body.wallet)
    made = client.post("/v1/requests", json={"intent": intent.hex(), "signature": signature.hex()})
    shown = schemas.Request.model_validate(made.get_json())
    assert made.status_code == 201 and shown.state == "pending" and shown.approvals == []
    assert shown.missing == ["2 of treasury must approve, and 0 of treasury did"]
    path, identifier = f"/v1/requests/{shown.request}", Intent.decode(intent).intent_id
    for each in (ALICE, BOB):
        answer = client.post(f"{path}/approvals", json={"approval": each.approval(identifier).encode().hex()})
        assert answer.status_code == 200, answer.text
    done = schemas.Request.model_validate(client.get(path).get_json())
    assert done.state == "signed" and done.missing == []
    assert [each.approver for each in done.approvals or ()] == ["alice", "bob"]
    assert bytes.fromhex(done.intent_signature) == signature
    problem(client.post(f"{path}/approvals", json={"approval": "00"}), 409, "request_conflict")
    listed = client.get("/v1/requests").get_json()["requests"][0]
    assert listed["approvals"] is None and listed["missing"] is None


# --- Machines ---

Reply = Callable[[dict[str, str]], tuple[int, bytes]]


class Screen:
    """A screening service, which answers as it is told."""

    def __init__(self) -> None:
        self.reply: Reply = lambda question: (200, self.approval(question))
        self.asked: list[dict[str, str]] = []
        screen = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                screen.asked.append(question)
                status, body = screen.reply(question)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/screen"

    def approval(self, question: dict[str, str], decision: Decision = "approve", by: Held = ROBOT) -> bytes:
        intent = Intent.decode(bytes.fromhex(question["intent"]))
        intent.verify(bytes.fromhex(question["signature"]))
        raw: bytes = by.approval(intent.intent_id, decision).encode()
        return json.dumps({"approval": raw.hex()}).encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def screen() -> Iterator[Screen]:
    screen = Screen()
    yield screen
    screen.close()


@pytest.fixture
def screened(host: Host, screen: Screen) -> Custody:
    return host(screening={"robot": Service(screen.url, 1.0)})


only_screened = pytest.mark.parametrize("demands", [(SCREENED,)])


@only_screened
def test_a_machine_is_asked_and_answers(world: World, screened: Custody, screen: Screen) -> None:
    wallet = screened.create(world.order())
    request = submit(screened, world, wallet)
    assert request.state == "signed"
    assert [question["request"] for question in screen.asked] == [request.request]
    assert [state for state, _, _ in request.history] == [
        "received",
        "pending",
        "judged",
        "signing",
        "unknown",
        "signed",
    ]


@only_screened
def test_whatever_is_no_approval_is_silence_and_silence_is_a_no(
    world: World, screened: Custody, screen: Screen
) -> None:
    wallet = screened.create(world.order())
    answers = (b"yes", b"[]", b'{"approval": 1}', b'{"approval": "xyz"}', b"x" * 20_000)
    for status, body in [(500, b""), (302, b""), *((200, body) for body in answers)]:
        screen.reply = lambda _, answer=(status, body): answer  # type: ignore[misc]
        with pytest.raises(Problem) as caught:
            submit(screened, world, wallet)
        assert caught.value.cause.code == "screening_silent" and asked(world) == 0
    assert caught.value.request is not None
    failed = screened.requests.get(caught.value.request)
    assert failed.state == "failed"
    screen.reply = lambda question: (200, screen.approval(question))
    assert screened.retry(failed.request).state == "signed"


@only_screened
def test_a_machine_that_drips_is_given_up_in_time(world: World, screened: Custody, screen: Screen) -> None:
    wallet = screened.create(world.order())

    def drip(question: dict[str, str]) -> tuple[int, bytes]:
        time.sleep(3)
        return 200, screen.approval(question)

    screen.reply = drip
    begin = time.monotonic()
    with pytest.raises(Problem) as caught:
        submit(screened, world, wallet)
    assert caught.value.cause.code == "screening_silent" and time.monotonic() - begin < 2.5


@only_screened
def test_a_machines_no_is_a_no(world: World, screened: Custody, screen: Screen) -> None:
    wallet = screened.create(world.order())
    screen.reply = lambda question: (200, screen.approval(question, "reject"))
    with pytest.raises(Problem) as caught:
        submit(screened, world, wallet)
    assert caught.value.cause.code == "approval_rejected" and asked(world) == 0


@only_screened
@pytest.mark.parametrize(
    ("by", "code"), [(held("robot", seed="another"), "approval_invalid"), (ALICE, "screening_silent")]
)
def test_a_machine_answers_with_its_own_key(
    world: World, screened: Custody, screen: Screen, by: Held, code: str
) -> None:
    wallet = screened.create(world.order())
    screen.reply = lambda question: (200, screen.approval(question, by=by))
    with pytest.raises(Problem) as caught:
        submit(screened, world, wallet)
    assert caught.value.cause.code == code and asked(world) == 0


@only_screened
def test_a_machine_that_this_host_cannot_ask_is_waited_for(world: World, custody: Custody, wallet: Wallet) -> None:
    """Another process of its owner may bring its approval, as a person does."""
    waiting = submit(custody, world, wallet)
    assert waiting.state == "pending"
    assert custody.approve(waiting.request, approval(waiting, by=ROBOT)).state == "signed"


@pytest.mark.parametrize("demands", [(SCREENED, TWO)])
def test_a_machine_is_asked_once_and_people_after_it(world: World, screened: Custody, screen: Screen) -> None:
    wallet = screened.create(world.order())
    waiting = submit(screened, world, wallet)
    assert waiting.state == "pending"
    for each in (ALICE, BOB):
        last = screened.approve(waiting.request, approval(waiting, by=each))
    assert last.state == "signed" and len(screen.asked) == 1


def test_a_host_that_died_after_the_last_approval_goes_on_when_it_starts(
    world: World, custody: Custody, wallet: Wallet, host: Host
) -> None:
    """What still waits, waits on."""
    complete, waiting = submit(custody, world, wallet), submit(custody, world, wallet)
    for request, people in ((complete, (ALICE, BOB)), (waiting, (ALICE,))):
        for person in people:
            custody.gathering.kept.add(request.request, approval(request, by=person))
    restarted = host()
    assert restarted.resume() == 1
    assert restarted.requests.get(complete.request).state == "signed"
    assert restarted.requests.get(waiting.request).state == "pending"
    assert restarted.resume() == 0
