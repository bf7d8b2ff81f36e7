"""Journals of a wallet with witnesses: what a host restores, withholds, repeats and mixes up, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from strongroom.errors import Refusal
from strongroom.journal import rejoin
from strongroom.journal.waiver import Presence, SignedWaiver, Waiver, waiver_signing_bytes
from strongroom.policy.document import Policy
from strongroom.policy.terms import Window
from strongroom.signer import journals
from strongroom.signer.exhaustion import Bounds
from tests.journal.world import refused
from tests.policy.directing import next_officers, sign, successor
from tests.signer.cluster import Cluster, Plan
from tests.signer.witnessed import Witnessed, counting
from tests.wallet.orders import ECDSA, ED25519, MUSIG2, OFFICER_KEYS, TAPROOT

AB, BC, AC = ("a", "b"), ("b", "c"), ("a", "c")


@pytest.fixture
def cluster() -> Witnessed:
    """At most three messages in an hour."""
    return Witnessed(policy=counting(3))


@pytest.mark.parametrize("scheme", [ED25519, TAPROOT, ECDSA])
def test_signatures_want_three_of_four(scheme: str) -> None:
    cluster = Witnessed(scheme)
    if scheme == ECDSA:
        cluster.pair()
    first = cluster.intent()
    cluster.pay(first, AB)
    paying = cluster.reserving(cluster.intent("again"), BC) if scheme != ECDSA else cluster.reserving(first, BC)
    for name in BC:
        assert paying.refusal(name).code == "journal_quorum"


def test_all_signers_of_a_wallet_that_wants_all() -> None:
    cluster = Witnessed(MUSIG2, parties=2)
    cluster.pay(cluster.intent(), AB)


def test_one_signer_down_and_the_third_stands_in_for_the_witness(cluster: Witnessed) -> None:
    cluster.pay(cluster.intent(), BC, ["w"])
    cluster.level()
    cluster.pay(cluster.intent(), AB, ["c"])


def test_a_limit_over_signers_that_share_one(cluster: Witnessed) -> None:
    """{a, b}, then {b, c}, then {a, c}: each of them took part in two, and all know of three."""
    for names, other in ((AB, "c"), (BC, "a"), (AC, "b")):
        cluster.level()
        cluster.pay(cluster.intent(), names, [other])
    cluster.level()
    for names in (AB, BC, AC):
        with refused("policy_velocity"):
            cluster.pay(cluster.intent(), names)


def test_sets_that_differ_are_told_apart(cluster: Witnessed) -> None:
    cluster.pay(cluster.intent(), AB)
    paying = cluster.reserving(cluster.intent(), BC).reserve("w")
    refusal = paying.refusal("c")
    assert refusal.code == "journal_behind" and refusal.culprits == ("b", "w")
    cluster.exchange("c", "w")
    cluster.pay(cluster.intent(), BC)


# --- Disks ---


def journalled(cluster: Witnessed) -> dict[str, int]:
    return {name: len(disk.blocks) for name, disk in cluster.disks.items()}


def test_an_old_disk_of_one_signer(cluster: Witnessed) -> None:
    """w - t = 1: it hears of what it forgot from the three others, and acknowledges nothing before."""
    before, intent = journalled(cluster), cluster.intent()
    cluster.pay(intent, AB)
    cluster.again("a", before["a"])
    with refused("not_joined"):
        cluster.pay(cluster.intent(), AB)
    assert not cluster.join("a", peers=["c", "w"])
    assert cluster.join("a", peers=["b"])
    other = cluster.intent("another", request=intent.request)
    with refused("request_conflict"):
        cluster.pay(other, AC)
    cluster.pay(intent, AC, ["b"])


def test_an_old_disk_of_two_signers_with_nobody_lying(cluster: Witnessed) -> None:
    """One more than is tolerated beside a liar. Nobody lies, so the witness is enough."""
    before, intent = journalled(cluster), cluster.intent()
    cluster.pay(intent, AB)
    for name in AB:
        cluster.again(name, before[name])
    assert cluster.join(*AB)
    with refused("request_conflict"):
        cluster.pay(cluster.intent("another", request=intent.request), AB)


def test_an_old_disk_of_all_is_not_noticed(cluster: Witnessed) -> None:
    """As the design says; only a receipt tells."""
    before, intent = journalled(cluster), cluster.intent()
    cluster.pay(intent, AB)
    for name in cluster.journals:
        cluster.again(name, before[name])
    assert cluster.join()
    cluster.pay(cluster.intent("another", request=intent.request), AB)


def test_all_started_again_with_all_they_had(cluster: Witnessed) -> None:
    intent = cluster.intent()
    cluster.pay(intent, AB)
    cluster.pay(cluster.intent(), AB)
    for name in cluster.journals:
        cluster.again(name)
    assert cluster.join()
    with refused("request_conflict"):
        cluster.pay(cluster.intent("another", request=intent.request), BC)
    cluster.level()
    cluster.pay(cluster.intent(), BC)
    with refused("policy_velocity"):
        cluster.pay(cluster.intent(), BC)


def test_one_sealed_state_booted_twice() -> None:
    """The later start is believed; the earlier one is not any more, whatever channels the host gives it."""
    cluster = Witnessed()
    first = cluster["a"].signer
    before = cluster.reserving(cluster.intent(), BC).reserve("a")
    cluster.again("a")
    assert cluster.join("a")
    second, cluster["a"].signer = cluster["a"].signer, first
    # What it acknowledged before, and what it still does over its old channels.
    assert before.refusal("b").code == "channel_link"
    assert cluster.reserving(cluster.intent(), BC).reserve("a").refusal("b").code == "channel_link"
    for peer in BC:
        cluster.handshake("a", peer)
    refusal = cluster.reserving(cluster.intent(), BC).reserve("a").refusal("b")
    assert refusal.code == "journal_superseded" and refusal.culprits == ("a",)
    # It learns of the later one from whomever it asks, and acknowledges nothing before it has joined anew.
    assert not cluster["a"].call("journal.hear", **_exchange(cluster, "a", "b"))["heard"]
    with refused("not_joined"):
        cluster.reserving(cluster.intent(), BC).reserve("a")
    assert second is not first


def _exchange(cluster: Witnessed, name: str, peer: str) -> dict[str, object]:
    question = cluster[name].call("journal.ask", wallet=cluster.wallet, peer=peer)["message"]
    told = cluster[peer].call("journal.tell", wallet=cluster.wallet, peer=name, message=question)
    return {"wallet": cluster.wallet, "peer": peer, "message": told["message"]}


def test_a_journal_of_another_signer_or_wallet(cluster: Witnessed) -> None:
    other = Witnessed()
    for disk in (cluster.disks["b"], other.disks["a"]):
        cluster["a"].start()
        cluster.load("a")
        with refused("sealed_mismatch"):
            cluster["a"].call("journal.open", wallet=cluster.wallet, wrapped=disk.wrapped, blocks=[])
    own = cluster.disks["a"]
    answer = cluster["a"].call(
        "journal.open", wallet=cluster.wallet, wrapped=own.wrapped, blocks=cluster.disks["b"].blocks
    )
    assert (answer["refused"], answer["sequence"]) == ("sealed_mismatch", 0)


def test_a_gap_in_the_blocks_is_an_old_disk(cluster: Witnessed) -> None:
    cluster.pay(cluster.intent(), AB)
    blocks = cluster.disks["a"].blocks
    cluster["a"].start()
    cluster.load("a")
    answer = cluster["a"].call(
        "journal.open", wallet=cluster.wallet, wrapped=cluster.disks["a"].wrapped, blocks=[*blocks[:2], *blocks[3:]]
    )
    assert (answer["refused"], answer["sequence"]) == ("sealed_mismatch", 2)


def test_a_withheld_answer_leaves_it_out() -> None:
    """The host shows a restarted signer two of the three that it must hear: it signs nothing, and forgets nothing."""
    cluster = Witnessed()
    cluster.pay(cluster.intent(), AB)
    cluster.again("c")
    for peer in ("a", "b"):
        assert cluster.exchange("c", peer)
    with refused("not_joined"):
        cluster.pay(cluster.intent(), BC)
    cluster.pay(cluster.intent(), AB)


# --- Acknowledgements ---


def test_acknowledgements_of_another_ceremony(cluster: Witnessed) -> None:
    intent = cluster.intent()
    first = cluster.reserving(intent, AB).reserve("w")
    second = cluster.reserving(intent, AB)
    assert second.refusal("a", first.box("a")).code == "channel_link"


def test_acknowledgements_for_the_other_signer(cluster: Witnessed) -> None:
    paying = cluster.reserving(cluster.intent(), AB).reserve("w")
    assert paying.refusal("a", paying.box("b")).code in ("channel_link", "unexpected_sender")


def test_acknowledgements_repeated_or_of_oneself(cluster: Witnessed) -> None:
    paying = cluster.reserving(cluster.intent(), AB)
    box = paying.box("a")
    assert paying.refusal("a", [*box, *box]).code == "unexpected_sender"
    paying = cluster.reserving(cluster.intent(), AB)
    [[_, sealed]] = paying.box("a")
    for name in ("a", "z"):
        assert paying.refusal("a", [[name, sealed]]).code in ("unexpected_sender", "unknown_ceremony")


def test_one_bit_of_an_acknowledgement(cluster: Witnessed) -> None:
    paying = cluster.reserving(cluster.intent(), AB).reserve("w")
    box = [[name, sealed[:-1] + bytes([sealed[-1] ^ 1])] for name, sealed in paying.box("a")]
    assert paying.refusal("a", box).code == "channel_link"


def test_a_witness_that_was_shown_another_intent(cluster: Witnessed) -> None:
    """Under the same request: it acknowledges what it was shown, and no signer takes that for its own."""
    intent = cluster.intent()
    paying = cluster.reserving(intent, AB)
    other = cluster.signing(cluster.intent("another", request=intent.request), AB).starts["a"][1]
    paying.reserve("w", intent=other["intent"], signature=other["signature"])
    for name in AB:
        assert paying.refusal(name).code == "channel_link"


@pytest.mark.parametrize("skew", [-31, 31, 10**6])
def test_a_time_that_is_not_now(cluster: Witnessed, skew: int) -> None:
    with refused("journal_clock"):
        cluster.reserving(cluster.intent(), AB, at=cluster["a"].clock.time + skew)


def test_without_a_time(cluster: Witnessed) -> None:
    with refused("malformed_message"):
        cluster.signing(cluster.intent(), AB).start()


def test_acknowledgements_where_none_belong(cluster: Witnessed) -> None:
    run = cluster.testing(AB).start()
    with refused("unexpected_message"):
        run.step("a", run.messages, acknowledgements=[["b", bytes(40)]])


# --- A witness ---


def test_a_witness_holds_no_share(cluster: Witnessed) -> None:
    """And says so to whoever asks it for one."""
    status = cluster["w"].status()
    assert (status["phase"], status["wallet"], status["paired"]) == ("witness", cluster.wallet, [])
    asked = {"wallet": cluster.wallet, "set": list(AB), "tickets": [bytes(16), bytes(16)], "attempt": 0}
    with refused("wrong_phase"):
        cluster["w"].call("test.start", **asked)
    for record in cluster.records.values():
        with refused("sealed_mismatch"):
            cluster["w"].call("wallet.load", record=record, body=cluster.body)


def test_a_witness_judges_as_a_signer_does(cluster: Witnessed) -> None:
    paying = cluster.reserving(cluster.intent(), AB)
    with refused("intent_signature"):
        paying.reserve("w", signature=bytes(64))
    with refused("intent_mismatch"):
        other = cluster.signing(cluster.intent(policy=bytes(32)), AB).starts["a"][1]
        paying.reserve("w", intent=other["intent"], signature=other["signature"])


def test_a_certificate_that_is_not_the_officers(cluster: Witnessed) -> None:
    cluster["w"].start()
    with pytest.raises(Refusal):
        cluster["w"].call("wallet.witness", body=(cluster.body or b"")[:-1])
    with refused("wrong_phase"):
        cluster["a"].call("wallet.witness", body=cluster.body)


# --- What officers change ---


def install(cluster: Cluster, policy: Policy) -> None:
    directive = sign(policy).encode()
    cluster["a"].call("policy.install", wallet=cluster.wallet, directive=directive)


def test_a_policy_with_windows_is_not_taken_without_witnesses() -> None:
    plain, witnessed = Cluster(Plan(ED25519)).accept().link().deal().certify(), Witnessed()
    windows = (Window(3600, count=3),)
    with refused("bad_order"):
        install(plain, successor(plain.order.policy, plain.wallet, windows=windows))
    install(plain, successor(plain.order.policy, plain.wallet))
    install(witnessed, successor(witnessed.order.policy, witnessed.wallet, windows=windows))


def test_nothing_is_replaced_where_nobody_could_know_what() -> None:
    plain = Cluster(Plan(ED25519)).accept().link().deal().certify()
    with refused("no_witnesses"):
        plain.signing(plain.intent(replaces=bytes(16)), AB).start()


def test_what_is_refused_for_being_too_much_fills_no_journal(cluster: Witnessed) -> None:
    for name in cluster.journals:
        cluster[name].signer._starting._ceremonies.meter.bounds = Bounds(wallet_inflight=0)
    before = {name: cluster.journal(name)["entries"] for name in cluster.journals}
    intent = cluster.intent()
    with refused("ceremony_limit"):
        cluster.reserving(intent, AB)
    assert {name: cluster.journal(name)["entries"] for name in cluster.journals} == before


def waived(cluster: Witnessed, names: Sequence[str], keys: Sequence[bytes]) -> bytes:
    present = {}
    for name in names:
        journal = cluster.journal(name)
        present[name] = Presence(cluster[name].call("status")["boot"], journal["incarnation"], journal["digest"])
    order = cluster[names[0]].status()["order"]
    waiver = Waiver(order, 1, present, 2, cluster["a"].clock.time + 600)
    message = waiver_signing_bytes(waiver.encode())
    rows = tuple(sorted((key, OFFICER_KEYS[key].sign(message)) for key in keys))
    return SignedWaiver(waiver.encode(), waiver, rows).encode()


def test_a_waiver_is_of_the_officers_in_office(cluster: Witnessed) -> None:
    """Not of those who made the wallet: one of them may have left, and taken the key along."""
    keys = sorted(OFFICER_KEYS)
    change = sign(next_officers(cluster.wallet, keys[:2], 2), tuple(keys[:2])).encode()
    cluster["a"].call("policy.install", wallet=cluster.wallet, directive=change)
    with refused("waiver_refused"):
        cluster["a"].call("journal.waive", wallet=cluster.wallet, waiver=waived(cluster, AB, keys[1:3]))
    cluster["a"].call("journal.waive", wallet=cluster.wallet, waiver=waived(cluster, AB, keys[:2]))


# --- Checkpoints ---


def test_a_checkpoint_comes_in_pages(cluster: Witnessed, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        cluster.level()
        cluster.pay(cluster.intent(), AB)
    monkeypatch.setattr(journals, "PAGE", 400)
    monkeypatch.setattr(rejoin, "PAGE", 1)
    pages = [cluster["a"].call("journal.checkpoint", wallet=cluster.wallet, page=0)]
    while pages[-1]["more"]:
        pages.append(cluster["a"].call("journal.checkpoint", wallet=cluster.wallet, page=len(pages)))
    assert len(pages) > 1
    for page in (1, 99):
        with refused("malformed_message"):
            cluster["a"].call("journal.checkpoint", wallet=cluster.wallet, page=page)
    monkeypatch.undo()
    kept = cluster.journal("a")["digest"]
    cluster.disks["a"].blocks = [block for page in pages for block in page["blocks"]]
    cluster.again("a")
    assert cluster.journal("a")["digest"] == kept
