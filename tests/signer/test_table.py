"""Every operation in every phase of a wallet: allowed or refused as written down here, once more and independently."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from strongroom.errors import Refusal
from strongroom.policy.directives import Freeze, Renewal
from strongroom.policy.document import Policy
from strongroom.signer import table
from strongroom.signer.wallets import MAX_ABORTS
from tests.policy.directing import sign, successor
from tests.signer.cluster import NOW, Answer, Cluster, loaded
from tests.wallet.orders import ECDSA, ED25519
from tests.wire.refused import refused

PHASES = ("ordered", "dealing", "dealt", "certified", "stopped")
ALIVE = PHASES[:4]
HELD = ("dealt", "certified", "stopped")

ALLOWED: dict[str, tuple[str, ...]] = {
    "channel.open": ALIVE,
    "channel.answer": ALIVE,
    "channel.prove": ALIVE,
    "channel.accept": ALIVE,
    "channel.finish": ALIVE,
    "dkg.start": ("ordered", "dealing", "dealt"),
    "pair.start": ("dealt", "certified"),
    "test.start": ("dealt", "certified"),
    "wallet.certify": ("dealt", "certified"),
    "wallet.attest": ("certified",),
    "sign.start": ("certified",),
    "policy.install": HELD,
    "policy.renew": HELD,
    "policy.freeze": HELD,
    "policy.show": HELD,
}
WITNESSED = {"wallet.witness"} | {
    f"journal.{step}" for step in ("open", "ask", "tell", "hear", "reserve", "checkpoint", "waive")
}
RELEASED = {"release.install", "release.activate", "handover.answer", "handover.give", "handover.keep"}
AFTER = {"dkg.start": "dealing", "wallet.certify": "certified"}
"""The phase after success, where it is another one."""


def at(phase: str, scheme: str) -> Cluster:
    """A cluster whose signer `a` holds a share and is in this phase."""
    cluster = loaded(scheme, certified=phase in ("certified", "stopped"))
    if phase in ("dealing", "ordered"):
        run = cluster.dkg().start("a")
        if phase == "ordered":
            refused("missing_message", run.step, "a", [])
    if phase == "stopped":
        for _ in range(MAX_ABORTS):
            cluster["a"].signer._wallets.by_order(cluster.order_id).ended(unattributed=True)
    assert cluster["a"].phase == phase
    return cluster


def start(cluster: Cluster, operation: str) -> Answer:
    """The operation at `a`, with everything that it wants."""
    names = ["a", "b"]
    if operation.startswith("channel."):
        return channel(cluster, operation)
    bodies: dict[str, Callable[[], dict[str, Any]]] = {
        "dkg.start": lambda: cluster.dkg().starts["a"][1],
        "pair.start": lambda: cluster.pairing(*names).starts["a"][1],
        "test.start": lambda: cluster.testing(names).starts["a"][1],
        "sign.start": lambda: cluster.signing(cluster.intent(), names).starts["a"][1],
        "wallet.certify": lambda: {"wallet": cluster.wallet, "body": loaded().body, "nonce": os.urandom(32)},
        "wallet.attest": lambda: {"wallet": cluster.wallet, "nonce": os.urandom(32)},
        "policy.install": lambda: directed(cluster, successor(cluster.order.policy, cluster.wallet)),
        "policy.renew": lambda: directed(cluster, Renewal(cluster.wallet, cluster.order.policy.digest(), NOW + 60)),
        "policy.freeze": lambda: directed(cluster, Freeze(cluster.wallet, 1)),
        "policy.show": lambda: {"wallet": cluster.wallet, "nonce": os.urandom(32)},
    }
    return cluster["a"].call(operation, **bodies[operation]())


def directed(cluster: Cluster, document: Policy | Renewal | Freeze) -> dict[str, Any]:
    return {"wallet": cluster.wallet, "directive": sign(document).encode()}


def channel(cluster: Cluster, operation: str) -> Answer:
    opening = operation in ("channel.open", "channel.prove", "channel.finish")
    order, message = cluster.order_id, {} if operation == "channel.open" else {"message": bytes(40)}
    if cluster["a"].phase in ALLOWED[operation]:
        before = {"answer": "open", "prove": "answer", "accept": "prove", "finish": "accept"}
        step = operation.removeprefix("channel.")
        if step != "open":
            opener, answerer = ("a", "b") if opening else ("b", "a")
            message = {"message": cluster.handshake(opener, answerer, f"channel.{before[step]}")}
    return cluster["a"].call(operation, order=order, peer="b", **message)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("operation", ALLOWED)
def test_an_operation_in_a_phase(operation: str, phase: str) -> None:
    cluster = at(phase, ECDSA if operation == "pair.start" else ED25519)
    if phase in ALLOWED[operation]:
        start(cluster, operation)
        assert cluster["a"].phase == AFTER.get(operation, phase)
        return
    code = "wallet_stopped" if phase == "stopped" else "wrong_phase"
    refusal = refused(code, start, cluster, operation)
    assert operation in refusal.reason
    assert cluster["a"].phase == phase


def test_the_table_has_no_other_rows() -> None:
    assert table.TABLE.keys() == ALLOWED.keys() | {"dkg.done", "wallet.load", "policy.load"} | WITNESSED | RELEASED
    assert set(table.REMEDIES) == {*PHASES, "witness"}


@pytest.mark.parametrize("operation", sorted(RELEASED))
def test_a_release_is_for_wallets_that_are_held(operation: str) -> None:
    phases = table.TABLE[operation].phases
    assert {"certified", "witness"} <= phases <= {*HELD, "witness"}
    assert operation.startswith("handover.") == ("dealt" not in phases)


@pytest.mark.parametrize("operation", sorted(WITNESSED - {"wallet.witness"}))
def test_a_journal_is_kept_of_a_certified_wallet_and_by_a_witness(operation: str) -> None:
    assert table.TABLE[operation].phases == {"certified", "witness"}
    for phase in ("ordered", "dealing", "dealt", "stopped"):
        with pytest.raises(Refusal):
            table.require(operation, phase)


def test_a_wallet_goes_through_its_phases_in_order() -> None:
    cluster = Cluster().accept().link()
    seen = [cluster["a"].phase]
    run = cluster.dkg().start()
    seen.append(cluster["a"].phase)
    run.finish()
    seen.append(cluster["a"].phase)
    cluster.deal().certify()
    seen.append(cluster["a"].phase)
    assert seen == ["ordered", "dealing", "dealt", "certified"]


@pytest.mark.parametrize("phase", PHASES)
def test_only_an_ordered_wallet_is_loaded(phase: str) -> None:
    """A record of an earlier DKG of the same order neither replaces a share nor interrupts a DKG."""
    cluster = Cluster().accept().link().deal()
    earlier = cluster.records["a"]
    cluster.deal()
    if phase == "ordered":
        cluster["a"].start()
    elif phase == "dealing":
        cluster.dkg().start("a")
    elif phase in ("certified", "stopped"):
        cluster.certify()
    if phase == "stopped":
        for _ in range(MAX_ABORTS):
            cluster["a"].signer._wallets.by_order(cluster.order_id).ended(unattributed=True)
    if phase == "ordered":
        assert cluster["a"].call("wallet.load", record=earlier, body=None)["phase"] == "dealt"
        return
    code = "wallet_stopped" if phase == "stopped" else "wrong_phase"
    refused(code, cluster["a"].call, "wallet.load", record=earlier, body=None)
    assert cluster["a"].phase == phase
    assert cluster["a"].status()["wallet"] == cluster.wallet


def test_nothing_of_a_wallet_is_known_before_its_order() -> None:
    cluster = loaded()
    stranger = Cluster(cluster.plan)
    for operation, body in (
        ("channel.open", {"order": cluster.order_id, "peer": "b"}),
        ("dkg.start", {"order": cluster.order_id, "tickets": [bytes(16)] * 3, "attempt": 0}),
    ):
        refused("unknown_order", stranger["a"].call, operation, **body)
    for operation in ("test.start", "sign.start", "wallet.attest", "wallet.certify", "pair.start"):
        run: dict[str, Callable[[], dict[str, Any]]] = {
            "test.start": lambda: cluster.testing(["a", "b"]).starts["a"][1],
            "sign.start": lambda: cluster.signing(cluster.intent(), ["a", "b"]).starts["a"][1],
            "wallet.attest": lambda: {"wallet": cluster.wallet, "nonce": bytes(32)},
            "wallet.certify": lambda: {"wallet": cluster.wallet, "body": b"", "nonce": bytes(32)},
            "pair.start": lambda: cluster.pairing("a", "b").starts["a"][1],
        }
        refused("unknown_wallet", stranger["a"].call, operation, **run[operation]())
