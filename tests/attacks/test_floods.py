"""A host that floods its signers: each refuses what is nothing, keeps nothing of it, and serves an honest wallet while
it is asked and afterwards. What counts against whom is in test_exhaustion.py, connections are in test_frames.py."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from strongroom.errors import Refusal
from strongroom.policy.directives import Freeze
from strongroom.signer.exhaustion import Bounds
from strongroom.wire import cbor
from strongroom_client import directing
from strongroom_host.storage.wallets import Wallet
from tests.attacks.custody import ED25519, Ask, Custody
from tests.attacks.flood import Flood, Request, bounded
from tests.attacks.hand import Run, refused
from tests.attacks.witnessed import COUNT, A, B, C, W, Witnessed
from tests.policy.directing import successor

COUNTS = 120
LARGE = 1 << 17

Make = Callable[[Custody, Wallet], Callable[[int], Request]]


def _asking(**changed: cbor.Value) -> Make:
    """`sign.start`, honest but for this."""

    def make(custody: Custody, wallet: Wallet) -> Callable[[int], Request]:
        tickets: Ask = {"tickets": [bytes(16), bytes(16)], "attempt": 1}
        body = custody.sign_body(wallet, (A, C)) | tickets | changed
        return lambda number: ("sign.start", body)

    return make


def _strangers(custody: Custody, wallet: Wallet) -> Callable[[int], Request]:
    """Each request by another key."""
    tickets: Ask = {"tickets": [bytes(16), bytes(16)], "attempt": 1}
    body = custody.sign_body(wallet, (A, C)) | tickets

    def request(number: int) -> Request:
        intent = custody.intent(wallet, requester=number.to_bytes(32, "big"))
        return "sign.start", {**body, "intent": intent.encode()}

    return request


def _policies(custody: Custody, wallet: Wallet) -> Callable[[int], Request]:
    """Signed by one officer where it takes two, another one each time."""
    policy = wallet.signed_order.order.policy

    def request(number: int) -> Request:
        following = successor(policy, wallet.body.wallet, timelock=number)
        directive = directing.sign(directing.unsigned(following), custody.officer_keys[:1])
        return "policy.install", {"wallet": wallet.body.wallet, "directive": directive.encode()}

    return request


def _freezes(custody: Custody, wallet: Wallet) -> Callable[[int], Request]:
    directive = directing.sign(directing.unsigned(Freeze(wallet.body.wallet, 1)), [custody.requester])
    return lambda number: ("policy.freeze", {"wallet": wallet.body.wallet, "directive": directive.encode()})


def _bytes(operation: str, field: str, **others: cbor.Value) -> Make:
    """Noise in the field that is decoded, as much of it as a field takes."""

    def make(custody: Custody, wallet: Wallet) -> Callable[[int], Request]:
        named: dict[str, cbor.Value] = {"wallet": wallet.body.wallet, "order": wallet.signed_order.order_id}
        body = {key: named[key] if value is None else value for key, value in others.items()}
        return lambda number: (operation, {**body, field: os.urandom(LARGE)})

    return make


def _handshakes(custody: Custody, wallet: Wallet) -> Callable[[int], Request]:
    """Begun, and never gone on with."""
    return lambda number: ("channel.open", {"order": wallet.signed_order.order_id, "peer": C if number % 2 else A})


FLOODS: dict[str, tuple[Make, set[str]]] = {
    "requests by strangers": (_strangers, {"unknown_requester"}),
    "requests that nobody signed": (_asking(signature=bytes(64)), {"intent_signature"}),
    "requests of noise": (_asking(intent=os.urandom(LARGE)), {"malformed_cbor", "malformed_message"}),
    "too many approvals": (_asking(approvals=[b"a"] * 2000), {"malformed_message"}),
    "approvals of noise": (_asking(approvals=[os.urandom(4096)] * 16), {"malformed_cbor", "malformed_message"}),
    "stale tickets": (_asking(), {"stale_ticket"}),
    "policies by too few officers": (_policies, {"directive_not_signed"}),
    "freezes by nobody": (_freezes, {"directive_not_signed"}),
    "directives of noise": (
        _bytes("policy.install", "directive", wallet=None),
        {"malformed_cbor", "malformed_message"},
    ),
    "orders of noise": (_bytes("order.accept", "order"), {"malformed_cbor", "malformed_message"}),
    "records of noise": (_bytes("wallet.load", "record", body=b""), {"malformed_cbor", "malformed_message"}),
    "certificates of noise": (
        _bytes("wallet.certify", "body", wallet=None, nonce=bytes(32)),
        {"malformed_cbor", "malformed_message", "wrong_phase"},
    ),
    "handshakes": (_handshakes, {"ok", "channel_handshake", "not_in_roster", "malformed_message"}),
    "tickets": (lambda custody, wallet: lambda number: ("tickets", {"count": 64}), {"ok", "malformed_message"}),
}


@pytest.mark.parametrize(("make", "codes"), FLOODS.values(), ids=FLOODS)
def test_a_flood(custody: Custody, ed25519: Wallet, make: Make, codes: set[str]) -> None:
    """Of an enclave and of the signer beside the HSM at once. The honest request is served among it, by either."""
    request = make(custody, ed25519)
    before = [custody.status(name).inflight for name in (A, C)]
    with (
        bounded(custody.cluster, A, C),
        Flood(custody.cluster.socket(A), COUNTS, request) as first,
        Flood(custody.cluster.socket(C), COUNTS, request) as second,
    ):
        assert custody.sign(ed25519, (A, C)).signers == (A, C)
    for flood in (first, second):
        assert set(flood.answers) <= codes and flood.answers.total() == COUNTS
    # What was begun with the session may have ended meanwhile.
    assert all(custody.status(name).inflight <= was for name, was in zip((A, C), before, strict=True))


def test_ceremonies_that_nobody_goes_on_with(custody: Custody, ed25519: Wallet) -> None:
    """As many as a requester may have at one signer, and one more. The others sign meanwhile; and it signs itself, once
    the host lets go of them."""
    most = Bounds().requester_inflight
    with Run(custody.signers) as run:
        body = custody.sign_body(ed25519, (A, C))
        with refused("ceremony_limit", by=A) as caught:
            for _ in range(most + 1):
                tickets: Ask = {"tickets": list(custody.tickets((A, C))), "attempt": 1}
                run.take(custody.start(A, "sign.start", body | tickets))
        assert caught.value.retryable and custody.status(A).inflight >= most
        assert custody.sign(ed25519, (B, C)).signers == (B, C)
    assert custody.sign(ed25519, (A, C)).signers == (A, C)


# --- Journals ---


def test_questions_between_journals(witnessed: Witnessed) -> None:
    """Asked again and again, answered again and again, and old ones repeated: nothing grows, and nobody is confused."""
    witnessed.revive()
    wallet = witnessed.make(ED25519)
    witnessed.sign(wallet, (A, B))
    peer: Ask = {"wallet": wallet.body.wallet, "peer": W}
    asked = [witnessed.ask(A, "journal.ask", peer).blob("message") for _ in range(3)]
    before = {name: witnessed.journal(wallet, name) for name in (A, W)}
    with bounded(witnessed.cluster, A, W):
        with (
            Flood(witnessed.cluster.socket(A), COUNTS, lambda number: ("journal.ask", peer)),
            Flood(witnessed.cluster.socket(W), COUNTS, lambda number: ("journal.tell", {
                **peer, "peer": A, "message": asked[number % 3]})) as told,
        ):  # fmt: skip
            witnessed.sign(wallet, (B, C))
        with Flood(witnessed.cluster.socket(A), COUNTS, lambda number: ("journal.hear", {
            **peer, "message": os.urandom(LARGE)})) as heard:  # fmt: skip
            witnessed.sign(wallet, (B, C))
    assert told.answers == {"ok": COUNTS} and heard.answers == {"channel_link": COUNTS}
    for name in (A, W):
        after = witnessed.journal(wallet, name)
        assert after["joined"] and after["incarnation"] == before[name]["incarnation"]
        assert after["entries"] == before[name]["entries"] + 2


def test_reservations_without_end(witnessed: Witnessed) -> None:
    """One request in a loop, and new ones in a loop, at a journal that takes no part: it holds as many as the policy
    allows, whatever is asked; and what it sealed is kept by the host, not by it."""
    witnessed.revive()
    wallet = witnessed.make(ED25519)
    first, now = witnessed.at(wallet, (A, B)), int(time.time())

    def again(number: int) -> Request:
        return "journal.reserve", {**first, "ceremony": os.urandom(32), "at": now + number % 20}

    def another(number: int) -> Request:
        return "journal.reserve", {**witnessed.at(wallet, (A, B)), "ceremony": os.urandom(32)}

    with bounded(witnessed.cluster, C, W):
        with Flood(witnessed.cluster.socket(W), COUNTS, again) as repeated:
            pass
        assert witnessed.journal(wallet, W)["entries"] == 1
        with Flood(witnessed.cluster.socket(W), COUNTS, another) as fresh:
            pass
    assert set(repeated.answers) <= {"ok", "journal_clock"} and repeated.answers["ok"]
    assert fresh.answers == {"ok": COUNT - 1, "policy_velocity": COUNTS - COUNT + 1}
    assert witnessed.journal(wallet, W)["entries"] == COUNT
    with pytest.raises(Refusal):
        witnessed.reserving(wallet, (A, B)).reserve(W)
