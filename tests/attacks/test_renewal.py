"""Certificates that end every few seconds: evidence and channels are renewed, and no ceremony is lost over it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from strongroom_client.cluster.authorities import SIMULATOR
from strongroom_client.cluster.process import Process, module
from strongroom_host.relay import handshake
from tests.attacks.custody import ECDSA, ED25519, Custody
from tests.attacks.hand import refused

A, B = "enclave-1", "enclave-2"
LIFE = 6
"""Seconds of a leaf's life; the NSM makes a new one when a sixth of it is left."""


@pytest.fixture(scope="module")
def short_lived(breakable: Custody) -> Iterator[Custody]:
    """Both enclaves' certificates live for seconds."""
    plan = breakable.cluster.plan
    lasting = {name: breakable.cluster.process(f"{name}-nsm") for name in (A, B)}
    for name, true in lasting.items():
        breakable.cluster.stop_process(name)
        true.stop()
    fleeting = []
    for name in (A, B):
        signer = plan.signer(name)
        command = module(
            SIMULATOR, "nsm", "--pki", plan.pki, "--socket", signer.nsm, "--instance", signer.instance,
            "--leaf-life", str(LIFE),
        )  # fmt: skip
        fleeting.append(Process(f"{name}-fleeting-nsm", command, plan.logs).start())
        breakable.cluster.process(name).start()
    yield breakable
    for name, brief in zip((A, B), fleeting, strict=True):
        breakable.cluster.stop_process(name)
        brief.stop()
        lasting[name].start()
        breakable.cluster.process(name).start()


def expiries(custody: Custody, order: bytes) -> set[int]:
    [row] = [row for row in custody.status(A).wallets if row["order"] == order]
    return {expires for peer, expires in row["channels"] if peer == B}


@pytest.mark.parametrize("scheme", [ED25519, ECDSA])
def test_channels_renewed_while_ceremonies_run(
    short_lived: Custody, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the lives of three certificates, two requests at a time, each with the same two signers: not one of them
    is lost or replaced."""
    monkeypatch.setattr(handshake, "RENEW_BEFORE", 0.5)
    wallet = short_lived.wallet(scheme)
    short_lived.require_intact(wallet)
    order, seen = wallet.signed_order.order_id, set[int]()

    def request(_: int) -> tuple[tuple[str, ...], int]:
        signed = short_lived.sign(wallet, (A, B))
        return signed.signers, signed.attempt

    with ThreadPoolExecutor(2) as pool:
        while len(seen) < 3:
            assert set(pool.map(request, range(8))) == {((A, B), 1)}
            seen |= expiries(short_lived, order)


def test_a_channel_that_nobody_renewed(short_lived: Custody) -> None:
    """It carries nothing after its end. A handshake later, it does."""
    wallet = short_lived.wallet(ED25519)
    short_lived.require_intact(wallet)
    end = max(expiries(short_lived, wallet.signed_order.order_id))
    while short_lived.status(A).clock < end:
        time.sleep(0.1)
    with refused("channel_expired", by=A, culprits=(B,)):
        short_lived.signing(wallet, (A, B))
    assert short_lived.sign(wallet, (A, B)).signers == (A, B)
