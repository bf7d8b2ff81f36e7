"""Ceremonies under a host that drops, repeats, reorders, delays and lies: one fails, and the next one succeeds."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable
from typing import Any

import pytest

from strongroom import schemes, signatures
from strongroom.channel.envelope import Envelope
from strongroom.errors import Refusal
from strongroom.signer import tickets
from strongroom.signer.ceremonies import MAX_IDLE, MAX_INFLIGHT, MAX_SKEW
from strongroom.signer.exhaustion import Bounds
from strongroom.wire import cbor
from tests.signer.cluster import NOW, Cluster, Message, Run, loaded
from tests.signer.corrupt import Said, corrupt, reform
from tests.wire.refused import refused

PAIR = ("a", "b")


@pytest.fixture
def cluster() -> Cluster:
    return loaded()


def signing(cluster: Cluster, names: tuple[str, ...] = PAIR, **body: Any) -> Run:
    return cluster.signing(cluster.intent(), names, **body)


def still_signs(cluster: Cluster, names: tuple[str, ...] = PAIR) -> None:
    """And `a`, who ended the ceremony before, keeps nothing of it."""
    cluster.sign(cluster.intent(), names)
    assert cluster["a"].call("status")["inflight"] == 0


# --- Tickets, and what a ceremony's id covers ---


def test_the_id_is_that_of_the_specification(cluster: Cluster) -> None:
    intent, ordered = cluster.intent(), cluster.tickets(PAIR)
    run = cluster.signing(intent, PAIR, tickets=ordered, attempt=7).start()
    value: dict[str, cbor.Value] = {
        "kind": "sign",
        "order": cluster.order_id,
        "epoch": 1,
        "set": list(PAIR),
        "tickets": ordered,
        "subject": intent.intent_id,
        "attempt": 7,
    }
    expected = hashlib.sha256(b"strongroom/ceremony/v1" + cbor.encode(value)).digest()
    assert {run.identifier(name) for name in PAIR} == {expected}


def test_a_ticket_is_spent_once(cluster: Cluster) -> None:
    ordered = cluster.tickets(PAIR)
    signing(cluster, tickets=ordered).all()
    refused("stale_ticket", signing(cluster, tickets=ordered).start)
    still_signs(cluster)


@pytest.mark.parametrize(
    "foreign",
    [
        lambda cluster: bytes(16),
        lambda cluster: os.urandom(16),
        lambda cluster: cluster["b"].tickets()[0],
    ],
    ids=["zero", "random", "another signer's"],
)
def test_a_ticket_must_be_ones_own(cluster: Cluster, foreign: Callable[[Cluster], bytes]) -> None:
    ordered = [foreign(cluster), cluster["b"].tickets()[0]]
    refused("stale_ticket", signing(cluster, tickets=ordered).start, "a")


def test_a_ticket_of_an_earlier_start_is_stale(cluster: Cluster) -> None:
    ordered = cluster.tickets(PAIR)
    cluster.restart("a").link("a", "b")
    refused("stale_ticket", signing(cluster, tickets=ordered).start, "a")


def test_the_oldest_tickets_lapse_when_a_host_hoards(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tickets.MAX_OUTSTANDING == 4096
    monkeypatch.setattr(tickets, "MAX_OUTSTANDING", 10)
    held = cluster["a"].tickets(10)
    cluster["a"].tickets(1)
    for ticket, lapsed in ((held[0], True), (held[1], False)):
        run = signing(cluster, tickets=[ticket, cluster["b"].tickets()[0]])
        if lapsed:
            refused("stale_ticket", run.start, "a")
        else:
            run.start("a")


@pytest.mark.parametrize("count", [0, 1, 3])
def test_there_is_one_ticket_for_each_participant(cluster: Cluster, count: int) -> None:
    refused("malformed_message", signing(cluster, tickets=cluster["a"].tickets(3)[:count]).start, "a")


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_ticket_has_16_bytes(cluster: Cluster, size: int) -> None:
    refused("malformed_message", signing(cluster, tickets=[bytes(size)] * 2).start, "a")


def test_a_refused_start_spends_no_ticket(cluster: Cluster) -> None:
    """A lost channel and a full signer are found out before."""
    cluster.restart("a")
    own = cluster["a"].tickets()[0]
    run = signing(cluster, tickets=[own, bytes(16)])
    refused("channel_missing", run.start, "a")
    cluster.link("a", "b")
    others = [signing(cluster).start("a") for _ in range(Bounds().requester_inflight)]
    refused("ceremony_limit", run.start, "a")
    cluster["a"].call("ceremony.abort", ceremony=others[0].identifier("a"))
    run.start("a")


def retold(cluster: Cluster, body: dict[str, Any], what: str) -> dict[str, Any]:
    """What b is told of a ceremony instead."""
    if what == "attempt":
        return {"attempt": 1}
    if what == "tickets":
        return {"tickets": [os.urandom(16), body["tickets"][1]]}
    other = signing(cluster, tickets=body["tickets"]).starts["b"][1]
    return {"intent": other["intent"], "signature": other["signature"]}


@pytest.mark.parametrize("what", ["attempt", "tickets", "intent"])
def test_signers_that_are_told_different_things_do_not_meet(cluster: Cluster, what: str) -> None:
    """Their messages do not open for each other: the link is blamed, and no share of a signature leaves."""
    run = signing(cluster)
    operation, body = run.starts["b"]
    run.starts["b"] = (operation, body | retold(cluster, body, what))
    run.start()
    assert run.identifier("a") != run.identifier("b")
    for fault in run.faults().values():
        assert (fault.code, fault.verdict, fault.culprits) == ("channel_link", "link", ())
    assert not run.done
    still_signs(cluster)


def test_signers_that_are_told_of_different_sets_do_not_meet(cluster: Cluster) -> None:
    run = signing(cluster)
    operation, body = run.starts["b"]
    run.starts["b"] = (operation, body | {"set": ["b", "c"], "tickets": [body["tickets"][1], bytes(16)]})
    run.start()
    refused("unexpected_sender", run.step, "b", run.messages)
    to_a = [dataclasses.replace(each, recipient="a") for each in run.messages if each.sender == "b"]
    refused("channel_link", run.step, "a", to_a)


def test_two_attempts_have_two_ids(cluster: Cluster) -> None:
    """Even with the same intent: nonces of one never meet messages of the other."""
    intent = cluster.intent()
    first, second = (cluster.signing(intent, PAIR).start() for _ in range(2))
    crossed = [dataclasses.replace(each) for each in second.messages]
    refused("channel_link", first.step, "a", crossed)
    message = cluster.message(intent)
    assert cluster.combined(second.finish(), message) != b""


# --- Rounds ---


def test_a_message_that_is_dropped_ends_the_ceremony_at_its_recipient(cluster: Cluster) -> None:
    run = signing(cluster).start()
    refusal = refused("missing_message", run.step, "a", [])
    assert (refusal.verdict, refusal.culprits) == ("link", ())
    assert "b" in refusal.reason
    refused("unknown_ceremony", run.step, "a", run.messages)
    still_signs(cluster, ("a", "c"))


@pytest.mark.parametrize(
    "change",
    [
        lambda box: [*box, *box],
        lambda box: [*box, dataclasses.replace(box[0], sender="c")],
        lambda box: [dataclasses.replace(box[0], sender="c")],
        lambda box: [dataclasses.replace(box[0], sender="a")],
        lambda box: [dataclasses.replace(box[0], sender="nobody")],
    ],
    ids=["twice", "one more", "another's", "its own", "nobody's"],
)
def test_messages_of_others_end_it_too(cluster: Cluster, change: Callable[[list[Message]], list[Message]]) -> None:
    run = signing(cluster).start()
    box = [each for each in run.messages if each.recipient == "a"]
    assert refused("unexpected_sender", run.step, "a", change(box)).verdict == "link"
    still_signs(cluster)


def test_a_misrouted_message_is_the_links_fault(cluster: Cluster) -> None:
    """b's message to c, handed to a; and a's own message, handed back to it."""
    cluster = loaded(threshold=3)
    run = cluster.signing(cluster.intent(), cluster.names).start()
    to_c = {(each.sender, each.recipient): each.sealed for each in run.messages}
    box = [Message(1, "b", "a", to_c["b", "c"]), Message(1, "c", "a", to_c["c", "a"])]
    refused("channel_link", run.step, "a", box)
    box = [Message(1, "a", "b", to_c["b", "a"]), Message(1, "c", "b", to_c["c", "b"])]
    refused("channel_link", run.step, "b", box)


@pytest.mark.parametrize(
    "damage",
    [lambda raw: raw[:-1], lambda raw: raw + b"\0", lambda raw: b"", lambda raw: raw[:16]],
    ids=["cut", "longer", "empty", "its channel alone"],
)
def test_a_damaged_message_is_the_links_fault(cluster: Cluster, damage: Callable[[bytes], bytes]) -> None:
    run = signing(cluster).start()
    faults = run.faults(lambda box: [dataclasses.replace(each, sealed=damage(each.sealed)) for each in box])
    assert faults.keys() == set(PAIR)
    assert {(fault.code, fault.verdict, fault.culprits) for fault in faults.values()} == {("channel_link", "link", ())}
    still_signs(cluster)


def test_a_round_that_is_repeated_or_comes_early_loses_nothing(cluster: Cluster) -> None:
    """A host may ask twice; the signer goes on from where it was."""
    intent = cluster.intent()
    run = cluster.signing(intent, PAIR).start()
    for number in (0, 2, 255):
        refused("ceremony_round", run.step, "a", run.messages, round=number)
    run.turn()
    assert run.done
    assert cluster.combined(run.steps, cluster.message(intent))
    for name in PAIR:
        refused("unknown_ceremony", run.step, name, [], round=1)


def test_rounds_cannot_be_replayed_in_the_dkg() -> None:
    """Round 1's messages, under the number of round 2."""
    cluster = Cluster().accept().link()
    run = cluster.dkg().start()
    first = run.messages
    run.turn()
    refused("ceremony_round", run.step, "a", first, round=1)
    refused("channel_link", run.step, "a", first)
    cluster.deal()


def test_a_late_message_of_another_ceremony_does_not_open(cluster: Cluster) -> None:
    old = signing(cluster).start()
    late = old.messages
    old.finish()
    run = signing(cluster).start()
    refused("channel_link", run.step, "a", late)
    still_signs(cluster)


def test_an_unknown_ceremony_is_nobodys(cluster: Cluster) -> None:
    run = signing(cluster).start("a")
    refused("unknown_ceremony", run.step, "a", [], ceremony=bytes(32))
    refused("unknown_ceremony", cluster["b"].call, "ceremony.step", ceremony=run.identifier("a"), round=1, messages=[])


def test_an_aborted_ceremony_is_gone_and_aborting_twice_is_no_fault(cluster: Cluster) -> None:
    run = signing(cluster).start()
    for _ in range(2):
        assert cluster["a"].call("ceremony.abort", ceremony=run.identifier("a")) == {}
    refused("unknown_ceremony", run.step, "a", run.messages)
    assert cluster["a"].call("status")["inflight"] == 0
    still_signs(cluster, ("a", "c"))


def test_a_step_shows_its_results_shape(cluster: Cluster) -> None:
    run = signing(cluster).start()
    assert {name: set(step) for name, step in run.steps.items()} == {
        name: {"ceremony", "round", "messages", "result", "signature"} for name in PAIR
    }
    assert [step["result"] for step in run.steps.values()] == [None, None]
    last = run.finish()
    for name in PAIR:
        assert last[name]["messages"] == []
        message = b"strongroom/contribution/v1" + run.identifier(name) + bytes((1,)) + name.encode()
        message += hashlib.sha256(last[name]["result"]).digest()
        key = cluster[name].call("status")["public_key"]
        assert signatures.verify(key, last[name]["signature"], message)


# --- Sets ---


def test_a_set_is_the_threshold_of_members_with_oneself(cluster: Cluster) -> None:
    for names in (["a"], ["a", "b", "c"], ["a", "a"], []):
        refused("malformed_message", signing(cluster, tickets=[bytes(16)] * 2, set=names).start, "a")
    refused("not_in_roster", signing(cluster, tickets=[bytes(16)] * 2, set=["a", "z"]).start, "a")
    run = signing(cluster, ("b", "c"))
    run.starts["a"] = run.starts["b"]
    refused("unexpected_sender", run.start, "a")


def test_the_hosts_order_of_names_does_not_matter(cluster: Cluster) -> None:
    """Tickets come in the order of the roster, whatever the order in which the set is named."""
    intent = cluster.intent()
    run = cluster.signing(intent, PAIR, set=["b", "a"])
    run.starts["b"][1]["set"] = ["a", "b"]
    assert cluster.combined(run.all(), cluster.message(intent))


# --- Clocks ---


@pytest.mark.parametrize("skew", [MAX_SKEW, -MAX_SKEW])
def test_clocks_may_differ_a_little(cluster: Cluster, skew: int) -> None:
    cluster["b"].clock.skew = skew
    still_signs(cluster)
    assert MAX_SKEW == 30


@pytest.mark.parametrize("skew", [MAX_SKEW + 1, -MAX_SKEW - 1])
def test_clocks_that_differ_more_end_the_ceremony(cluster: Cluster, skew: int) -> None:
    cluster["b"].clock.skew = skew
    faults = signing(cluster).start().faults()
    assert {name: fault.code for name, fault in faults.items()} == dict.fromkeys(PAIR, "clock_skew")
    assert faults["a"].culprits == ("b",) and "b" in faults["a"].reason
    cluster["b"].clock.skew = 0
    still_signs(cluster)


def test_a_lie_about_the_clock_is_found_in_every_round() -> None:
    """In a DKG, where there are two."""
    cluster = Cluster().accept().link()
    corrupt(
        cluster["c"],
        cluster.order_id,
        lambda said: dataclasses.replace(said.envelope, clock=said.envelope.clock + 31 * (said.round == 2)),
    )
    run = cluster.dkg().start().turn()
    assert {fault.code for fault in run.faults().values()} == {"clock_skew"}
    reform(cluster["c"], cluster.order_id)
    cluster.deal()


# --- Many, and idle ones ---


def unbounded(cluster: Cluster) -> None:
    """But for the signer's own bound, over all wallets."""
    cluster["a"].bounds = Bounds(wallet_inflight=1000, requester_inflight=1000)
    cluster.restart("a")
    cluster.link("a", "b")


def test_ceremonies_in_flight_are_bounded_and_none_is_lost(cluster: Cluster) -> None:
    unbounded(cluster)
    intent = cluster.intent()
    runs = [cluster.signing(intent, PAIR).start("a") for _ in range(MAX_INFLIGHT)]
    assert cluster["a"].call("status")["inflight"] == MAX_INFLIGHT == 64
    refusal = refused("ceremony_limit", signing(cluster).start, "a")
    assert refusal.retryable
    runs[0].start("b").finish()
    signing(cluster).start("a")
    refused("ceremony_limit", signing(cluster).start, "a")


def test_idle_ceremonies_make_room(cluster: Cluster) -> None:
    unbounded(cluster)
    for _ in range(MAX_INFLIGHT):
        signing(cluster).start("a")
    cluster.pass_time(MAX_IDLE)
    refused("ceremony_limit", signing(cluster).start, "a")
    cluster.pass_time(1)
    signing(cluster).start("a")
    assert cluster["a"].call("status")["inflight"] == 1


@pytest.mark.parametrize(("idle", "alive"), [(MAX_IDLE, True), (MAX_IDLE + 1, False)])
def test_a_ceremony_that_nobody_feeds_ends(cluster: Cluster, idle: int, alive: bool) -> None:
    run = Cluster(cluster.plan).accept().link().dkg().start()
    for node in run.nodes.values():
        node.clock.time += 1
    run.turn()  # every step is a sign of life
    messages = run.messages
    run.nodes["a"].clock.time += idle
    if alive:
        with pytest.raises(Refusal) as caught:
            run.step("a", messages)
        assert caught.value.code == "clock_skew"  # the others' clocks stood still
        return
    refused("ceremony_expired", run.step, "a", messages)
    refused("unknown_ceremony", run.step, "a", messages)
    assert MAX_IDLE == 60


def test_many_ceremonies_of_one_wallet_run_at_once(cluster: Cluster) -> None:
    """Their messages may be delivered in any order, and each gives its own signature."""
    intents = [cluster.intent(f"message {n}") for n in range(6)]
    pairs = [("a", "b"), ("b", "c"), ("a", "c")] * 2
    runs = [cluster.signing(intent, names).start() for intent, names in zip(intents, pairs, strict=True)]
    for run in reversed(runs):
        run.turn()
    signatures = [
        cluster.combined(run.steps, cluster.message(intent)) for run, intent in zip(runs, intents, strict=True)
    ]
    assert len(set(signatures)) == len(runs)
    assert all(
        schemes.verify(cluster.order.scheme, cluster.public_key, cluster.message(intent), signature)
        for intent, signature in zip(intents, signatures, strict=True)
    )


def test_what_travels_in_a_signing_round() -> None:
    """Only a DKG signs and echoes its broadcasts; a boot key signs nothing else in a sealed message."""
    cluster = loaded()
    heard: list[Envelope] = []

    def note(said: Said) -> Envelope:
        heard.append(said.envelope)
        return said.envelope

    corrupt(cluster["a"], cluster.order_id, note)
    signing(cluster).start()
    [envelope] = heard
    assert (envelope.clock, envelope.echo, envelope.signature) == (NOW, bytes(32), None)
    assert envelope.broadcast is not None
