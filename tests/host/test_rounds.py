"""One ceremony: what a signer may not do to it, and what is left behind when it fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from strongroom.errors import Refusal
from strongroom.intent.intent import intent_id
from strongroom.policy.shown import NOTHING
from strongroom.wire import cbor
from strongroom.wire.frame import encode_answer
from strongroom_host.custody import Custody, Submission
from strongroom_host.relay.relay import Job, Relay
from strongroom_host.relay.rounds import CeremonyFailed, Message, ceremony_id
from strongroom_host.signers import Signers
from strongroom_host.storage.wallets import Wallet
from tests.host.world import LEAF_LIFE, Handle, World, refuse, when


def job(world: World, custody: Custody, wallet: Wallet, **changes: Any) -> Job:
    """A signature by the first two signers."""
    intent, signature = world.message(wallet.body.wallet)
    names = world.names[:2]
    body: dict[str, cbor.Value] = {
        "wallet": wallet.body.wallet,
        "intent": intent,
        "signature": signature,
        "approvals": [],
        "shown": NOTHING.value(),
        "set": list(names),
    }
    options: dict[str, Any] = {
        "kind": "sign",
        "operation": "sign.start",
        "group": custody.maker.group(wallet.signed_order, wallet.body.wallet, wallet.body_bytes),
        "bodies": dict.fromkeys(names, body),
        "subject": intent_id(intent),
        "timeout": 2.0,
        "deadline": time.monotonic() + 10,
        "trips": 2,
        **changes,
    }
    return Job(**options)


def rewrite(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[bytes, Handle], bytes]:
    """Changes the signer's own step."""

    def answer(request: bytes, handle: Handle) -> bytes:
        value = cbor.decode(handle(request))
        assert isinstance(value, list) and value[1] is True and isinstance(value[2], dict)
        return encode_answer(change(dict(value[2])))

    return answer


def test_the_host_computes_the_signers_ceremony_id(world: World, custody: Custody, wallet: Wallet) -> None:
    ceremony, lasts = custody.relay.run(job(world, custody, wallet))
    assert len(ceremony) == 32 and set(lasts) == set(world.names[:2])
    assert ceremony != ceremony_id("sign", bytes(32), 1, world.names[:2], [], bytes(32), 1)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda step: {**step, "ceremony": bytes(32)}, "another ceremony"),
        (lambda step: {**step, "round": 9}, "answered round 9"),
        (lambda step: {**step, "messages": [["signer-9", b""]]}, "no part"),
        (lambda step: {**step, "messages": [["signer-1", b""]]}, "has no part"),
        (lambda step: {**step, "messages": 7}, "list"),
        (lambda step: {**step, "more": 7}, "unknown fields"),
        (lambda step: {key: step[key] for key in step if key != "round"}, "lacks round"),
        (lambda step: {**step, "result": b"early"}, "ended before the last round"),
    ],
)
def test_a_step_that_strays_blames_its_sender(
    world: World, custody: Custody, wallet: Wallet, change: Callable[[dict[str, Any]], dict[str, Any]], why: str
) -> None:
    world[1].twist = when("sign.start", rewrite(change))
    with pytest.raises(CeremonyFailed) as caught:
        custody.relay.run(job(world, custody, wallet))
    (refusal,) = caught.value.refusals.values()
    assert refusal.code == "malformed_message" and refusal.culprits == (world[1].name,) and why in refusal.reason
    assert not caught.value.last_left


@pytest.mark.parametrize("payload", [b"", b"\xff", b"\x00", cbor.encode([1, True]), cbor.encode([2, True, {}])])
def test_an_answer_that_is_none(world: World, custody: Custody, wallet: Wallet, payload: bytes) -> None:
    world[1].twist = when("sign.start", lambda _request, _handle: payload)
    with pytest.raises(CeremonyFailed) as caught:
        custody.relay.run(job(world, custody, wallet))
    assert caught.value.refusals[world[1].name].kind == "malformed"


def test_a_failure_frees_the_ceremony_at_the_others(world: World, custody: Custody, wallet: Wallet) -> None:
    world[1].twist = when("ceremony.step", lambda _request, _handle: refuse("aborted", (), "unattributed"))
    with pytest.raises(CeremonyFailed) as caught:
        custody.relay.run(job(world, custody, wallet))
    assert caught.value.last_left
    assert "ceremony.abort" in world[2].asked
    assert custody.relay.signers.call(world[2].name, "status", {}).integer("inflight") == 0


def test_what_fails_during_a_trip_stops_the_ceremony(world: World, custody: Custody, wallet: Wallet) -> None:
    def full() -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk"):
        custody.relay.run(job(world, custody, wallet, during={1: full}))
    assert [signer.asked[-1] for signer in world.signers[:2]] == ["ceremony.abort"] * 2
    custody.relay.run(job(world, custody, wallet))


def test_a_host_that_changes_messages_is_found_out(world: World, custody: Custody, wallet: Wallet) -> None:
    def tamper(_trip: int, messages: list[Message]) -> list[Message]:
        return [(sender, to, sealed[:-1] + bytes((sealed[-1] ^ 1,))) for sender, to, sealed in messages]

    with pytest.raises(CeremonyFailed) as caught:
        custody.relay.run(job(world, custody, wallet, route=tamper))
    assert {refusal.code for refusal in caught.value.refusals.values()} == {"channel_link"}
    assert all(refusal.verdict == "link" for refusal in caught.value.refusals.values())


def test_a_signer_that_always_wants_mending_is_given_up(world: World, custody: Custody, wallet: Wallet) -> None:
    world[1].twist = when("sign.start", lambda _request, _handle: refuse("stale_ticket"))
    with pytest.raises(CeremonyFailed) as caught:
        custody.relay.run(job(world, custody, wallet))
    assert caught.value.refusals[world[1].name].code == "stale_ticket"
    assert world[1].asked.count("sign.start") < 20


@pytest.mark.parametrize("code", ["stale_ticket", "channel_missing", "channel_expired", "ceremony_limit"])
def test_what_can_be_mended_is_mended_unseen(world: World, custody: Custody, wallet: Wallet, code: str) -> None:
    world[2].twist = when("sign.start", lambda _request, _handle: refuse(code), times=1)
    request, _ = custody.submit(Submission(*world.message(wallet.body.wallet)))
    assert request.state == "signed" and request.signers == world.names[:2]


def test_channels_near_their_end_are_renewed_ahead(world: World, custody: Custody, wallet: Wallet) -> None:
    handshakes = custody.relay.handshakes
    world[1].asked.clear()
    handshakes.renew_due(wallet.signed_order.order_id, world.names)
    assert world[1].asked == []
    later = time.time() + LEAF_LIFE - 200
    handshakes._now = lambda: later
    handshakes.renew_due(wallet.signed_order.order_id, world.names)
    assert {"channel.open", "channel.prove"} <= set(world[1].asked) | set(world[2].asked)


def test_a_ticket_is_used_once_and_fetched_in_batches(world: World, custody: Custody, wallet: Wallet) -> None:
    taken = [tuple(custody.relay.tickets.take(world.names)) for _ in range(100)]
    assert len({ticket for row in taken for ticket in row}) == 300
    assert world[1].asked.count("tickets") < 8


def test_a_signer_without_an_address(world: World) -> None:
    relay = Relay(Signers({}))
    with pytest.raises(Refusal) as caught:
        relay.tickets.take(["nobody"])
    assert caught.value.code == "signer_unreachable"


@pytest.mark.parametrize("host_sees_time", [True, False], ids=["renewed ahead", "renewed when a signer says so"])
def test_five_hours_lose_no_ceremony(
    world: World, custody: Custody, wallet: Wallet, monkeypatch: pytest.MonkeyPatch, host_sees_time: bool
) -> None:
    """Leaf certificates live three hours, and channels no longer than they: both are renewed on the way."""
    real, passed = time.time, [0]
    monkeypatch.setattr(time, "time", lambda: real() + passed[0])
    began = real()
    custody.relay.handshakes._now = time.time if host_sees_time else lambda: began
    attempts: list[int] = []
    world[1].asked.clear()
    for _ in range(5 * 6):
        passed[0] += 600
        request, _ = custody.submit(Submission(*world.message(wallet.body.wallet)))
        assert request.state == "signed" and request.signers == world.names[:2]
        attempts.append(request.attempt)
    assert world[1].asked.count("channel.finish") + world[1].asked.count("channel.accept") in (1, 2)
    assert max(attempts) == (1 if host_sees_time else 2)
