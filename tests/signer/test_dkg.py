"""The DKG of every scheme, under honest and corrupt signers: one key that everybody agrees on, or none."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any, cast

import pytest
import strongroom_native as native

from strongroom import schemes
from strongroom.channel.blame import equivocators
from strongroom.channel.envelope import Envelope
from strongroom.errors import Refusal
from strongroom.wallet.record import Record
from strongroom.wire import cbor
from tests.signer.cluster import Cluster, Plan, Run, loaded
from tests.signer.corrupt import Lie, Said, corrupt, flip, reform
from tests.wallet.orders import ECDSA, ED25519, MUSIG2, SCHEMES, TAPROOT
from tests.wire.refused import refused


def linked(scheme: str = ED25519, threshold: int = 2, parties: int = 3) -> Cluster:
    return Cluster(Plan(scheme, threshold, parties)).accept().link()


# --- Honest signers ---


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_gives_a_wallet_that_signs(scheme: str) -> None:
    cluster = loaded(scheme)
    names = cluster.names if scheme == MUSIG2 else ("a", "c")
    if schemes.suite(scheme).pairwise:
        cluster.pair(*names)
    intent = cluster.intent()
    signature = cluster.sign(intent, names)
    message = cluster.message(intent)
    assert not schemes.verify(scheme, cluster.public_key, hashlib.sha256(message).digest(), signature)


@pytest.mark.parametrize(("threshold", "parties"), [(2, 2), (3, 3), (3, 5), (5, 9), (9, 9)])
def test_any_threshold(threshold: int, parties: int) -> None:
    cluster = linked(ED25519, threshold, parties).deal().certify()
    cluster.sign(cluster.intent(), cluster.names[-threshold:])


def test_an_ecdsa_wallet_is_paired_right_after_its_dkg_and_not_after_a_restart() -> None:
    cluster = linked(ECDSA, 2, 2).deal().certify()
    assert [cluster[name].status()["paired"] for name in "ab"] == [["b"], ["a"]]
    cluster.sign(cluster.intent(), ("a", "b"))
    cluster.restart("a")
    assert cluster["a"].status()["paired"] == []


def test_the_transcript_and_the_wallet_id_are_those_of_the_specification() -> None:
    """Section 9: every broadcast of every round, in the order of the roster."""
    cluster = linked(MUSIG2)
    said: dict[tuple[int, str], bytes] = {}

    def overhear(name: str) -> Lie:
        def note(told: Said) -> Envelope:
            said[told.round, name] = told.envelope.broadcast or b""
            return told.envelope

        return note

    for name, node in cluster.nodes.items():
        corrupt(node, cluster.order_id, overhear(name))
    run = cluster.dkg().start()
    transcript = hashlib.sha256(b"strongroom/dkg/v1" + run.identifier("a")).digest()
    run.finish()
    for number in sorted({number for number, _ in said}):
        digests = b"".join(hashlib.sha256(said[number, name]).digest() for name in cluster.names)
        transcript = hashlib.sha256(transcript + bytes((number,)) + digests).digest()
    answer = cast(dict[str, Any], cbor.decode(run.steps["a"]["result"]))
    assert answer["transcript"] == transcript
    expected = hashlib.sha256(b"strongroom/wallet/v1" + cluster.order_id + transcript + answer["public_key"]).digest()
    assert answer["wallet"] == expected


def test_everybody_agrees_and_each_record_is_its_own() -> None:
    cluster = linked()
    answers = [cast(dict[str, Any], cbor.decode(step["result"])) for step in cluster.dkg().all().values()]
    records = [Record.decode(answer.pop("record")) for answer in answers]
    assert answers[0] == answers[1] == answers[2]
    assert [record.signer for record in records] == ["a", "b", "c"]
    assert {record.wallet for record in records} == {answers[0]["wallet"]}
    assert {record.transcript for record in records} == {answers[0]["transcript"]}
    assert {record.order.raw for record in records} == {cluster.signed.raw}
    assert set(answers[0]) == {"wallet", "public_key", "verification_shares", "package", "chain_code", "transcript"}


def test_a_second_dkg_of_one_order_is_another_wallet() -> None:
    cluster = linked().deal()
    first = cluster.wallet
    cluster.deal()
    assert cluster.wallet != first
    refused("unknown_wallet", cluster["a"].call, "test.start", wallet=first, set=["a", "b"], tickets=[], attempt=0)
    cluster.certify()
    refused("wrong_phase", cluster.dkg().start)


def test_a_dkg_that_did_not_end_everywhere_is_dealt_again() -> None:
    """Two signers have finished, the last round never reached the third."""
    cluster = linked()
    run = cluster.dkg().start().turn()
    last = run.messages
    for name in ("a", "b"):
        run.step(name, last)
    assert [cluster[name].phase for name in "abc"] == ["dealt", "dealt", "dealing"]
    cluster.deal().certify()


def test_a_new_start_ends_the_dkg_under_way() -> None:
    cluster = linked()
    old = cluster.dkg().start()
    messages = old.messages
    fresh = cluster.dkg().start()
    refused("unknown_ceremony", old.step, "a", messages)
    assert cluster["a"].call("status")["inflight"] == 1
    fresh.finish()


def test_an_aborted_dkg_leaves_an_order_and_what_was_dealt_before() -> None:
    """The host gives up a second deal: the first one's record is loaded again, and the wallet is as good as it was."""
    cluster = linked()
    run = cluster.dkg().start()
    cluster["a"].call("ceremony.abort", ceremony=run.identifier("a"))
    assert [cluster[name].phase for name in "abc"] == ["ordered", "dealing", "dealing"]
    cluster.deal()
    run = cluster.dkg().start()
    for name in "abc":
        cluster[name].call("ceremony.abort", ceremony=run.identifier(name))
        assert cluster[name].phase == "ordered"
        cluster[name].call("wallet.load", record=cluster.records[name], body=None)
    cluster.certify()


def test_aborting_another_ceremony_is_nothing_to_a_dealt_wallet() -> None:
    cluster = linked().deal()
    run = cluster.testing(["a", "b"]).start()
    cluster["a"].call("ceremony.abort", ceremony=run.identifier("a"))
    assert cluster["a"].phase == "dealt"


def test_a_refused_start_keeps_what_is_held() -> None:
    """A ticket that lapsed costs a try, and not the share that was dealt."""
    cluster = linked().deal()
    refused("stale_ticket", cluster.dkg(tickets=[bytes(16)] * 3).start, "a")
    refused("malformed_message", cluster.dkg(tickets=[]).start, "a")
    assert cluster["a"].phase == "dealt"
    cluster.certify()


def test_a_share_survives_a_later_dkg_that_fails() -> None:
    cluster = linked().deal()
    run = cluster.dkg().start()
    refused("missing_message", run.step, "a", [])
    assert cluster["a"].phase == "ordered"
    refused("wrong_phase", cluster.testing(("a", "b")).start, "a")
    assert cluster["a"].call("wallet.load", record=cluster.records["a"], body=None)["phase"] == "dealt"
    for name in ("b", "c"):
        refused("missing_message", run.step, name, [])
        cluster.load(name)
    cluster.certify()


# --- Sealing ---


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (Refusal("sealer_unavailable", "no answer"), "sealer_unavailable"),
        (Refusal("token_unavailable", "gone"), "token_unavailable"),
        (RuntimeError("of the library"), "internal"),
    ],
    ids=["kms", "token", "defect"],
)
def test_a_share_that_cannot_be_sealed_is_no_wallet(failure: Exception, code: str) -> None:
    cluster = linked()
    run = cluster.dkg().start().turn()
    cluster["b"].sealer.fails = failure
    assert {name: fault.code for name, fault in run.faults().items()} == {"b": code}
    assert cluster["b"].phase == "ordered"
    assert cluster["b"].status()["wallet"] is None
    assert cluster["b"].call("status")["inflight"] == 0
    cluster["b"].sealer.fails = None
    cluster.deal().certify()


def test_a_share_that_cannot_be_unsealed_is_no_wallet(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is unsealed before anybody hears of the wallet: no key of a broken HSM guards a fortune."""
    cluster = linked()
    run = cluster.dkg().start().turn()
    sealer = cluster["b"].sealer
    monkeypatch.setattr(sealer, "open_key", lambda wrapped, context: native.DataKey.generate())
    assert {name: fault.code for name, fault in run.faults().items()} == {"b": "seal_mismatch"}
    assert cluster["b"].phase == "ordered"


def test_the_unsealed_share_must_be_the_dealt_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sealer that gives back a share, but another one: of an earlier wallet under the same bytes."""
    cluster, other = linked(), linked().deal()
    run = cluster.dkg().start().turn()
    own = other["a"].signer._wallets.by_order(other.order_id).hold().share
    monkeypatch.setattr(cluster["a"].signer._keeping, "_unseal", lambda record: own)
    assert {name: fault.code for name, fault in run.faults().items()} == {"a": "seal_mismatch"}
    assert cluster["a"].phase == "ordered"


# --- A corrupt signer ---


def with_liar(lie: Lie, scheme: str = ED25519, parties: int = 3) -> tuple[Cluster, Run]:
    cluster = linked(scheme, 2, parties)
    corrupt(cluster["c"], cluster.order_id, lie)
    return cluster, cluster.dkg().start()


def told(at: int, to: str = "", **changes: Callable[[Said], Any]) -> Lie:
    """In round `at`, towards `to` or everybody, other fields than the honest ones."""

    def lie(said: Said) -> Envelope:
        if said.round != at or to not in ("", said.recipient):
            return said.envelope
        return dataclasses.replace(said.envelope, **{name: change(said) for name, change in changes.items()})

    return lie


def another_opening(cluster_scheme: str) -> Callable[[Said], bytes]:
    """A second, equally valid first broadcast of party 3 for the same ceremony."""

    @cache
    def of(ceremony: bytes) -> bytes:
        threshold = 3 if cluster_scheme == MUSIG2 else 2
        [(_, payload)] = native.dkg(cluster_scheme, ceremony, 3, threshold, 3).start().outgoing
        return payload

    return lambda said: of(said.ceremony)


@pytest.mark.parametrize("scheme", [ED25519, TAPROOT, MUSIG2])
def test_a_split_view_is_noticed_and_proven(scheme: str) -> None:
    """c shows a one polynomial and b another, each signed: nobody has a share, and both testimonies convict c."""
    cluster, run = with_liar(told(1, to="b", broadcast=another_opening(scheme)), scheme)
    run.turn()
    faults = run.faults()
    assert {name: fault.code for name, fault in faults.items() if name in "ab"} == dict.fromkeys("ab", "split_view")
    assert all((faults[name].verdict, faults[name].culprits) == ("unattributed", ()) for name in "ab")
    proofs = [faults[name].proof for name in "ab"]
    assert proofs[0] is not None and proofs[1] is not None
    boot_keys = {name: cluster[name].call("status")["public_key"] for name in cluster.names}
    assert equivocators(proofs[0], proofs[1], boot_keys) == ("c",)
    assert equivocators(proofs[0], proofs[0], boot_keys) == ()
    reform(cluster["c"], cluster.order_id)
    cluster.deal().certify()


def test_a_split_view_of_commitments_is_noticed_in_the_ecdsa_dkg() -> None:
    """Its first broadcast is in round 2; the third round's echo shows the split before any opening is used."""
    cluster, run = with_liar(told(2, to="b", broadcast=lambda said: flip(said.envelope.broadcast, -1)), ECDSA)
    run.turn().turn()
    faults = run.faults()
    assert {faults[name].code for name in "ab"} == {"split_view"}
    proofs = [cast(bytes, faults[name].proof) for name in "ab"]
    boot_keys = {name: cluster[name].call("status")["public_key"] for name in cluster.names}
    assert equivocators(proofs[0], proofs[1], boot_keys) == ("c",)


def test_a_lying_echo_convicts_nobody() -> None:
    """c claims to have seen something else: the DKG ends, and the testimonies of the honest are equal."""
    cluster, run = with_liar(told(2, echo=lambda said: bytes(32)))
    run.turn()
    faults = run.faults()
    assert {faults[name].code for name in "ab"} == {"split_view"}
    proofs = [cast(bytes, faults[name].proof) for name in "ab"]
    boot_keys = {name: cluster[name].call("status")["public_key"] for name in cluster.names}
    assert equivocators(proofs[0], proofs[1], boot_keys) == ()


def test_a_testimony_of_a_round_without_broadcasts_is_read_all_the_same() -> None:
    """Round 1 of the ECDSA DKG is private: there is nothing to convict anybody of."""
    cluster, run = with_liar(told(2, echo=lambda said: bytes(32)), ECDSA)
    faults = run.turn().faults()
    proofs = [cast(bytes, faults[name].proof) for name in "ab"]
    boot_keys = {name: cluster[name].call("status")["public_key"] for name in cluster.names}
    assert equivocators(proofs[0], proofs[1], boot_keys) == ()


def test_there_is_nothing_to_echo_in_the_first_round() -> None:
    _, run = with_liar(told(1, echo=lambda said: b"\1" * 32))
    assert {fault.code for name, fault in run.faults().items() if name in "ab"} == {"split_view"}


ACCUSED = ("malformed_message", "accusation", ("c",))

LIES: list[tuple[str, Lie, tuple[str, str | None, tuple[str, ...]]]] = [
    ("no envelope", lambda said: b"rubbish", ACCUSED),
    ("nothing", lambda said: b"", ACCUSED),
    ("unsigned", told(1, signature=lambda said: None), ACCUSED),
    ("a signature of nothing", told(1, broadcast=lambda said: None), ACCUSED),
    ("cut", told(1, broadcast=lambda said: (said.envelope.broadcast or b"")[:-1]), ACCUSED),
    ("huge", told(1, broadcast=lambda said: bytes((1 << 20) + 1)), ("oversized_message", "accusation", ("c",))),
    (
        "a proof of knowledge changed",
        told(1, broadcast=lambda said: flip(said.envelope.broadcast, -10)),
        ("bad_proof", "proof", ("c",)),
    ),
    (
        "the header of another",
        told(1, broadcast=lambda said: flip(said.envelope.broadcast, 0)),
        ("foreign_message", "unattributed", ()),
    ),
    ("a private part too many", told(1, private=lambda said: b"x"), ("unexpected_message", None, ())),
    (
        "silence",
        told(1, broadcast=lambda said: None, signature=lambda said: None),
        ("missing_message", None, ()),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("lie", "expected"), [row[1:] for row in LIES], ids=[row[0] for row in LIES])
def test_a_lie_in_the_first_round(lie: Lie, expected: tuple[str, str | None, tuple[str, ...]]) -> None:
    cluster, run = with_liar(lie)
    faults = run.faults()
    for name in "ab":
        assert (faults[name].code, faults[name].verdict, faults[name].culprits) == expected
        assert cluster[name].phase == "ordered"
        assert cluster[name].call("status")["inflight"] == 0
    reform(cluster["c"], cluster.order_id)
    cluster.deal().certify()


def test_a_broadcast_signed_by_another_key_is_an_accusation() -> None:
    def lie(said: Said) -> bytes:
        return dataclasses.replace(said.envelope, signature=bytes(64)).encode()

    _, run = with_liar(lie)
    fault = run.faults()["a"]
    assert (fault.code, fault.verdict, fault.culprits) == ACCUSED
    assert "did not sign" in fault.reason


def test_a_wrong_share_is_an_accusation_by_the_one_who_got_it() -> None:
    """b cannot know who lies, and goes on: but without a there is no wallet."""
    cluster, run = with_liar(told(2, to="a", private=lambda said: flip(said.envelope.private, -5)))
    faults = run.turn().faults()
    assert faults.keys() == {"a"}
    assert (faults["a"].code, faults["a"].verdict, faults["a"].culprits) == ("bad_share", "accusation", ("c",))
    assert [cluster[name].phase for name in "ab"] == ["ordered", "dealt"]


def test_a_rogue_key_is_refused_in_musig2() -> None:
    """c opens its commitment to another key than it committed to, having seen the others'."""
    cluster, run = with_liar(told(2, broadcast=lambda said: flip(said.envelope.broadcast, 20)), MUSIG2)
    faults = run.turn().faults()
    for name in "ab":
        assert faults[name].verdict in ("proof", "accusation") and faults[name].culprits == ("c",)
    assert [cluster[name].phase for name in "ab"] == ["ordered", "ordered"]


def test_an_accused_ot_cheat_takes_no_part_in_another_dkg() -> None:
    """The failed check is named as what it is although there is no share yet, and the pair stays cut."""
    cluster = linked(ECDSA, 2, 2)
    corrupt(cluster["b"], cluster.order_id, told(3, private=lambda said: flip(said.envelope.private, -1)))
    fault = cluster.dkg().start().turn().turn().faults()["a"]
    assert (fault.code, fault.verdict, fault.culprits) == ("ot_check_failed", "accusation", ("b",))
    assert cluster["a"].phase == "ordered"
    reform(cluster["b"], cluster.order_id)
    assert refused("pair_banned", cluster.dkg().start, "a").culprits == ("b",)
