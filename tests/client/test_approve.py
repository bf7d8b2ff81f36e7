"""`strongroom approve` and `strongroom approver enrol`, in Chromium with a virtual authenticator and with key files.

The host is the adversary: whatever it says of a request, the approver reads what the bytes do.
"""

from __future__ import annotations

import json
import queue
import threading
import webbrowser
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from strongroom.approval import Approver, Decision, Demand, verify
from strongroom.approval.webauthn import Assertion
from strongroom.chains import evm
from strongroom.errors import Refusal
from strongroom_client.approving import book, enrolment, keys, reading
from strongroom_client.approving.enrolment import Entry
from strongroom_client.approving.server import Desk
from strongroom_client.cli import approve as command
from strongroom_client.context import Context
from tests.approval.keys import held
from tests.client.approving import ACME, BETA, ETHER, Approving
from tests.client.browser import Browser, browser, free_port
from tests.client.custody import no_passphrase
from tests.wire.refused import refused

FILE = "bob"
DEMAND = Demand((("treasury", 1),))
_UNASKED = "pubKeyCredParams"
"""What Chromium warns of: that RS256 is not offered. It is not, since signers verify none."""


@pytest.fixture(scope="module")
def person() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def alice(person: Browser, port: int) -> Approver:
    """Enrolled in the browser."""
    with Desk(enrolment.passkey_page(Entry("alice", ["treasury"]), port), port) as desk:
        person.open(desk.url).click("#enrol")
        return desk.wait(30)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("approver") / "bob.pem"
    keys.create(path, "p256", None)
    return path


@pytest.fixture(scope="module")
def _custody(alice: Approver, key: Path, tmp_path_factory: pytest.TempPathFactory) -> Approving:
    bob = Entry(FILE, ["treasury"]).with_key(keys.public(keys.load(key, no_passphrase)))
    return Approving(tmp_path_factory.mktemp("officers") / "keys", [alice, bob], DEMAND, "dkls23-secp256k1")


@pytest.fixture
def custody(_custody: Approving, person: Browser, monkeypatch: pytest.MonkeyPatch) -> Iterator[Approving]:
    monkeypatch.setattr(Context, "api", lambda _: _custody.api())
    person.errors.clear()
    yield _custody
    _custody.lies.clear()
    _custody.held.clear()
    _custody.given.clear()


@pytest.fixture
def config(custody: Approving, tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps(
            {"host": "http://host.invalid", "api_key_file": "k", "pins": str(custody.folder), "mode": "simulated"}
        )
    )
    return path


class Run:
    """The command in a thread, and the address of the page that it would have opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *arguments: Any, **options: Any) -> None:
        self._urls: queue.Queue[str] = queue.Queue()
        self._ended: queue.Queue[BaseException | None] = queue.Queue()
        monkeypatch.setattr(webbrowser, "open", self._urls.put)
        threading.Thread(target=self._run, args=(arguments, options), daemon=True).start()

    def _run(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        error: BaseException | None = None
        try:
            run(*arguments, **options)
        except BaseException as raised:
            error = raised
        self._ended.put(error)

    def url(self) -> str:
        return self._urls.get(timeout=30)

    def end(self) -> None:
        error = self._ended.get(timeout=30)
        if error is not None:
            raise error


def run(request: str, name: str, **options: Any) -> None:
    """With refusals as they are, before they become an exit status."""
    unwrapped: Any = command.approve.__wrapped__  # type: ignore[attr-defined]
    given = {"key": None, "decision": None, "on_page": False, "browser": True, "timeout": 30.0, "file": None}
    unwrapped(request, name, **{**given, "descriptor": None, "as_json": False, **options})


def test_what_is_enrolled_is_a_passkey_of_this_page(alice: Approver, person: Browser, port: int) -> None:
    assert alice.passkey is not None
    assert (alice.passkey.rp, alice.passkey.origins) == ("localhost", (f"http://localhost:{port}",))
    assert alice.key.algorithm == "ed25519"
    assert [error for error in person.errors if _UNASKED not in error] == []


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_a_person_reads_and_decides_in_the_browser(
    custody: Approving,
    alice: Approver,
    person: Browser,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    decision: Decision,
) -> None:
    signed = custody.transfer(ACME, ETHER + ETHER // 4)
    name = signed.intent.request.hex()
    command_run = Run(monkeypatch, name, "alice", config=config)
    page = person.open(command_run.url())
    shown = page.inner_text("main")
    for words in ("1.25 coins", "1250000000000000000 wei", "Acme Industries", evm.checksum(ACME)):
        assert words in shown
    assert "network fee of at most" in shown and "1 of treasury" in shown and "nobody yet" in shown
    assert signed.intent.intent_id[:8].hex() in shown.replace(" ", "")
    page.click(f"button[data-decision={decision}]")
    page.wait_for_selector(f"#status.{decision}{'d' if decision == 'approve' else 'ed'}")
    command_run.end()
    (given,) = custody.given[name]
    assert given.decision == decision and isinstance(given.proof, Assertion)
    verify(given, alice, signed.intent.intent_id)
    assert person.errors == []


def test_a_host_that_shows_one_transfer_and_asks_for_another(
    custody: Approving, person: Browser, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it writes beside the bytes is shown nowhere; another request's bytes are refused before any page."""
    small, large = custody.transfer(ACME, ETHER), custody.transfer(BETA, 9 * ETHER)
    told = {"summary": "1 ether to Acme Industries", "transaction": {"to": "Acme", "value": str(ETHER)}, "kind": "tiny"}
    custody.lies["request"] = lambda honest: {**honest, **told}
    command_run = Run(monkeypatch, large.intent.request.hex(), "alice", config=config)
    page = person.open(command_run.url())
    shown = page.inner_text("main")
    assert "9 coins" in shown and "Beta Holdings" in shown
    assert "Acme" not in shown and "1 ether" not in shown and "\n1 coins" not in shown
    page.click("button[data-decision=reject]")
    command_run.end()
    custody.lies["request"] = lambda honest: {**honest, "intent": large.intent.encode().hex()}
    refused("prepared_mismatch", run, small.intent.request.hex(), "alice", config=config)


def test_nobody_verified_signs_nothing(
    custody: Approving, person: Browser, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = custody.transfer()
    command_run = Run(monkeypatch, signed.intent.request.hex(), "alice", config=config, timeout=8.0)
    page = person.open(command_run.url())
    person.verifies(person=False)
    try:
        page.click("button[data-decision=approve]")
        page.wait_for_selector("#status.failed")
        assert "Nothing was signed" in page.inner_text("#status")
    finally:
        person.verifies(person=True)
    with pytest.raises(Refusal) as caught:
        command_run.end()
    assert caught.value.code == "no_decision" and custody.given == {}


def test_the_page_loads_nothing_and_runs_nothing_of_others(
    custody: Approving, person: Browser, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = custody.transfer()
    command_run = Run(monkeypatch, signed.intent.request.hex(), "alice", config=config)
    url = command_run.url()
    loaded: list[str] = []
    person.page.on("request", lambda request: loaded.append(request.url))
    page = person.open(url)
    assert sorted(loaded) == sorted([url, url + "page.css", url + "common.js", url + "page.js"])
    page.evaluate("document.body.append(Object.assign(document.createElement('img'), {src: 'http://localhost/x.png'}))")
    page.wait_for_timeout(200)
    assert any("Content Security Policy" in error or "violates" in error for error in person.errors)
    page.click("button[data-decision=approve]")
    command_run.end()


# --- With a key file ---


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_a_key_file_decides_in_the_terminal(
    custody: Approving, key: Path, config: Path, capsys: pytest.CaptureFixture[str], decision: Decision
) -> None:
    signed = custody.transfer(BETA)
    name = signed.intent.request.hex()
    run(name, FILE, key=key, decision=decision, config=config, as_json=True)
    (given,) = custody.given[name]
    verify(given, custody.order.order.policy.approvers[1], signed.intent.intent_id)
    printed = json.loads(capsys.readouterr().out)
    assert (printed["decision"], printed["approval"]) == (decision, given.encode().hex())


def test_without_a_terminal_nobody_is_asked_and_nothing_signed(custody: Approving, key: Path, config: Path) -> None:
    signed = custody.transfer()
    refused("no_decision", run, signed.intent.request.hex(), FILE, key=key, config=config)
    refused("bad_file", run, signed.intent.request.hex(), FILE, config=config)
    assert custody.given == {}


def test_another_persons_key_signs_nothing(custody: Approving, key: Path, config: Path, tmp_path: Path) -> None:
    signed = custody.transfer()
    other = tmp_path / "other.pem"
    keys.create(other, "ed25519", None)
    for name, path in (("alice", key), (FILE, other)):
        refused("approval_invalid", run, signed.intent.request.hex(), name, key=path, decision="approve", config=config)
    refused("unknown_approver", run, signed.intent.request.hex(), "eve", key=key, decision="approve", config=config)
    assert custody.given == {}


# --- What is read ---


def test_what_the_host_could_change_is_refused(custody: Approving, key: Path, config: Path) -> None:
    signed = custody.transfer()
    intent, name = signed.intent, signed.intent.request.hex()
    raw = bytearray(intent.encode())
    raw[raw.index(intent.payload) + len(intent.payload) - 10] ^= 1
    stranger = held("eve")
    forged = [
        ({"intent": raw.hex()}, "intent_signature"),
        ({"intent": replace(intent, policy=bytes(32)).encode().hex()}, "intent_mismatch"),
        ({"intent": replace(intent, requester=stranger.approver.key.public).encode().hex()}, "unknown_requester"),
        ({"intent_signature": bytes(64).hex()}, "intent_signature"),
        ({"intent_signature": None}, "malformed_message"),
        ({"approvals": None}, "malformed_message"),
        ({"approvals": [{"approval": stranger.approval(intent.intent_id).encode().hex()}]}, "unknown_approver"),
    ]
    for change, code in forged:
        custody.lies["request"] = lambda honest, change=change: {**honest, **change}  # type: ignore[misc]
        refused(code, run, name, FILE, key=key, decision="approve", config=config)
    custody.lies.clear()
    old = custody.transfer(life=-1).intent.request.hex()
    refused("intent_expired", run, old, FILE, key=key, decision="approve", config=config)
    refused("malformed_message", run, "xyz", FILE, key=key, decision="approve", config=config)
    assert custody.given == {}


def test_a_recipient_that_nobody_listed_is_said_to_be_one(custody: Approving) -> None:
    body, policy = custody.body, custody.order.order.policy
    signed = custody.transfer(b"\x99" * 20, 0)
    intent = signed.intent
    read = reading.read(intent.request, intent.encode(), signed.signature, body, [policy], (), 0)
    (line,) = read.lines
    assert line.known is None and book.UNLISTED in line.warnings and len(line.warnings) == 2
    assert read.refused is not None and read.demands == ()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, and ünïcode", "plain, and ünïcode"),
        ("a\u202eb", "a\\u{202e}b"),
        ("a\u200bb", "a\\u{200b}b"),
        ("a\x1b[2Jb", "a\\u{1b}[2Jb"),
        ("a\nb", "a\\u{a}b"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, shown: str) -> None:
    assert book.visible(text) == shown
    assert book.visible("a\nb", lines=True) == "a\nb"
