"""A restart: shares come back from their seals, to the signer, wallet, order and epoch that they are of."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from strongroom.errors import Refusal
from strongroom.wallet.certificate import Body
from strongroom.wallet.order import SignedOrder
from strongroom.wallet.record import MAX_SIZE, Record, sealing_context, share_aad
from strongroom.wire import cbor
from tests.signer.cluster import Cluster, Node, Plan, kept, loaded
from tests.signer.corrupt import flip
from tests.signer.seals import resealed
from tests.wallet.orders import ECDSA, MUSIG2, OFFICER_KEYS, SCHEMES, order, signed
from tests.wire.refused import refused

PAIR = ("a", "b")


def load(node: Node, record: Record | bytes, body: bytes | None = None) -> Any:
    raw = record.encode() if isinstance(record, Record) else record
    return node.call("wallet.load", record=raw, body=body)


@pytest.fixture
def cluster() -> Cluster:
    return loaded()


def restarted(cluster: Cluster, name: str = "a") -> tuple[Node, Record]:
    cluster[name].start()
    return cluster[name], Record.decode(cluster.records[name])


# --- What comes back ---


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_signs_again_after_a_restart_of_everybody(scheme: str) -> None:
    cluster = loaded(scheme)
    names = cluster.names if scheme == MUSIG2 else PAIR
    cluster.restart(*cluster.names).link()
    if scheme == ECDSA:
        refused("not_paired", cluster.signing(cluster.intent(), names).start)
        cluster.pair(*names)
    cluster.sign(cluster.intent(), names)


def test_a_restarted_signer_knows_nothing_until_it_is_loaded(cluster: Cluster) -> None:
    node, record = restarted(cluster)
    assert node.call("status")["wallets"] == []
    refused("unknown_wallet", cluster.signing(cluster.intent(), PAIR).start, "a")
    refused("unknown_order", cluster.handshake, "a", "b")
    answer = load(node, record, cluster.body)
    assert answer == {"wallet": cluster.wallet, "epoch": 1, "order": cluster.order_id, "phase": "certified"}
    refused("channel_missing", cluster.signing(cluster.intent(), PAIR).start, "a")


@pytest.mark.parametrize("opener", PAIR)
def test_one_restart_and_one_handshake_are_enough(cluster: Cluster, opener: str) -> None:
    """Whoever opens: the other holds a channel of before, which the restarted one has forgotten."""
    cluster.sign(cluster.intent(), PAIR)
    cluster.restart("a")
    cluster.handshake(opener, "b" if opener == "a" else "a")
    cluster.sign(cluster.intent(), PAIR)


def test_a_ceremony_under_way_is_lost_with_its_signer_and_only_that_one(cluster: Cluster) -> None:
    run = cluster.signing(cluster.intent(), PAIR).start()
    other = cluster.signing(cluster.intent(), ("b", "c")).start()
    cluster.restart("a").link("a", "b")
    refused("unknown_ceremony", run.step, "a", run.messages)
    other.finish()


def test_without_its_body_a_loaded_wallet_is_dealt_and_may_be_certified(cluster: Cluster) -> None:
    node, record = restarted(cluster)
    assert load(node, record)["phase"] == "dealt"
    refused("wrong_phase", cluster.signing(cluster.intent(), PAIR).start, "a")
    assert load(node, record, cluster.body)["phase"] == "certified"


def test_loading_twice_changes_nothing(cluster: Cluster) -> None:
    """Not even the pairings, which a fresh copy of the share would not have."""
    paired = kept(ECDSA)
    before = paired["a"].status()
    assert load(paired["a"], paired.records["a"], paired.body)["phase"] == "certified"
    assert paired["a"].status() == before
    assert before["paired"] == ["b", "c"]


def test_another_body_than_the_certified_one_is_refused(cluster: Cluster) -> None:
    other = cluster.make_body()
    node, record = restarted(cluster)
    load(node, record, cluster.body)
    refused("bad_certificate", load, node, record, other)
    assert node.phase == "certified"


def test_a_body_that_lies_leaves_the_wallet_dealt(cluster: Cluster) -> None:
    node, record = restarted(cluster)
    lying = dataclasses.replace(Body.decode(cluster.body or b""), transcript=bytes(32)).encode()
    refused("bad_certificate", load, node, record, lying)
    assert node.phase == "dealt"


# --- What does not ---


def test_a_record_of_another_signer_is_refused(cluster: Cluster) -> None:
    """By its name, and by its seal where the name was changed."""
    node, own = restarted(cluster)
    foreign = Record.decode(cluster.records["b"])
    refusal = refused("sealed_mismatch", load, node, foreign)
    assert "sealed by b, and this is a" in refusal.reason
    refused("sealed_mismatch", load, node, dataclasses.replace(foreign, signer="a"))
    refused("seal_mismatch", load, node, dataclasses.replace(own, share=foreign.share))


def test_a_record_under_one_kms_key_still_has_one_owner() -> None:
    """Two signers whose sealers unwrap for both: the context alone keeps them apart."""
    cluster = Cluster()
    cluster["b"].sealer = cluster["a"].sealer
    cluster["b"].start()
    cluster.accept().link().deal()
    node, own = restarted(cluster)
    foreign = Record.decode(cluster.records["b"])
    refused("sealed_mismatch", load, node, dataclasses.replace(foreign, signer="a"))
    refused("sealed_mismatch", load, node, dataclasses.replace(own, wrapped=foreign.wrapped, share=foreign.share))
    assert load(node, own)["phase"] == "dealt"


CHANGES: list[tuple[str, Callable[[Record], dict[str, Any]], str]] = [
    ("epoch 2", lambda record: {"epoch": 2}, "sealed_mismatch"),
    ("wallet", lambda record: {"wallet": bytes(32)}, "sealed_mismatch"),
    ("transcript", lambda record: {"transcript": bytes(32)}, "seal_mismatch"),
    ("wrapped", lambda record: {"wrapped": flip(record.wrapped, -1)}, "sealed_mismatch"),
    ("no wrapped", lambda record: {"wrapped": b""}, "sealed_mismatch"),
    ("share", lambda record: {"share": flip(record.share, -1)}, "seal_mismatch"),
    ("share's head", lambda record: {"share": flip(record.share, 0)}, "seal_mismatch"),
    ("no share", lambda record: {"share": b""}, "seal_mismatch"),
    ("order", lambda record: {"order": signed(Plan(nonce=bytes(32)).order())}, "seal_mismatch"),
    ("unsigned order", lambda record: {"order": SignedOrder.of(record.order.order, {})}, "order_not_signed"),
]


@pytest.mark.parametrize(("changes", "code"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_a_changed_record_is_refused(cluster: Cluster, changes: Callable[[Record], dict[str, Any]], code: str) -> None:
    node, record = restarted(cluster)
    refused(code, load, node, dataclasses.replace(record, **changes(record)))
    assert [row["phase"] for row in node.call("status")["wallets"]] in ([], ["ordered"])
    assert load(node, record, cluster.body)["phase"] == "certified"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_share_that_does_not_match_its_public_key_is_refused(scheme: str) -> None:
    """Under an honest seal: of a faulty HSM, or of a bug. Such a share would sign nothing, and cost the wallet."""
    cluster = loaded(scheme)
    node, _ = restarted(cluster)
    wrong = resealed(cluster, "a", lambda scalar: flip(scalar, 16))
    assert resealed(cluster, "a", bytes).encode() == cluster.records["a"]
    refused("seal_mismatch", load, node, wrong)
    assert node.phase == "ordered"


def test_a_record_of_another_wallet_of_the_same_order_is_that_wallet() -> None:
    """Both were sealed here; they do not mix, and a certificate is of one of them."""
    cluster = Cluster().accept().link().deal()
    first = Record.decode(cluster.records["a"])
    cluster.deal().certify()
    second = Record.decode(cluster.records["a"])
    node = cluster["a"]
    node.start()
    mixed = dataclasses.replace(first, wrapped=second.wrapped, share=second.share)
    refused("sealed_mismatch", load, node, mixed)
    mixed = dataclasses.replace(second, wrapped=first.wrapped)
    refused("sealed_mismatch", load, node, mixed)
    refused("bad_certificate", load, node, first, cluster.body)
    assert node.status()["wallet"] == first.wallet


def test_the_share_must_fit_the_wallet_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should a sealer ever open anything for anybody, the share itself still says whose it is."""
    cluster, other = loaded(), Cluster().accept().link().deal()
    node, record = restarted(cluster)
    strangers = other["a"].signer._wallets.by_order(other.order_id).hold().share
    third = cluster["c"].signer._wallets.by_order(cluster.order_id).hold().share
    for share in (strangers, third):
        monkeypatch.setattr(node.signer._keeping, "_unseal", lambda record, share=share: share)
        refused("sealed_mismatch", load, node, record)
        assert node.phase == "ordered"


@pytest.mark.parametrize("failure", ["sealer_unavailable", "sealer_refused", "token_unavailable"])
def test_a_sealer_that_fails_is_reported_and_loading_may_be_tried_again(cluster: Cluster, failure: str) -> None:
    node, record = restarted(cluster)
    node.sealer.fails = Refusal(failure, "what happened")
    assert refused(failure, load, node, record).reason == "what happened"
    node.sealer.fails = None
    assert load(node, record)["phase"] == "dealt"


def test_what_is_no_record_is_refused(cluster: Cluster) -> None:
    node, record = restarted(cluster)
    refused("malformed_cbor", load, node, b"")
    refused("malformed_message", load, node, b"\xa0")
    refused("malformed_message", load, node, bytes(MAX_SIZE + 1))
    value = cbor.decode(record.encode())
    assert isinstance(value, dict)
    for changes in (
        {"v": 2},
        {"more": 1},
        {"epoch": 0},
        {"wallet": bytes(31)},
        {"signer": b"a"},
        {"wrapped": bytes(8193)},
        {"share": bytes((1 << 16) + 1)},
        {"order": b"\xa0"},
    ):
        refused("malformed_message", load, node, cbor.encode({**value, **changes}))
    refused("oversized_message", Record.decode, bytes(MAX_SIZE + 1))


def test_an_order_is_checked_again_when_its_wallet_is_loaded(cluster: Cluster) -> None:
    """A signer with other officers, or another configuration, does not take the wallet back."""
    node, record = restarted(cluster)
    few = dataclasses.replace(record, order=signed(record.order.order, tuple(OFFICER_KEYS)[:1]))
    refused("order_not_signed", load, node, few)
    stranger = Node("a", "pkcs11", node.sealer)
    refused("not_in_roster", load, stranger, record)


# --- Bytes ---


def test_a_record_is_read_as_it_was_written() -> None:
    record = Record("a", bytes(32), 1, signed(order()), b"\1" * 32, b"wrapped", b"share")
    assert Record.decode(record.encode()) == record
    assert Record.decode(record.encode()).encode() == record.encode()


def test_what_a_share_is_sealed_for_is_as_the_specification_says() -> None:
    wallet, identifier, transcript = b"\1" * 32, b"\2" * 32, b"\3" * 32
    assert sealing_context("a", wallet, 1) == {"signer": "a", "wallet": "01" * 32, "epoch": "1", "kind": "share"}
    bound: dict[str, cbor.Value] = {
        "signer": "a",
        "wallet": wallet,
        "epoch": 1,
        "order": identifier,
        "transcript": transcript,
    }
    expected = hashlib.sha256(b"strongroom/record/v1" + cbor.encode(bound)).digest()
    assert share_aad("a", wallet, 1, identifier, transcript) == expected
    honest = ("a", wallet, 1, identifier, transcript)
    for place, other in enumerate(("b", bytes(32), 2, bytes(32), bytes(32))):
        changed: Any = (*honest[:place], other, *honest[place + 1 :])
        assert share_aad(*changed) != expected
