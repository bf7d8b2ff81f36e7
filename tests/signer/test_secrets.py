"""A planted share, searched for in everything that leaves a signer."""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Iterator

import pytest
from coincurve import PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.channel.pair import Pair
from tests.signer.cluster import Cluster, Plan
from tests.signer.corrupt import corrupt
from tests.signer.seals import secret
from tests.wallet.orders import TAPROOT
from tests.wire.refused import refused


def forms(hidden: bytes) -> Iterator[bytes]:
    for raw in (hidden, hidden[::-1]):
        yield from (raw, raw.hex().encode(), str(int.from_bytes(raw, "big")).encode(), repr(raw).encode())


def test_no_answer_no_log_and_no_repr_holds_a_share(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole life: the DKG, its failures, certificates, signatures, faults, a restart, and a defect inside."""
    caplog.set_level(logging.DEBUG)
    cluster = Cluster(Plan(TAPROOT))
    seen: list[bytes] = []

    def overhear(name: str) -> None:
        handle = cluster[name].signer.handle

        def heard(payload: bytes) -> bytes:
            answer = handle(payload)
            seen.extend((payload, answer))
            return answer

        monkeypatch.setattr(cluster[name].signer, "handle", heard)

    for name in cluster.names:
        overhear(name)
    cluster.accept().link().deal().certify()
    cluster.sign(cluster.intent(), ("a", "b"))
    # Faults, in which reasons and proofs leave.
    run = cluster.signing(cluster.intent(), ("a", "c")).start()
    refused("missing_message", run.step, "a", [])
    corrupt(cluster["c"], cluster.order_id, lambda said: b"rubbish")
    assert cluster.signing(cluster.intent(), ("b", "c")).start().faults()["b"].code == "malformed_message"
    # A restart, with a share that does not open and one that does.
    secrets = {name: secret(cluster, name) for name in cluster.names}
    cluster["a"].start()
    overhear("a")
    cluster.load("a")
    # A defect.
    monkeypatch.setattr(cluster["a"].signer._wallets, "by_wallet", lambda wallet: 1 // 0)
    refused("internal", cluster.signing(cluster.intent(), ("a", "b")).start, "a")

    shares = cluster.dealt["verification_shares"]
    public = [PrivateKey(secrets[name]).public_key.format() for name in cluster.names]
    assert public == shares  # these are the shares
    boot_keys = [node.signer._identity._key.private_bytes_raw() for node in cluster.nodes.values()]
    data_keys = [key for node in cluster.nodes.values() for key in node.sealer.keys.values()]
    wallet = cluster["b"].signer._wallets.by_order(cluster.order_id)
    shown = [repr(each) for each in (wallet, wallet.hold(), wallet.hold().share, cluster["b"].signer, vars(wallet))]
    haystack = b"\n".join([*seen, caplog.text.encode(), *(text.encode() for text in shown)])
    assert len(seen) > 100
    for hidden in (*secrets.values(), *boot_keys, *data_keys):
        assert not any(form in haystack for form in forms(hidden))
    assert wallet.hold().wallet in haystack  # the search finds what is there


def test_a_share_cannot_be_copied_out() -> None:
    cluster = Cluster().accept().link().deal()
    held = cluster["a"].signer._wallets.by_order(cluster.order_id).hold()
    with pytest.raises((TypeError, pickle.PicklingError)):
        pickle.dumps(held)
    assert not hasattr(held.share, "__dict__")


def test_halves_of_a_handshake_show_no_key() -> None:
    pair = Pair()
    drawn = [os.urandom(32) for _ in range(2)]
    left = iter(drawn)
    opened, m1 = pair.open(lambda size: next(left))
    answered, m2 = pair.answer(m1)
    proven, m3 = pair.prove(opened, m2)
    secrets = [drawn[0], *(getattr(proven.keys, name) for name in ("send", "receive", "confirm_own", "confirm_other"))]
    shown = "".join(map(repr, (opened, answered, proven, answered.keys))).encode() + m1 + m2 + m3
    assert X25519PrivateKey.from_private_bytes(drawn[0]).public_key().public_bytes_raw() in shown
    for hidden in secrets:
        assert not any(form in shown for form in forms(hidden))
