"""Whom a fault names, what it costs, and what nobody can make a signer believe of an honest one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from strongroom.channel.envelope import Envelope
from strongroom.errors import Refusal
from strongroom.signer.wallets import MAX_ABORTS
from tests.signer.cluster import Cluster, Plan, Run, loaded
from tests.signer.corrupt import Lie, Said, corrupt, flip, reform
from tests.wallet.orders import ECDSA
from tests.wire.refused import refused

PAIR = ("a", "c")
BINDING = 16 + 2
"""Where the session's binding begins in a first signing message: after the header and both party numbers."""
MATRIX = 1000
"""A place in the OT extension's matrix."""


def garbled(place: int, at: int = 1) -> Lie:
    """In round `at` one bit of the private payload differs, behind an authentic seal."""

    def lie(said: Said) -> Envelope:
        if said.round != at:
            return said.envelope
        return dataclasses.replace(said.envelope, private=flip(said.envelope.private, place))

    return lie


def signing(cluster: Cluster, names: tuple[str, ...] = PAIR) -> Run:
    return cluster.signing(cluster.intent(), names)


def fault_at_a(cluster: Cluster, lie: Lie, run: Callable[[], Run] | None = None) -> Refusal:
    corrupt(cluster["c"], cluster.order_id, lie)
    try:
        return (run or (lambda: signing(cluster)))().start().faults()["a"]
    finally:
        reform(cluster["c"], cluster.order_id)


# --- Messages that c sealed itself ---

ACCUSED = ("accusation", ("c",))


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        (lambda said: b"", "malformed_message"),
        (lambda said: bytes(100), "malformed_message"),
        (lambda said: dataclasses.replace(said.envelope, broadcast=bytes((1 << 20) + 1)), "oversized_message"),
        (lambda said: dataclasses.replace(said.envelope, broadcast=said.envelope.broadcast[:-1]), "malformed_message"),
        (
            lambda said: dataclasses.replace(said.envelope, broadcast=said.envelope.broadcast + b"x"),
            "malformed_message",
        ),
    ],
    ids=["nothing", "zeros", "huge", "cut", "longer"],
)
def test_what_c_sealed_is_held_against_c(lie: Lie, code: str) -> None:
    cluster = loaded()
    fault = fault_at_a(cluster, lie)
    assert (fault.code, fault.verdict, fault.culprits) == (code, *ACCUSED)
    cluster.sign(cluster.intent(), ("a", "b"))


def test_a_message_of_another_session_names_nobody() -> None:
    """A stale view is enough to send one."""
    cluster = loaded()
    fault = fault_at_a(cluster, stale(cluster))
    assert (fault.code, fault.verdict, fault.culprits) == ("foreign_message", "unattributed", ())


def test_a_wrong_share_of_a_signature_is_proven_by_whoever_combines() -> None:
    cluster = loaded()
    intent = cluster.intent()
    steps = cluster.signing(intent, PAIR).all()
    steps["c"] = steps["c"] | {"result": flip(steps["c"]["result"], -20)}
    with pytest.raises(Refusal) as caught:
        cluster.combined(steps, b"Strongroom signed message\n" + cluster.wallet.hex().encode() + b"\n" + intent.payload)
    assert (caught.value.code, caught.value.verdict, caught.value.culprits) == ("bad_share", "proof", ("3",))


# --- Oblivious transfer ---


@pytest.fixture(scope="module")
def last() -> list[Cluster]:
    return []


@pytest.fixture
def ecdsa(last: list[Cluster]) -> Cluster:
    """Loaded, with a and c paired: the one of the test before, where that left it whole. A set-up takes a second."""
    cluster = last[0] if last and whole(last[0]) else loaded(ECDSA).pair("a", "c")
    cluster.sign(cluster.intent(), PAIR)
    last[:] = [cluster]
    return cluster


def whole(cluster: Cluster) -> bool:
    wallets = [cluster[name].signer._wallets.by_order(cluster.order_id) for name in PAIR]
    return (
        held(cluster, "a") == held(cluster, "c") is not None
        and not any(wallet.banned for wallet in wallets)
        and all(wallet.phase == "certified" for wallet in wallets)
    )


def held(cluster: Cluster, name: str) -> bytes | None:
    share = cluster[name].signer._wallets.by_order(cluster.order_id).hold().share
    return share.pairing_digest(3 if name == "a" else 1)


def test_a_failed_ot_check_cuts_the_pair_and_destroys_what_it_had_set_up(ecdsa: Cluster) -> None:
    """Each caught attempt may leak a bit of a long-lived correlation: there is no second one on the same."""
    assert held(ecdsa, "a") == held(ecdsa, "c") is not None
    beside = signing(ecdsa).start()  # under way when the cheat is caught
    fault = fault_at_a(ecdsa, garbled(MATRIX))
    assert (fault.code, fault.verdict, fault.culprits) == ("ot_check_failed", "accusation", ("c",))
    assert held(ecdsa, "a") is None
    assert ecdsa["a"].status()["paired"] == []
    assert refused("not_paired", beside.step, "a", beside.messages).culprits == ("c",)
    for start in (
        lambda: signing(ecdsa).start("a"),
        lambda: ecdsa.testing(PAIR).start("a"),
        lambda: ecdsa.pairing(*PAIR).start("a"),
    ):
        assert refused("pair_banned", start).culprits == ("c",)
    assert ecdsa["a"].phase == "certified"


def test_a_ban_is_one_pairs_and_not_the_wallets(ecdsa: Cluster) -> None:
    fault_at_a(ecdsa, garbled(MATRIX))
    ecdsa.pair("a", "b").pair("b", "c")
    ecdsa.sign(ecdsa.intent(), ("a", "b"))
    ecdsa.sign(ecdsa.intent(), ("b", "c"))
    assert ecdsa["c"].status()["paired"] == ["a", "b"]  # c was told nothing; a answers it no more


def test_a_restart_forgets_the_ban_and_with_it_the_correlation(ecdsa: Cluster) -> None:
    """A host that restores an old disk gains nothing: what leaked belongs to a set-up that is gone."""
    digests = {held(ecdsa, "a")}
    for _ in range(2):
        fault_at_a(ecdsa, garbled(MATRIX))
        ecdsa.restart("a").link("a", "c")
        assert held(ecdsa, "a") is None
        refused("not_paired", signing(ecdsa).start, "a")
        ecdsa.pair("a", "c")
        digests.add(held(ecdsa, "a"))
    assert len(digests) == 3
    ecdsa.sign(ecdsa.intent(), PAIR)


def test_two_set_ups_of_a_pair_never_meet(ecdsa: Cluster) -> None:
    """a finished a second set-up and c did not: both find out before a transfer runs, and neither accuses the other."""
    before = held(ecdsa, "c")
    run = ecdsa.pairing(*PAIR).start().turn()
    run.step("a", run.messages)
    assert held(ecdsa, "a") != held(ecdsa, "c") == before
    faults = signing(ecdsa).start().faults()
    assert {(name, fault.code, fault.verdict) for name, fault in faults.items()} == {
        (name, "not_paired", None) for name in PAIR
    }
    assert [held(ecdsa, name) for name in PAIR] == [None, None]
    refused("not_paired", signing(ecdsa).start)
    ecdsa.pair(*PAIR)
    ecdsa.sign(ecdsa.intent(), PAIR)


def test_a_pairing_that_only_one_side_lost_is_no_accusation(ecdsa: Cluster) -> None:
    """c was restarted: a, which still holds the old set-up, is asked first."""
    ecdsa.restart("c").link("a", "c")
    run = signing(ecdsa)
    run.start("a")
    assert refused("not_paired", run.start, "c").culprits == ("a",)
    ecdsa.pair(*PAIR)
    ecdsa.sign(ecdsa.intent(), PAIR)


def test_a_lie_about_the_pairing_costs_the_pair_and_blames_nobody(ecdsa: Cluster) -> None:
    fault = fault_at_a(ecdsa, lambda said: dataclasses.replace(said.envelope, echo=bytes(32)))
    assert (fault.code, fault.verdict, fault.culprits) == ("not_paired", None, ("c",))
    ecdsa.pair(*PAIR)
    ecdsa.sign(ecdsa.intent(), PAIR)


def test_the_pairing_is_echoed_in_the_first_signing_round_and_nowhere_else(ecdsa: Cluster) -> None:
    heard: list[tuple[int, bytes]] = []

    def note(said: Said) -> Envelope:
        heard.append((said.round, said.envelope.echo))
        return said.envelope

    corrupt(ecdsa["a"], ecdsa.order_id, note)
    digest = held(ecdsa, "a")
    signing(ecdsa).all()
    ecdsa.pairing(*PAIR).all()
    reform(ecdsa["a"], ecdsa.order_id)
    assert heard == [(1, digest), (2, bytes(32)), (1, bytes(32)), (2, bytes(32))]


def test_a_lie_in_a_set_up_leaves_the_pair_unpaired() -> None:
    cluster = loaded(ECDSA)
    corrupt(cluster["c"], cluster.order_id, garbled(16, at=2))
    fault = cluster.pairing(*PAIR).start().turn().faults()["a"]
    assert (fault.verdict, fault.culprits) == ("accusation", ("c",))
    assert held(cluster, "a") is None


def test_only_a_suite_with_pairs_is_paired() -> None:
    cluster = loaded()
    assert cluster["a"].status()["paired"] == ["b", "c"]
    with pytest.raises(Refusal) as caught:
        cluster.pairing(*PAIR).start("a")
    assert caught.value.verdict is None


def test_nobody_is_paired_with_itself_or_a_stranger(ecdsa: Cluster) -> None:
    body = {"wallet": ecdsa.wallet, "tickets": [bytes(16)] * 2, "attempt": 0}
    refused("malformed_message", ecdsa["a"].call, "pair.start", peer="a", **body)
    refused("not_in_roster", ecdsa["a"].call, "pair.start", peer="z", **body)


# --- Aborts that name nobody ---


def abort(cluster: Cluster) -> Refusal:
    """c binds its first message to another session: the protocol aborts and names nobody."""
    return fault_at_a(cluster, garbled(BINDING))


def test_eight_unattributed_aborts_in_a_row_stop_the_wallet(ecdsa: Cluster) -> None:
    """Officers must look; and the phase says so."""
    for _ in range(MAX_ABORTS - 1):
        fault = abort(ecdsa)
        assert (fault.code, fault.verdict, fault.culprits) == ("aborted", "unattributed", ())
        assert ecdsa["a"].phase == "certified"
    ecdsa.sign(ecdsa.intent(), PAIR)  # a success begins the count anew
    for _ in range(MAX_ABORTS - 1):
        abort(ecdsa)
    assert ecdsa["a"].phase == "certified"
    abort(ecdsa)
    assert ecdsa["a"].phase == "stopped"
    assert MAX_ABORTS == 8
    refused("wallet_stopped", signing(ecdsa).start, "a")
    refused("wallet_stopped", ecdsa.handshake, "a", "b")
    assert [ecdsa[name].phase for name in "bc"] == ["certified"] * 2


def test_a_named_culprit_begins_the_count_anew(ecdsa: Cluster) -> None:
    for _ in range(MAX_ABORTS - 1):
        abort(ecdsa)
    assert fault_at_a(ecdsa, lambda said: b"rubbish").verdict == "accusation"
    for _ in range(MAX_ABORTS - 1):
        abort(ecdsa)
    assert ecdsa["a"].phase == "certified"


def test_a_host_cannot_stop_a_wallet() -> None:
    """Faults of the link, clocks and missing messages are no aborts: they come from whoever carries the messages."""
    cluster = loaded()
    for _ in range(MAX_ABORTS):
        run = signing(cluster).start()
        run.faults(lambda box: [dataclasses.replace(each, sealed=flip(each.sealed, -1)) for each in box])
        refused("missing_message", signing(cluster).start().step, "a", [])
        cluster["c"].clock.skew = 100
        assert signing(cluster).start().faults()["a"].code == "clock_skew"
        cluster["c"].clock.skew = 0
    cluster.sign(cluster.intent(), PAIR)


def stale(cluster: Cluster) -> Lie:
    """c's first broadcast of an earlier ceremony, behind an authentic seal."""
    seen: list[Envelope] = []

    def note(said: Said) -> Envelope:
        seen.append(said.envelope)
        return said.envelope

    corrupt(cluster["c"], cluster.order_id, note)
    signing(cluster).start()
    reform(cluster["c"], cluster.order_id)
    return lambda said: dataclasses.replace(said.envelope, broadcast=seen[0].broadcast)


def test_messages_of_another_session_are_counted() -> None:
    """They open, so a signer sealed them: no host can do that."""
    cluster = loaded()
    lie = stale(cluster)
    for number in range(1, MAX_ABORTS + 1):
        assert cluster["a"].phase == "certified"
        fault = fault_at_a(cluster, lie)
        assert (fault.code, fault.verdict, fault.culprits) == ("foreign_message", "unattributed", ()), number
    assert cluster["a"].phase == "stopped"


def test_split_views_are_counted() -> None:
    cluster = Cluster().accept().link()
    corrupt(
        cluster["c"],
        cluster.order_id,
        lambda said: dataclasses.replace(said.envelope, echo=bytes(32)) if said.round == 2 else said.envelope,
    )
    for number in range(1, MAX_ABORTS + 1):
        run = cluster.dkg().start().turn()
        assert refused("split_view", run.step, "a", run.messages).culprits == ()
        assert cluster["a"].phase == ("stopped" if number == MAX_ABORTS else "ordered")


def test_aborts_are_counted_in_the_dkg_too() -> None:
    """c repeats b's commitment, which it has seen before it had to send its own: the DKG aborts and names nobody."""
    cluster = Cluster(Plan(ECDSA)).accept().link()
    said_by_b: list[bytes] = []

    def overhear(said: Said) -> Envelope:
        if said.round == 2:
            said_by_b.append(said.envelope.broadcast or b"")
        return said.envelope

    def copy(said: Said) -> Envelope:
        if said.round != 2:
            return said.envelope
        own = said.envelope.broadcast or b""
        return dataclasses.replace(said.envelope, broadcast=own[:16] + said_by_b[-1][16:])

    corrupt(cluster["b"], cluster.order_id, overhear)
    corrupt(cluster["c"], cluster.order_id, copy)
    for number in range(1, MAX_ABORTS + 1):
        run = cluster.dkg().start().turn()
        fault = refused("aborted", run.step, "a", run.messages)
        assert (fault.verdict, fault.culprits) == ("unattributed", ())
        assert cluster["a"].phase == ("stopped" if number == MAX_ABORTS else "ordered")
    refused("wallet_stopped", cluster.dkg().start, "a")
