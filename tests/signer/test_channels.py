"""Channels at a signer: opened by the host, renewed while ceremonies run, and gone when their time is over."""

from __future__ import annotations

import pytest

from strongroom.channel.session import Channel
from strongroom.errors import Refusal
from strongroom.signer.links import MAX_KEPT, Links
from tests.channel.pair import Pair
from tests.signer.cluster import NOW, Cluster, Plan, loaded
from tests.wire.refused import refused

PAIR = ("a", "b")
LIFE = 3 * 3600


@pytest.fixture
def cluster() -> Cluster:
    return loaded()


# --- The four messages, through the bytes ---


def test_each_half_of_a_handshake_is_used_once(cluster: Cluster) -> None:
    order = cluster.order_id
    m1 = cluster.handshake("a", "b", "channel.open")
    m2 = cluster["b"].call("channel.answer", order=order, peer="a", message=m1)["message"]
    m3 = cluster["a"].call("channel.prove", order=order, peer="b", message=m2)["message"]
    assert (
        refused("channel_handshake", cluster["a"].call, "channel.prove", order=order, peer="b", message=m2).verdict
        == "link"
    )
    m4 = cluster["b"].call("channel.accept", order=order, peer="a", message=m3)["message"]
    refused("channel_handshake", cluster["b"].call, "channel.accept", order=order, peer="a", message=m3)
    cluster["a"].call("channel.finish", order=order, peer="b", message=m4)
    refused("channel_handshake", cluster["a"].call, "channel.finish", order=order, peer="b", message=m4)


def test_a_step_without_the_one_before_is_refused(cluster: Cluster) -> None:
    for operation in ("channel.prove", "channel.accept", "channel.finish"):
        refused("channel_handshake", cluster["a"].call, operation, order=cluster.order_id, peer="b", message=b"\xa0")


def test_a_failed_step_spends_its_half(cluster: Cluster) -> None:
    """A host that garbles M2 must begin again: no half is tried against many messages."""
    order = cluster.order_id
    m2 = cluster.handshake("a", "b", "channel.answer")
    refused("malformed_cbor", cluster["a"].call, "channel.prove", order=order, peer="b", message=m2[:-1])
    refused("channel_handshake", cluster["a"].call, "channel.prove", order=order, peer="b", message=m2)
    cluster.handshake("a", "b")


def test_a_peer_is_another_member_of_the_roster(cluster: Cluster) -> None:
    for operation in ("channel.open", "channel.answer"):
        body = {"order": cluster.order_id} | ({"message": b""} if operation == "channel.answer" else {})
        refused("channel_handshake", cluster["a"].call, operation, peer="a", **body)
        refused("not_in_roster", cluster["a"].call, operation, peer="z", **body)
        refused("unknown_order", cluster["a"].call, operation, peer="b", **{**body, "order": bytes(32)})


def test_handshakes_of_both_directions_and_of_many_pairs_do_not_disturb_each_other(cluster: Cluster) -> None:
    order = cluster.order_id
    ways = [("a", "b"), ("b", "a"), ("a", "c"), ("c", "b")]
    messages = {way: cluster.handshake(*way, "channel.open") for way in ways}
    for turn, operation in enumerate(("channel.answer", "channel.prove", "channel.accept", "channel.finish")):
        for opener, answerer in ways:
            name, peer = (answerer, opener) if turn % 2 == 0 else (opener, answerer)
            answer = cluster[name].call(operation, order=order, peer=peer, message=messages[opener, answerer])
            messages[opener, answerer] = answer.get("message", b"")
    for names in (("a", "b"), ("a", "c"), ("b", "c")):
        cluster.sign(cluster.intent(), names)


def test_channels_of_one_wallet_are_not_anothers() -> None:
    """The order is in the transcript: a message of one wallet's channel says nothing on another's."""
    cluster, other = Cluster(), Cluster(Plan())
    other.nodes = cluster.nodes
    cluster.accept().link()
    other.accept()
    m1 = cluster.handshake("a", "b", "channel.open")
    refused("channel_handshake", other["b"].call, "channel.answer", order=other.order_id, peer="a", message=m1)


# --- Expiry ---


def test_a_channel_carries_nothing_after_its_end(cluster: Cluster) -> None:
    cluster.pass_time(LIFE - 1)
    cluster.sign(cluster.intent(), PAIR)
    run = cluster.signing(cluster.intent(), PAIR).start()
    cluster.pass_time(1)
    refused("channel_link", run.step, "a", run.messages)
    refusal = refused("channel_expired", cluster.signing(cluster.intent(), PAIR).start)
    assert (refusal.culprits, refusal.retryable) == (("b",), True)
    cluster.link()
    cluster.sign(cluster.intent(), PAIR)


def test_a_missing_channel_names_the_peer() -> None:
    cluster = Cluster().accept().link("a", "b")
    refusal = refused("channel_missing", cluster.dkg().start)
    assert (refusal.culprits, refusal.retryable) == (("c",), True)


def test_five_simulated_hours_with_renewals_and_no_ceremony_lost(cluster: Cluster) -> None:
    """Every 20 minutes all channels are renewed, once before each message of a ceremony and once after it."""
    boots = [cluster[name].call("status")["boot"] for name in cluster.names]
    leaves = set()
    for step in range(15):
        cluster.pass_time(20 * 60)
        opener, answerer = PAIR if step % 2 else PAIR[::-1]
        run = cluster.signing(cluster.intent(), PAIR).start()
        cluster.handshake(opener, answerer)
        run.turn()
        assert run.done
        unfinished = cluster.signing(cluster.intent(), PAIR).start()
        m4 = cluster.handshake(opener, answerer, "channel.accept")  # the opener does not know yet that it stands
        unfinished.turn()
        between = cluster.signing(cluster.intent(), PAIR).start()
        cluster[opener].call("channel.finish", order=cluster.order_id, peer=answerer, message=m4)
        between.turn()
        assert unfinished.done and between.done
        leaves.add(cluster["a"].status()["channels"][0][1])
    assert cluster["a"].clock.now() == NOW + 5 * 3600
    assert boots == [cluster[name].call("status")["boot"] for name in cluster.names]
    assert len(leaves) >= 2  # more than one leaf certificate


def test_a_dkg_outlives_the_channels_that_it_began_on() -> None:
    """Renewed in every round: later rounds go over newer channels, and late messages of a round still open."""
    cluster = Cluster().accept().link()
    run = cluster.dkg().start()
    cluster.link()
    run.turn()
    cluster.link()
    run.finish()


# --- Which channel sends ---


def channels(count: int) -> list[tuple[Channel, Channel]]:
    return [Pair().run() for _ in range(count)]


def test_an_answerer_sends_on_the_channel_that_the_opener_knows() -> None:
    """Until the opener has used the new one; if there is no other, the new one has to do."""
    (old_a, old_b), (new_a, new_b) = channels(2)
    links = Links()
    links.add(old_b, NOW)
    assert links.sending("a", NOW) is old_b
    old_b.open(b"", old_a.seal(b"", b""))
    links.add(new_b, NOW)
    assert links.sending("a", NOW) is old_b
    new_b.open(b"", new_a.seal(b"", b""))
    assert links.sending("a", NOW) is new_b


def test_an_opener_sends_on_the_newest() -> None:
    (old, _), (new, _) = channels(2)
    links = Links()
    links.add(old, NOW)
    links.add(new, NOW)
    assert links.sending("b", NOW) is new


def test_older_channels_still_receive() -> None:
    (old_a, old_b), (_, new_b) = channels(2)
    links = Links()
    links.add(old_b, NOW)
    links.add(new_b, NOW)
    assert links.receiving("a", old_a.seal(b"", b""), NOW) is old_b
    for nothing in (b"", bytes(16), bytes(100)):
        assert refused("channel_link", links.receiving, "a", nothing, NOW).verdict == "link"
    refused("channel_link", links.receiving, "c", old_a.seal(b"", b""), NOW)
    refused("channel_link", links.receiving, "a", old_a.seal(b"", b""), old_b.expires)


def test_what_is_kept_is_bounded_and_a_host_pushes_no_channel_in_use_out() -> None:
    """Handshakes that it leaves half done, as many as it likes."""
    links, rows = Links(), channels(MAX_KEPT + 3)
    (used_a, used_b), *half_done = rows
    used_b.open(b"", used_a.seal(b"", b""))
    for _, channel in rows:
        links.add(channel, NOW)
    kept = [channel for _, channel in rows if knows(links, channel)]
    assert kept == [used_b, *(end_b for _, end_b in half_done[-MAX_KEPT:])]
    assert links.sending("a", NOW) is used_b


def knows(links: Links, channel: Channel) -> bool:
    try:
        return links.receiving("a", channel.identifier + bytes(24), NOW) is channel
    except Refusal:
        return False


def test_channels_in_use_make_room_for_newer_ones() -> None:
    links, rows = Links(), channels(MAX_KEPT + 2)
    for end_a, end_b in rows:
        end_b.open(b"", end_a.seal(b"", b""))
        links.add(end_b, NOW)
    assert [knows(links, end_b) for _, end_b in rows] == [False] * 2 + [True] * MAX_KEPT


def test_a_new_start_of_the_peer_ends_its_earlier_channels() -> None:
    (old_a, old_b), (_, new_b) = channels(2)
    old_b.open(b"", old_a.seal(b"", b""))
    new_b.boot_key = b"z" * 32
    links = Links()
    links.add(old_b, NOW)
    links.add(new_b, NOW)
    assert links.sending("a", NOW) is new_b
    assert not knows(links, old_b)


def test_expired_channels_are_not_kept() -> None:
    (_, old), (_, new) = channels(2)
    links = Links()
    links.add(old, NOW)
    links.add(new, old.expires)
    assert not knows(links, old)
    assert links.expiries() == [("a", new.expires)]
