"""The benchmarks' floor makes a request's trips: they are measured beside the host, and here as the host makes them."""

from __future__ import annotations

import json
import secrets

import pytest

from benchmarks import trips
from benchmarks.floor import question
from strongroom import schemes
from strongroom.chains.evm import Transaction
from strongroom_client.cluster.chain import ACCOUNTS, CHAIN_ID
from strongroom_client.transactions import SignedIntent, sign_intent, submit
from tests.fixtures_cluster import ECDSA, ED25519, Running

pytestmark = pytest.mark.timeout(300)  # a busy machine is no failure
TO = bytes.fromhex(ACCOUNTS[0][2:])


def intent(live: Running, scheme: str, nonce: int) -> SignedIntent:
    body, requester = live.wallet(scheme).body, live.cluster.requester()
    if scheme == ECDSA:
        payload = Transaction(CHAIN_ID, nonce, 10**9, 2 * 10**9, 21_000, TO, 1).encode()
        return sign_intent(body, "evm-transaction", payload, requester, chain=f"evm:{CHAIN_ID}")
    return sign_intent(body, "message", secrets.token_hex(16).encode(), requester)


@pytest.mark.parametrize("scheme", [ECDSA, ED25519])
def test_the_floors_trips_are_those_of_a_request(live: Running, scheme: str) -> None:
    wallet = live.wallet(scheme)
    with live.cluster.api() as api:
        for nonce in (500, 501):  # the first makes what is warm in the second
            for link in live.links.values():
                link.seen.clear()
            submit(api, wallet.body, intent(live, scheme, nonce))
    real = trips.of(link.seen for link in live.links.values())
    bodies = []
    for nonce in (502, 503):
        signed = intent(live, scheme, nonce)
        bodies.append(
            json.dumps({"intent": signed.intent.encode().hex(), "signature": signed.signature.hex()}).encode()
        )
    measured = trips.measure(live.cluster, wallet, *bodies)
    assert len(real) == len(measured) == schemes.suite(scheme).trips
    for one, other in zip(real, measured, strict=True):
        assert one == pytest.approx(other, rel=0.1, abs=32)
    longest = max(answer for _, answer in measured)
    # DKLs23's second message has 55 KB (docs/native-messages.md); FROST's have less than a hundred bytes.
    assert 55_000 < longest < 60_000 if scheme == ECDSA else longest < 4_000
    asked = json.loads(question(bodies[0], measured, 2))
    assert asked["trips"] == [list(each) for each in measured] and asked["signers"] == 2
