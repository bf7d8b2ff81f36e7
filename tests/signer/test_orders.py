"""order.accept: the officers' order of this signer's mode and configuration, and no other."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from strongroom.evidence.statement import AWS_NITRO_ROOT
from strongroom.signer import wallets
from strongroom.signer.configuration import Configuration, Officers, Sealing
from strongroom.signer.machine import Signer
from strongroom.wallet.order import Member, Order, SignedOrder
from tests.signer.cluster import Cluster, Node, Plan
from tests.wallet.orders import (
    NAMES,
    OFFICER_KEYS,
    OFFICERS,
    SCHEMES,
    configuration,
    labels,
    member,
    order,
    sign,
    signed,
)
from tests.wire.refused import refused


def accept(node: Node, asked: SignedOrder) -> Any:
    return node.call("order.accept", order=asked.encode())


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan()


def test_an_order_is_accepted_by_everyone_whom_it_names(plan: Plan) -> None:
    asked = signed(plan.order())
    for index, name in enumerate(plan.names, 1):
        node = Node(name, plan.root(name))
        assert accept(node, asked) == {"order": asked.order_id, "index": index}
        assert accept(node, asked) == {"order": asked.order_id, "index": index}
        assert len(node.call("status")["wallets"]) == 1


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_order_of_each_scheme(scheme: str) -> None:
    accept(Node("a", "nitro"), signed(Plan(scheme).order()))


def test_the_quorum_of_the_pinned_officers_signed(plan: Plan) -> None:
    """test_order.py has every wrong set of signatures; here that they are asked for."""
    keys, node = tuple(OFFICER_KEYS), Node("a", "nitro")
    refused("order_not_signed", accept, node, signed(plan.order(), keys[:1]))
    refused("order_not_signed", accept, node, SignedOrder.of(plan.order(), sign(b"another", keys)))
    own = Officers(keys[:1], 1)
    refused("order_not_signed", accept, node, signed(plan.order(officers=own), keys[:1]))
    assert node.call("status")["wallets"] == []


def with_member(changes: dict[str, Any]) -> SignedOrder:
    plan = Plan()
    own = dataclasses.replace(plan.member("a"), **changes)
    return signed(plan.order(roster=(own, *map(plan.member, "bc"))))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "z"},
        {"measurements": {**member("a").measurements, "pcr16": bytes(48)}},
        {"measurements": {**member("a").measurements, "pcr16": configuration("a").digest()}},
        {"measurements": {**member("b").measurements, "pcr4": bytes(48)}},
        {"root": "pkcs11", "labels": labels("a", "pkcs11"), "measurements": {"configuration": bytes(48)}},
        # Its very configuration, under the root that it does not have.
        {
            "root": "pkcs11",
            "labels": labels("a", "pkcs11"),
            "measurements": {"configuration": configuration("a").digest()},
        },
    ],
    ids=["name", "zero", "digest", "another's", "another root", "another root, same configuration"],
)
def test_the_roster_must_name_this_very_configuration(changes: dict[str, Any]) -> None:
    """A roster that a signer does not fit would make a wallet that nobody can verify."""
    refused("not_in_roster", accept, Node("a", "nitro"), with_member(changes))


def production(name: str = "a") -> tuple[Signer, Configuration]:
    own = Configuration("production", name, OFFICERS, Sealing("kms", "arn"))
    node = Node("a", "nitro")
    return Signer(own, node.sealer, node.attester, node.clock, bytes, node.health), own


def production_order(**changes: str) -> Order:
    def enclave(name: str) -> Member:
        own = Configuration("production", name, OFFICERS, Sealing("kms", "arn"))
        measurements = {**member(name).measurements, "pcr16": own.pcr16()}
        return member(name, trust=AWS_NITRO_ROOT, measurements=measurements, labels=labels(name, **changes))  # type: ignore[arg-type]

    return order(mode="production", roster=tuple(map(enclave, NAMES[:3])))


def test_modes_do_not_mix(plan: Plan) -> None:
    node = Node("a", "nitro")
    refused("mode_mismatch", accept, node, signed(production_order()))
    node.signer, _ = production()
    refused("mode_mismatch", accept, node, signed(plan.order()))
    accept(node, signed(production_order()))


@pytest.mark.parametrize("label", ["machine", "account", "operator"])
def test_production_refuses_a_roster_that_one_administrator_commands(label: str) -> None:
    node = Node("a", "nitro")
    node.signer, _ = production()
    refused("administrators", accept, node, signed(production_order(**{label: "one"})))
    assert node.call("status")["wallets"] == []


def test_what_is_no_order_is_refused() -> None:
    node = Node("a", "nitro")
    refused("malformed_cbor", node.call, "order.accept", order=b"")
    refused("malformed_message", node.call, "order.accept", order=b"\xa0")
    refused("malformed_message", node.call, "order.accept", order=bytes((1 << 18) + 1))


def test_the_number_of_orders_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wallets, "MAX_WALLETS", 2)
    node, orders = Node("a", "nitro"), [signed(Plan().order()) for _ in range(3)]
    for asked in orders[:2]:
        accept(node, asked)
    assert not refused("order_limit", accept, node, orders[2]).retryable
    accept(node, orders[0])


def test_wallets_of_two_orders_do_not_touch_each_other() -> None:
    cluster, other = Cluster(), Cluster()
    other.nodes = cluster.nodes
    cluster.accept().link().deal().certify()
    other.accept()
    refused("channel_missing", other.dkg().start)
    other.link().deal()
    assert other.wallet != cluster.wallet
    assert [row["phase"] for row in cluster["a"].call("status")["wallets"]] == ["certified", "dealt"]
    cluster.sign(cluster.intent(), ("a", "b"))
    refused("wrong_phase", other.signing(other.intent(), ("a", "b")).start)
    refused(
        "bad_certificate", cluster["a"].call, "wallet.certify", wallet=other.wallet, body=cluster.body, nonce=bytes(32)
    )
