"""Requests of every kind through the host, and a client that checks what comes back against what it asked for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from strongroom.chains.bitcoin.transaction import Transaction
from strongroom.errors import Refusal
from strongroom.intent.intent import Intent
from strongroom_client import transactions
from strongroom_host.custody import Custody
from strongroom_host.storage.wallets import Wallet
from tests.chains.bitcoin_cases import PAID, coin, draft
from tests.chains.bitcoin_chain import interpreter_takes
from tests.chains.solana_cases import message, transfer
from tests.host.world import World
from tests.signer.wide import BITCOIN, EVM, SOLANA, policy

ECDSA, ED25519 = "dkls23-secp256k1", "frost-ed25519"
SCHEMES = {"bitcoin": ECDSA, "evm": ECDSA, "solana": ED25519}


@pytest.fixture
def wide(world: World) -> World:
    """Every wallet that is made with it allows all that signers decode."""
    world.policy = dataclasses.replace(policy(), requesters=world.policy.requesters, issued=world.policy.issued)
    return world


def made(world: World, custody: Custody, scheme: str) -> Wallet:
    return custody.create(world.order(scheme))


def asked(world: World, client: FlaskClient, wallet: Wallet, payload: bytes, **changes: Any) -> tuple[Intent, Any]:
    """The intent, and the host's answer to it."""
    raw, signature = world.message(wallet.body.wallet, payload=payload, **changes)
    body = {"intent": raw.hex(), "signature": signature.hex()}
    answer = client.post("/v1/requests", json=body)
    assert answer.status_code == 201, answer.json
    return Intent.decode(raw), answer.json


def test_a_psbt_comes_back_as_a_transaction(wide: World, custody: Custody, client: FlaskClient) -> None:
    wallet = made(wide, custody, ECDSA)
    coins = [coin(wallet.body.keys, 1000, path, place) for place, path in enumerate([(), (0, 1), (1, 2)])]
    payload = draft(wallet.body.keys, coins, [(2500, PAID)]).payload()
    intent, answer = asked(wide, client, wallet, payload, kind="bitcoin-psbt", chain=BITCOIN)
    transaction = Transaction.decode(bytes.fromhex(answer["result"]))
    assert interpreter_takes(transaction, [each.output for each in coins])
    assert answer["state"] == "signed" and len(answer["signatures"]) == 3
    shown = answer["transaction"]
    assert (shown["raw"], shown["hash"]) == (answer["result"], transaction.txid[::-1].hex())
    assert (shown["chain_id"], shown["nonce"], shown["block"]) == (None, None, None)
    finished = transactions.check(answer, intent, wallet.body)
    assert finished is not None and finished.raw == transaction.encode()
    assert client.get(f"/v1/requests/{answer['request']}").json == answer


@pytest.mark.parametrize(
    ("kind", "chain", "payload"),
    [
        ("evm-text", EVM, b"hello"),
        ("bitcoin-text", BITCOIN, b"hello"),
        ("solana-text", SOLANA, b"hello"),
        ("message", "", b"hello"),
    ],
)
def test_a_text_comes_back_as_its_verifiers_take_it(
    wide: World, custody: Custody, client: FlaskClient, kind: str, chain: str, payload: bytes
) -> None:
    wallet = made(wide, custody, SCHEMES.get(kind.partition("-")[0], ED25519))
    intent, answer = asked(wide, client, wallet, payload, kind=kind, chain=chain)
    assert answer["transaction"] is None and answer["kind"] == kind
    finished = transactions.check(answer, intent, wallet.body)
    assert finished is not None and finished.raw.hex() == answer["result"]


def test_a_solana_transaction_and_its_name(wide: World, custody: Custody, client: FlaskClient) -> None:
    wallet = made(wide, custody, ED25519)
    key = wallet.body.public_key
    raw = message(transfer(5, source=key), payer=key)
    with pytest.raises(AssertionError):
        asked(wide, client, wallet, message(transfer(5)), kind="solana-transaction", chain=SOLANA)
    intent, answer = asked(wide, client, wallet, raw, kind="solana-transaction", chain=SOLANA)
    assert transactions.check(answer, intent, wallet.body)
    assert len(answer["transaction"]["hash"]) in (86, 87, 88)


LIES: dict[str, Callable[[Any], Any]] = {
    "signatures in another order": lambda a: {**a, "signatures": a["signatures"][::-1]},
    "one signature less": lambda a: {**a, "signatures": a["signatures"][:1]},
    "one signature twice": lambda a: {**a, "signatures": [a["signatures"][0]] * 2},
    "no signature, but signed": lambda a: {**a, "signatures": []},
    "another result": lambda a: {**a, "result": a["result"][:-2] + "01"},
    "no result": lambda a: {**a, "result": None},
    "another raw transaction": lambda a: {**a, "transaction": {**a["transaction"], "raw": a["result"][:-2] + "01"}},
    "another name": lambda a: {**a, "transaction": {**a["transaction"], "hash": "00" * 32}},
    "no transaction": lambda a: {**a, "transaction": None},
}


def test_a_host_that_returns_something_else(wide: World, custody: Custody, client: FlaskClient) -> None:
    wallet = made(wide, custody, ECDSA)
    coins = [coin(wallet.body.keys, 1000, path, place) for place, path in enumerate([(0, 1), (1, 2)])]
    payload = draft(wallet.body.keys, coins, [(1500, PAID)]).payload()
    intent, answer = asked(wide, client, wallet, payload, kind="bitcoin-psbt", chain=BITCOIN)
    for name, lie in LIES.items():
        with pytest.raises(Refusal) as caught:
            transactions.check(lie(json.loads(json.dumps(answer))), intent, wallet.body)
        assert caught.value.code == "signed_mismatch", name
    other, _ = asked(wide, client, wallet, b"hello", kind="evm-text", chain=EVM)
    with pytest.raises(Refusal):
        transactions.check(answer, other, wallet.body)


def test_derived_accounts_have_nonces_of_their_own(wide: World, custody: Custody, client: FlaskClient) -> None:
    """One nonce of two accounts is no conflict, and the wallet's own next nonce does not count the other's."""
    wallet = made(wide, custody, ECDSA)
    for path in ((), (0, 1)):
        raw, signature = wide.transfer(wallet.body.wallet, nonce=3 if path else 0, path=path)
        body = {"intent": raw.hex(), "signature": signature.hex()}
        answer: Any = client.post("/v1/requests", json=body).json
        assert answer["state"] == "signed"
        assert transactions.check(answer, Intent.decode(raw), wallet.body)
    assert custody.requests.next_nonce(wallet.body.wallet.hex(), 31337) == 1
