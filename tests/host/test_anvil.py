"""A real Ethereum node: prepared, signed, mined, reorganised away and mined again."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest
from eth_keys.datatypes import PrivateKey

from strongroom.chains import evm, rlp
from strongroom.chains.evm import Transaction
from strongroom.chains.evm.authorization import Authorization
from strongroom.errors import Refusal
from strongroom.policy.lists import Entry, Recipients
from strongroom.policy.rules import Rule
from strongroom.schemes import keccak256
from strongroom_client.cluster import chain
from strongroom_client.cluster.chain import CHAIN_ID
from strongroom_host.broadcasting import Prepared
from strongroom_host.custody import Custody, Submission
from strongroom_host.ethereum import Node
from strongroom_host.following import Chain
from strongroom_host.problems import Problem
from strongroom_host.storage.requests import Request
from strongroom_host.storage.wallets import Wallet
from tests.host.conftest import Host
from tests.host.test_directives import directive, next_policy
from tests.host.world import RECIPIENT, World

ETHER = 10**18


@pytest.fixture
def anvil() -> Iterator[chain.Chain]:
    try:
        binary = chain.binary()
    except Refusal as refusal:
        pytest.skip(refusal.reason)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(binary), "--port", str(port), "--chain-id", str(CHAIN_ID), "--silent"]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    node = chain.Chain(f"http://127.0.0.1:{port}")
    node.wait_ready()
    yield node
    child.kill()
    child.wait()


@pytest.fixture
def custody(host: Host, anvil: chain.Chain) -> Iterator[Custody]:
    node = Node(anvil.url)
    yield host(Chain(node, 3))
    node.close()


@pytest.fixture
def funded(world: World, custody: Custody, anvil: chain.Chain) -> Wallet:
    wallet = custody.create(world.order("dkls23-secp256k1"))
    anvil.fund(wallet.body.address, 10 * ETHER)
    return wallet


def send(world: World, custody: Custody, wallet: Wallet, prepared: Prepared) -> Request:
    payload = prepared.transaction.encode()
    return custody.submit(Submission(*world.transfer(wallet.body.wallet, payload=payload)))[0]


def test_three_transfers_in_one_block_and_a_reorganisation(
    world: World, custody: Custody, funded: Wallet, anvil: chain.Chain
) -> None:
    before = anvil.balance("0x" + RECIPIENT.hex())
    anvil.call("evm_setAutomine", False)
    snapshot = anvil.call("evm_snapshot")
    sent = []
    for nonce in range(3):
        prepared = custody.chains.prepare(funded, RECIPIENT, 10**15, b"", None)
        assert prepared.transaction.nonce == nonce and prepared.transaction.gas_limit == 21_000
        sent.append(send(world, custody, funded, prepared))
    assert [request.state for request in sent] == ["broadcast"] * 3
    anvil.mine()
    included = [custody.chains.refresh(request) for request in sent]
    assert {(request.state, request.block, request.status) for request in included} == {("included", 1, "succeeded")}
    assert anvil.balance("0x" + RECIPIENT.hex()) == before + 3 * 10**15
    # The chain goes back to where none of it had happened; what was signed is sent again, unchanged.
    anvil.call("evm_revert", snapshot)
    back = [custody.chains.refresh(request) for request in included]
    assert {(request.state, request.block) for request in back} == {("broadcast", None)}
    anvil.mine(4)
    final = [custody.chains.refresh(request) for request in back]
    assert {request.state for request in final} == {"confirmed"}
    assert [request.hash for request in final] == [request.hash for request in sent]
    assert anvil.balance("0x" + RECIPIENT.hex()) == before + 3 * 10**15


def test_a_faster_one_in_its_place_and_a_reorganisation(
    world: World, custody: Custody, funded: Wallet, anvil: chain.Chain
) -> None:
    """Signers without a journal sign both: the chain takes one, and gives it back for a while."""
    before = anvil.balance("0x" + RECIPIENT.hex())
    anvil.call("evm_setAutomine", False)
    snapshot = anvil.call("evm_snapshot")
    prepared = custody.chains.prepare(funded, RECIPIENT, 10**15, b"", None)
    slow = send(world, custody, funded, prepared)
    old = prepared.transaction
    better = replace(old, max_fee=2 * old.max_fee, max_priority_fee=2 * old.max_priority_fee)
    fast = send(world, custody, funded, Prepared(better))

    def states() -> list[str]:
        return [custody.look(each.request).state for each in (slow, fast)]

    assert states() == ["broadcast", "broadcast"]
    anvil.mine()
    assert states() == ["replaced", "included"]
    anvil.call("evm_revert", snapshot)
    assert states() == ["broadcast", "broadcast"]
    anvil.mine(4)
    assert states() == ["replaced", "confirmed"]
    assert anvil.balance("0x" + RECIPIENT.hex()) == before + 10**15


def test_a_node_that_forgot_is_given_the_transaction_again(
    world: World, custody: Custody, funded: Wallet, anvil: chain.Chain
) -> None:
    anvil.call("evm_setAutomine", False)
    request = send(world, custody, funded, custody.chains.prepare(funded, RECIPIENT, 1, b"", CHAIN_ID))
    anvil.call("anvil_dropTransaction", "0x" + str(request.hash))
    anvil.mine()
    assert custody.chains.refresh(request).state == "broadcast"
    custody.retry(request.request)
    anvil.mine()
    assert custody.chains.refresh(request).state == "included"


def test_what_the_node_does_not_take_stays_signed(world: World, custody: Custody, anvil: chain.Chain) -> None:
    poor = custody.create(world.order("dkls23-secp256k1"))
    transaction = Transaction(CHAIN_ID, 0, 10**9, 3 * 10**9, 21_000, RECIPIENT, 10**15)
    request = send(world, custody, poor, Prepared(transaction))
    assert request.state == "signed" and request.error is not None
    assert request.error["code"] == "node_unavailable"
    anvil.fund(poor.body.address, ETHER)
    assert custody.retry(request.request).state == "broadcast"
    anvil.mine()
    assert custody.chains.refresh(custody.requests.get(request.request)).state == "included"


def test_a_wallet_authorises_code_that_its_policy_lists(
    world: World, custody: Custody, funded: Wallet, anvil: chain.Chain
) -> None:
    """EIP-7702: another account's transaction carries the authorisation, and the node finds that the wallet gave it."""
    code, other = evm.text(b"\x77" * 20), b"\x99" * 20
    rule = Rule("code", "delegation", chains=(f"evm:{CHAIN_ID}",), to=("codes",))
    made = next_policy(world, funded, rules=(rule,), lists=(Recipients("codes", (Entry(code, "Account"),)),))
    custody.directing.direct(custody.group(funded), directive(world, made))

    def asked(given: Authorization) -> Request:
        intent = world.message(
            funded.body.wallet,
            payload=given.encode(),
            kind="evm-authorization",
            chain=f"evm:{CHAIN_ID}",
            policy=made.digest(),
        )
        return custody.submit(Submission(*intent))[0]

    with pytest.raises(Problem) as caught:
        asked(Authorization(CHAIN_ID, other, 0))
    assert caught.value.cause.code == "policy_delegation"
    request = asked(Authorization(CHAIN_ID, b"\x77" * 20, 0))
    assert request.state == "signed" and request.raw is not None
    carrier = PrivateKey(b"\2" * 32)
    anvil.fund(carrier.public_key.to_address(), ETHER)
    anvil.call("eth_sendRawTransaction", "0x" + _carrying(request.raw, carrier).hex())
    assert anvil.call("eth_getCode", funded.body.address, "latest") == "0xef0100" + "77" * 20


def _carrying(authorization: bytes, carrier: PrivateKey) -> bytes:
    """A transaction of type 4 that does nothing else. authorization: as the wallet gave it, one of its list."""
    numbers = [rlp.encode_integer(each) for each in (CHAIN_ID, 0, 10**9, 10**11, 200_000)]
    to = carrier.public_key.to_canonical_address()
    items: list[rlp.Item] = [*numbers, to, b"", b"", [], [rlp.decode(authorization)]]
    signature = carrier.sign_msg_hash(keccak256(b"\4" + rlp.encode(items)))
    return b"\4" + rlp.encode([*items, *(rlp.encode_integer(each) for each in signature.vrs)])
