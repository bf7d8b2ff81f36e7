"""The host's program killed at each state of a request, with SIGKILL, under gunicorn, between real signers.

Afterwards a request is finished, failed, or `unknown`: then only identical bytes are signed. There are never two
signatures over different bytes for one request id, nor two transactions for one nonce.
"""

from __future__ import annotations

import dataclasses
import os
import select
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from strongroom.chains.evm import Transaction
from strongroom.errors import Refusal
from strongroom.intent.decoding import decode
from strongroom.intent.intent import intent_signing_bytes
from strongroom.policy.shown import NOTHING
from strongroom_client import transactions
from strongroom_client.api import Api, Json
from strongroom_client.cluster import HOST
from strongroom_client.cluster.chain import ACCOUNTS
from strongroom_client.cluster.plan import CHAIN, PORT
from strongroom_client.transactions import SignedIntent, Transfer
from strongroom_client.wallets import Verified
from strongroom_host.connection import Address
from strongroom_host.signers import Signers
from strongroom_simulator.adversary import Call, Drop, Forward, Rule, only
from tests.attacks.custody import verifies
from tests.attacks.hand import refused
from tests.attacks.secrets_of import processes
from tests.fixtures_cluster import ECDSA, ED25519, Running

A, B, C = "enclave-1", "enclave-2", "hsm-1"
TO = bytes.fromhex(ACCOUNTS[0].removeprefix("0x"))


def transfer(live: Running, api: Api, value: int = 10**15) -> SignedIntent:
    verified = live.wallet(ECDSA)
    transaction, _ = transactions.prepare(api, verified.body, Transfer(TO, value), verified.order.policy)
    payload, chain = transaction.encode(), f"evm:{transaction.chain_id}"
    return transactions.sign_intent(verified.body, "evm-transaction", payload, live.cluster.requester(), chain=chain)


def message(live: Running) -> SignedIntent:
    return transactions.sign_intent(live.wallet(ED25519).body, "message", b"pay nobody", live.cluster.requester())


def other_bytes(live: Running, signed: SignedIntent) -> SignedIntent:
    """Of the same request id, and lawful."""
    changed = dataclasses.replace(signed.intent, expiry=signed.intent.expiry + 1)
    return SignedIntent(changed, live.cluster.requester().sign(intent_signing_bytes(changed.intent_id)))


def submit(live: Running, signed: SignedIntent) -> Json:
    with live.cluster.api() as api:
        return api.submit(signed.intent.encode(), signed.signature, (A, C))


def row(live: Running, signed: SignedIntent) -> tuple[str, bytes | None, bytes | None] | None:
    """State, signature and raw transaction, as they are on the disk."""
    database = sqlite3.connect(live.cluster.plan.host / "host.db", timeout=10)
    try:
        asked = "select state, signatures, raw from requests where request = ?"
        found: Any = database.execute(asked, (signed.intent.request.hex(),)).fetchone()
        return None if found is None else tuple(found)
    finally:
        database.close()


def until(condition: Callable[[], bool]) -> None:
    while not condition():
        select.select([], [], [], 0.01)


def kill_host(live: Running) -> None:
    live.cluster.kill(HOST)


def kill_worker(live: Running) -> None:
    """The arbiter lives, and starts another."""
    arbiter = live.cluster.process(HOST).pid
    for pid in processes(arbiter):
        if pid != arbiter:
            os.kill(pid, signal.SIGKILL)


def killing(live: Running, kill: Callable[[Running], None], *, after: bool) -> Rule:
    """At a request's arrival at the signer, or with its answer."""

    def rule(call: Call, forward: Forward) -> bytes:
        if after:
            forward(call.request)
        kill(live)
        raise Drop

    return rule


@contextmanager
def submitting(live: Running, signed: SignedIntent) -> Iterator[list[Json | Refusal]]:
    """In a thread of its own, which nobody answers when the host dies."""
    outcome: list[Json | Refusal] = []

    def run() -> None:
        try:
            outcome.append(submit(live, signed))
        except Refusal as refusal:
            outcome.append(refusal)

    thread = threading.Thread(target=run)
    thread.start()
    yield outcome
    thread.join()


MOMENTS = {
    # scheme, operation, which of them, with its answer, and what may be left
    "ECDSA, first round asked for": (ECDSA, "sign.start", 1, False, {None, "failed"}),
    "ECDSA, second round asked for": (ECDSA, "ceremony.step", 1, False, {"failed", "unknown"}),
    "ECDSA, last round asked for": (ECDSA, "ceremony.step", 2, False, {"unknown"}),
    "ECDSA, last round answered": (ECDSA, "ceremony.step", 2, True, {"unknown"}),
    "Ed25519, first round asked for": (ED25519, "sign.start", 1, False, {None, "unknown"}),
    "Ed25519, last round answered": (ED25519, "ceremony.step", 1, True, {"unknown"}),
}


@pytest.mark.parametrize(("scheme", "operation", "nth", "after", "allowed"), MOMENTS.values(), ids=MOMENTS)
def test_the_host_killed_while_signing(
    live: Running, scheme: str, operation: str, nth: int, after: bool, allowed: set[str | None]
) -> None:
    if scheme == ECDSA and not live.cluster.has_chain:
        pytest.skip("no development chain on this machine")
    verified = live.wallet(scheme)
    with live.cluster.api() as api:
        signed = transfer(live, api) if scheme == ECDSA else message(live)
    live.links[A].rules.append(only(operation, killing(live, kill_host, after=after), nth=nth))
    with submitting(live, signed) as outcome:
        until(lambda: not live.cluster.process(HOST).running)
    assert isinstance(outcome[0], Refusal) and outcome[0].code == "host_unreachable"
    live.links[A].rules.clear()
    live.cluster.restart(HOST)
    settles(live, verified, signed, allowed)


def test_a_worker_killed_in_the_last_round(live: Running) -> None:
    verified, signed = live.wallet(ED25519), message(live)
    killed = killing(live, kill_worker, after=True)
    live.links[A].rules.append(only("ceremony.step", killed, nth=1))
    with submitting(live, signed) as outcome:
        until(lambda: bool(outcome) or row(live, signed) is not None)
    live.links[A].rules.clear()
    settles(live, verified, signed, {"unknown", "signed"})


def settles(live: Running, verified: Verified, signed: SignedIntent, allowed: set[str | None]) -> None:
    """What is left is one of these; other bytes are refused by host and signers; the same bytes are signed, once."""
    left = row(live, signed)
    assert (None if left is None else left[0]) in allowed
    if left is not None:
        with refused("request_conflict"):
            submit(live, other_bytes(live, signed))
    answer = submit(live, signed)
    assert answer["state"] in ("signed", "broadcast", "included", "confirmed")
    (signature,), (wanted,) = answer["signatures"], decode(signed.intent, verified.body.keys).to_sign
    assert verifies(verified.body, wanted.message, bytes.fromhex(signature))
    again = submit(live, signed)
    assert again["signatures"] == answer["signatures"]
    with refused("request_conflict"):
        submit(live, other_bytes(live, signed))
    signers_refuse(live, verified, other_bytes(live, signed), answer["signers"])
    if signed.intent.kind == "evm-transaction":
        mined_once(live, verified, signed)


def signers_refuse(live: Running, verified: Verified, signed: SignedIntent, names: Sequence[str]) -> None:
    """Asked at their own doors, by a host that skips its own check."""
    body: dict[str, Any] = {
        "wallet": verified.body.wallet,
        "intent": signed.intent.encode(),
        "signature": signed.signature,
        "approvals": [],
        "shown": NOTHING.value(),
        "set": list(names),
        "tickets": [bytes(16) for _ in names],
        "attempt": 1,
    }
    signers = Signers({name: Address.parse(f"uds:{live.cluster.socket(name)}#{PORT}") for name in names})
    try:
        for name in names:
            with refused("request_conflict", by=name):
                signers.call(name, "sign.start", body)
    finally:
        signers.close()


def mined_once(live: Running, verified: Verified, signed: SignedIntent) -> None:
    """The nonce is taken by exactly this transaction."""
    with live.cluster.api() as api:
        final = transactions.wait(api, signed.intent.request.hex())
    nonce = Transaction.decode(signed.intent.payload).nonce
    assert final["state"] in ("included", "confirmed")
    assert int(live.cluster.chain.call("eth_getTransactionCount", verified.address, "latest"), 16) == nonce + 1
    assert transactions.check(final, signed.intent, verified.body)


# --- From the signature to the chain ---


def test_the_host_killed_before_it_broadcasts(live_ethereum: Running) -> None:
    """The node does not answer; the signature is on the disk; the host dies. Then it broadcasts what it has."""
    live = live_ethereum
    verified = live.wallet(ECDSA)
    with live.cluster.api() as api:
        signed = transfer(live, api)
    live.cluster.pause(CHAIN)
    try:
        with submitting(live, signed):
            until(lambda: (row(live, signed) or ("",))[0] == "signed")
            kill_host(live)
    finally:
        live.cluster.resume(CHAIN)
    before = row(live, signed)
    live.cluster.restart(HOST)
    answer = submit(live, signed)
    assert before is not None and before[2] is not None and answer["transaction"]["raw"] == before[2].hex()
    mined_once(live, verified, signed)


@pytest.mark.parametrize("state", ["broadcast", "included"])
def test_the_host_killed_after_it_broadcast(live_ethereum: Running, state: str) -> None:
    """It forgets nothing, and sends nothing twice."""
    live = live_ethereum
    verified = live.wallet(ECDSA)
    with live.cluster.api() as api:
        signed = transfer(live, api)
        api.submit(signed.intent.encode(), signed.signature)
        if state == "included":
            transactions.wait(api, signed.intent.request.hex(), until=frozenset({"included", "confirmed"}))
    kill_host(live)
    live.cluster.restart(HOST)
    mined_once(live, verified, signed)
    with refused("request_conflict"):
        submit(live, other_bytes(live, signed))


def test_a_second_transaction_of_an_unknown_ones_nonce(live_ethereum: Running) -> None:
    """While the first may be signed, no other transaction takes its nonce."""
    live = live_ethereum
    verified = live.wallet(ECDSA)
    with live.cluster.api() as api:
        signed, rival = transfer(live, api), transfer(live, api, 2 * 10**15)
    live.links[A].rules.append(only("ceremony.step", killing(live, kill_host, after=True), nth=2))
    with submitting(live, signed):
        until(lambda: not live.cluster.process(HOST).running)
    live.links[A].rules.clear()
    live.cluster.restart(HOST)
    with refused("outcome_unknown"):
        submit(live, rival)
    submit(live, signed)
    mined_once(live, verified, signed)


# --- While a wallet is made ---


@pytest.mark.parametrize("operation", ["dkg.start", "ceremony.step", "wallet.certify"])
def test_the_host_killed_while_a_wallet_is_made(live: Running, operation: str) -> None:
    """The same order makes one wallet, of which the client hears when it asks again."""
    order = live.cluster.order(ED25519)
    live.links[B].rules.append(only(operation, killing(live, kill_host, after=True), nth=1))
    outcome: list[str] = []

    def create() -> None:
        with live.cluster.api() as api:
            try:
                api.create_wallet(order.encode())
            except Refusal as refusal:
                outcome.append(refusal.code)

    thread = threading.Thread(target=create)
    thread.start()
    until(lambda: not live.cluster.process(HOST).running)
    thread.join()
    assert outcome == ["host_unreachable"]
    live.links[B].rules.clear()
    live.cluster.restart(HOST)
    with live.cluster.api() as api:
        first, second = (api.create_wallet(order.encode())["wallet"] for _ in range(2))
        assert first == second
        assert api.attestations(first, bytes(32))


def test_nothing_of_the_host_survives_a_kill(live: Running) -> None:
    """The group is gone, workers too: nobody goes on with what the database calls abandoned."""
    leader = live.cluster.process(HOST).pid
    assert len(processes(leader)) >= 2
    kill_host(live)
    until(lambda: processes(leader) == [])
