"""Evidence that is not what the officers ordered: signers in the place of rostered ones, and orders nobody gave.

No channel comes about, so no ceremony does; the true signers' channels stand, and their wallet signs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.errors import Refusal
from strongroom.evidence.statement import AWS_NITRO_ROOT
from strongroom.policy.lists import Recipients
from strongroom.signer.configuration import Officers
from strongroom.wallet.order import Order, SignedOrder, order_id, order_signing_bytes
from strongroom_client import keyfiles
from strongroom_client.cluster.process import Process, module
from strongroom_host.storage.wallets import Wallet
from tests.attacks.corrupt import corrupted
from tests.attacks.custody import ECDSA, ED25519, Custody
from tests.attacks.hand import refused
from tests.attacks.impostor import NITRO_ROOT, OPERATOR, standing_in

A, B, C = "enclave-1", "enclave-2", "hsm-1"
HOURS = 3600


@pytest.fixture(autouse=True)
def _intact(ed25519: Wallet) -> None:
    """The wallet of the true signers, before and after."""


def refused_as_peer(custody: Custody, code: str, name: str, peer: str) -> None:
    """By `peer`, whichever of the two opens the handshake with the impostor called `name`."""
    order = custody.signed(custody.order(ED25519))
    for each in (name, peer):
        custody.ask(each, "order.accept", {"order": order.encode()})
    for opener, answerer in ((peer, name), (name, peer)):
        with pytest.raises(Refusal) as caught:
            custody.relay.handshakes.open(order.order_id, [(opener, answerer)])
        assert (caught.value.code, getattr(caught.value, "by", None)) == (code, peer), caught.value.reason
    assert channels(custody, peer, order.order_id) == set()


def channels(custody: Custody, name: str, order: bytes) -> set[str]:
    """The peers to whom a signer has a channel of this order."""
    for row in custody.status(name).wallets:
        if row["order"] == order:
            return {peer for peer, _ in row["channels"]}
    raise AssertionError("the signer does not know this order")


# --- Enclaves ---


def test_a_debug_enclave(custody: Custody, tmp_path: Path) -> None:
    with standing_in(custody, B, tmp_path, nsm=["--debug"]) as host:
        refused_as_peer(host, "evidence_debug", B, A)
        refused_as_peer(host, "evidence_debug", B, C)


def test_an_enclave_of_another_root(custody: Custody, tmp_path: Path) -> None:
    """A whole AWS of the host's own."""
    with standing_in(custody, B, tmp_path, other=NITRO_ROOT) as host:
        refused_as_peer(host, "evidence_root", B, A)


def test_an_enclave_of_another_role(custody: Custody, tmp_path: Path) -> None:
    """The same image and configuration, with another PCR3."""
    with standing_in(custody, B, tmp_path, nsm=["--role", "arn:aws:iam::1:role/x"]) as host:
        refused_as_peer(host, "evidence_measurement", B, A)


def test_two_enclaves_on_one_instance(custody: Custody, tmp_path: Path) -> None:
    """enclave-2 on enclave-1's instance, of which no roster says anything. Either notices; both speak to the token."""
    with standing_in(custody, B, tmp_path, instance=custody.cluster.plan.signer(A).instance) as host:
        order = host.signed(host.order(ED25519))
        for each in (A, B, C):
            host.ask(each, "order.accept", {"order": order.encode()})
        for pair in ((A, B), (B, A)):
            with pytest.raises(Refusal) as caught:
                host.relay.handshakes.open(order.order_id, [pair])
            assert caught.value.code == "evidence_measurement" and "own instance" in caught.value.reason
        host.relay.handshakes.open(order.order_id, [(A, C), (B, C)])
        assert channels(host, A, order.order_id) == channels(host, B, order.order_id) == {C}


@pytest.mark.parametrize("scheme", [ECDSA, ED25519])
def test_an_instance_that_replaces_a_lost_one(breakable: Custody, tmp_path: Path, scheme: str) -> None:
    """With its disk, which held nothing that counts: the records are the host's, the key's policy knows no instance."""
    wallet = breakable.wallet(scheme)
    breakable.cluster.kill(B)
    with standing_in(breakable, B, tmp_path, instance="i-00000000000000000") as host:
        host.require_intact(wallet)
    breakable.cluster.restart(B)
    breakable.sign(wallet, (A, B))
    breakable.require_intact(wallet)


@pytest.mark.parametrize("hours", [-4, 4])
def test_an_enclave_whose_leaf_is_over_or_not_yet_begun(custody: Custody, tmp_path: Path, hours: int) -> None:
    offset = tmp_path / "offset"
    offset.write_text(str(hours * HOURS))
    with standing_in(custody, B, tmp_path, nsm=["--clock-offset", offset]) as host:
        order = host.signed(host.order(ED25519))
        for each in (A, B):
            host.ask(each, "order.accept", {"order": order.encode()})
        with pytest.raises(Refusal) as caught:
            host.relay.handshakes.open(order.order_id, [(A, B)])
        assert (caught.value.code, getattr(caught.value, "by", None)) == ("evidence_expired", A)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"name": "enclave-9"}, "not_in_roster"),
        ({"name": "enclave-1"}, "not_in_roster"),
        ({"officers": None}, "order_not_signed"),
        ({"sealing": "arn:aws:kms:simulated-2:000000000002:key/of-the-host"}, "not_in_roster"),
    ],
    ids=["another name", "another signer's name", "other officers", "a KMS key of the host's"],
)
def test_an_enclave_of_another_configuration(
    custody: Custody, tmp_path: Path, changed: dict[str, Any], code: str
) -> None:
    """It does not even take the order; that its peers would not take it either, see below."""
    configured = custody.cluster.configurations[B]
    if "officers" in changed:
        own = keyfiles.public(Ed25519PrivateKey.generate())
        changed = {"officers": {"keys": [own.hex()], "quorum": 1}}
    if "sealing" in changed:
        sealing, authority = configured.sealing, configured.sealing.authority
        assert authority is not None
        changed = {
            "sealing": {
                "kind": "kms",
                "key": changed["sealing"],
                "endpoint": sealing.endpoint,
                "authority": authority.hex(),
            }
        }
    with standing_in(custody, B, tmp_path, attested=changed) as host:
        order = host.signed(host.order(ED25519))
        with refused(code, by=B):
            host.ask(B, "order.accept", {"order": order.encode()})


def test_an_enclave_that_takes_any_order(breakable: Custody) -> None:
    """Its program does not look whether the order means its configuration, in which the host may have named a key of
    its own. The configuration is in PCR16, about which no program can lie."""
    sealing = {"kind": "kms", "key": "arn:aws:kms:simulated-2:000000000002:key/of-the-host"}
    true = breakable.cluster.configurations[B].sealing
    assert true.authority is not None
    attested = {"sealing": sealing | {"endpoint": true.endpoint, "authority": true.authority.hex()}}
    with corrupted(breakable, B, attested) as signer:
        order = breakable.signed(breakable.order(ED25519))
        breakable.ask(A, "order.accept", {"order": order.encode()})
        with refused("not_in_roster", by=B):
            breakable.ask(B, "order.accept", {"order": order.encode()})
        signer.believe(order.encode())
        for pair in ((A, B), (B, A)):
            with refused("evidence_measurement", by=A):
                breakable.relay.handshakes.open(order.order_id, [pair])
        assert channels(breakable, A, order.order_id) == set()
    breakable.require_intact(breakable.create(order))


# --- The signer beside an HSM ---


def test_an_hsm_certified_by_another_operator(custody: Custody, tmp_path: Path) -> None:
    with standing_in(custody, C, tmp_path, other=OPERATOR) as host:
        refused_as_peer(host, "evidence_root", C, A)


def test_an_hsm_of_another_name(custody: Custody, tmp_path: Path) -> None:
    """Certified by the true operator, but as somebody else: it does not take the order."""
    with standing_in(custody, C, tmp_path, attested={"name": "hsm-9"}) as host:
        order = host.signed(host.order(ED25519))
        with refused("not_in_roster", by=C):
            host.ask(C, "order.accept", {"order": order.encode()})


def test_an_enclave_in_the_place_of_the_hsm(custody: Custody, tmp_path: Path) -> None:
    """And the other way round: a signer proves its own root, and no other."""
    swapped = {C: custody.cluster.socket(B), B: custody.cluster.socket(C)}
    with Custody(custody.cluster, swapped) as host:
        order = host.signed(host.order(ED25519))
        for each in (A, B, C):
            host.ask(each, "order.accept", {"order": order.encode()})
        for peer in (B, C):
            with pytest.raises(Refusal) as caught:
                host.relay.handshakes.open(order.order_id, [(A, peer)])
            assert caught.value.code == "channel_handshake"


# --- Orders ---


def production(order: Order) -> Order:
    """As far as it can be written: Nitro members must name AWS's root then."""
    roster = tuple(
        dataclasses.replace(member, trust=AWS_NITRO_ROOT) if member.root == "nitro" else member
        for member in order.roster
    )
    return dataclasses.replace(order, mode="production", roster=roster)


@pytest.mark.parametrize("name", [A, B, C])
def test_a_production_order_for_simulated_signers(custody: Custody, name: str) -> None:
    order = custody.signed(production(custody.order(ED25519)))
    with refused("mode_mismatch", by=name):
        custody.ask(name, "order.accept", {"order": order.encode()})


def test_a_production_order_that_names_a_simulated_root(custody: Custody) -> None:
    """It cannot even be written by our own code; written by hand, signers do not read it."""
    order = custody.order(ED25519)
    with refused("mode_mismatch"):
        dataclasses.replace(order, mode="production")
    raw = order.encode().replace(b"\x64mode\x69simulated", b"\x64mode\x6aproduction")
    assert raw != order.encode()
    signed = SignedOrder(raw, order, _officers_sign(custody, raw))
    for name in custody.names:
        with refused("mode_mismatch", by=name):
            custody.ask(name, "order.accept", {"order": signed.encode()})


def _officers_sign(custody: Custody, raw: bytes) -> tuple[tuple[bytes, bytes], ...]:
    message = order_signing_bytes(order_id(raw))
    return tuple(sorted((keyfiles.public(key), key.sign(message)) for key in custody.officer_keys))


def test_a_production_signer_takes_nothing_simulated(custody: Custody, tmp_path: Path) -> None:
    """The program itself, with the mode changed in its configuration: it does not start."""
    config = tmp_path / "config.json"
    raw = custody.cluster.plan.signer(A).config.read_text().replace('"simulated"', '"production"', 1)
    config.write_text(raw.replace(str(custody.cluster.socket(A)), str(tmp_path / "sock")))
    process = Process("production", module("strongroom_enclave", "run", "--config", config), tmp_path)
    with refused("cluster_failed"):
        process.start()
    assert "mode_mismatch: " in process.log.read_text() or "bad_configuration: " in process.log.read_text()


@pytest.fixture
def order(custody: Custody) -> Iterator[Order]:
    yield custody.order(ED25519)


def test_an_order_short_of_its_quorum(custody: Custody, order: Order) -> None:
    for quorum in (0, 1):
        for name in custody.names:
            with refused("order_not_signed", by=name):
                custody.ask(name, "order.accept", {"order": custody.signed(order, quorum=quorum).encode()})


def test_an_order_of_the_hosts_own_officers(custody: Custody, order: Order) -> None:
    """In their own name, and in the true officers' name."""
    key = Ed25519PrivateKey.generate()
    usurped = dataclasses.replace(order, officers=Officers((keyfiles.public(key),), 1))
    signature = key.sign(order_signing_bytes(order_id(usurped.encode())))
    stolen = {officer: key.sign(order_signing_bytes(order_id(order.encode()))) for officer in custody.officers.keys}
    for signed in (SignedOrder.of(usurped, {keyfiles.public(key): signature}), SignedOrder.of(order, stolen)):
        for name in custody.names:
            with refused("order_not_signed", by=name):
                custody.ask(name, "order.accept", {"order": signed.encode()})


def test_one_officers_signature_counted_twice(custody: Custody, order: Order) -> None:
    [pair] = custody.signed(order, quorum=1).signatures
    twice = SignedOrder(order.encode(), order, (pair, pair))
    for name in custody.names:
        with refused("order_not_signed", by=name):
            custody.ask(name, "order.accept", {"order": twice.encode()})


def test_signatures_moved_to_another_order(custody: Custody, order: Order) -> None:
    """A lower threshold, a wider policy, another roster: the quorum did not sign that."""
    signatures = custody.signed(order).signatures
    policy = dataclasses.replace(order.policy, lists=(Recipients("known"),))
    changes: list[dict[str, Any]] = [{"threshold": 3}, {"policy": policy}, {"roster": order.roster[::-1]}]
    for changed in changes:
        other = dataclasses.replace(order, **changed)
        for name in custody.names:
            with refused("order_not_signed", by=name):
                custody.ask(name, "order.accept", {"order": SignedOrder(other.encode(), other, signatures).encode()})


def test_an_order_that_does_not_accept_an_unaudited_suite(custody: Custody) -> None:
    """Written by hand, since our own code refuses to."""
    order = custody.order(ECDSA)
    raw = order.encode()
    start = raw.index(b"\x69unaudited") + 10
    bare = raw[:start] + b"\x80" + raw[start + 2 + len(ECDSA) :]
    signed = SignedOrder(bare, order, _officers_sign(custody, bare))
    for name in custody.names:
        with refused("suite_not_accepted", by=name):
            custody.ask(name, "order.accept", {"order": signed.encode()})
