"""A node that is there, silent, foolish or reorganised; and a request's way onto its chain and back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from strongroom import schemes
from strongroom.chains.evm import Transaction
from strongroom.errors import Refusal
from strongroom.intent.intent import Intent
from strongroom_host.custody import Custody, Submission
from strongroom_host.ethereum import Fees, Node, Receipt
from strongroom_host.following import Chain
from strongroom_host.problems import Problem
from strongroom_host.storage.requests import Request
from strongroom_host.storage.wallets import Wallet
from tests.host.conftest import Host
from tests.host.world import CHAIN_ID, RECIPIENT, Handle, Twist, World


class FakeNode:
    """JSON-RPC as a node answers it. pool: raw transactions; mined: block of each hash."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {
            "eth_chainId": hex(CHAIN_ID),
            "eth_blockNumber": "0x10",
            "eth_getTransactionCount": "0x5",
            "eth_maxPriorityFeePerGas": hex(10**9),
            "eth_getBlockByNumber": {"baseFeePerGas": hex(7 * 10**9)},
            "eth_estimateGas": hex(21_000),
        }
        self.errors: dict[str, str] = {}
        self.pool: list[bytes] = []
        self.mined: dict[str, int] = {}
        self.status = "0x1"
        self.down = False

    def node(self) -> Node:
        return Node("http://node.invalid", httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("refused")
        asked = json.loads(request.content)
        method, parameters = asked["method"], asked["params"]
        if method in self.errors:
            return httpx.Response(200, json={"id": 1, "error": {"code": -32000, "message": self.errors[method]}})
        return httpx.Response(200, json={"id": 1, "result": self._result(method, parameters)})

    def _result(self, method: str, parameters: list[Any]) -> Any:
        if method == "eth_sendRawTransaction":
            self.pool.append(bytes.fromhex(parameters[0][2:]))
            return "0x" + schemes.keccak256(self.pool[-1]).hex()
        if method == "eth_getTransactionReceipt":
            block = self.mined.get(parameters[0][2:])
            if block is None:
                return None
            return {"blockNumber": hex(block), "blockHash": f"0x{block:064x}", "status": self.status}
        return self.answers[method]


@pytest.fixture
def fake() -> FakeNode:
    return FakeNode()


@pytest.fixture
def chained(host: Host, fake: FakeNode) -> Custody:
    return host(Chain(fake.node(), 3))


@pytest.fixture
def ecdsa(world: World, chained: Custody) -> Wallet:
    return chained.create(world.order("dkls23-secp256k1"))


def test_a_nodes_answers(fake: FakeNode) -> None:
    node = fake.node()
    assert (node.chain_id(), node.head(), node.nonce("0x")) == (CHAIN_ID, 16, 5)
    assert node.fees() == Fees(10**9, 15 * 10**9)
    assert node.gas("0x", "0x", 1, b"") == 21_000
    assert node.receipt("00" * 32) is None
    fake.mined["00" * 32] = 7
    assert node.receipt("00" * 32) == Receipt(7, f"{7:064x}", True)
    fake.status = "0x0"
    assert node.receipt("00" * 32) == Receipt(7, f"{7:064x}", False)


@pytest.mark.parametrize("nonsense", [None, 7, "16", "0x", "0xzz", [], {}])
def test_nonsense_is_an_unavailable_node(fake: FakeNode, nonsense: object) -> None:
    fake.answers["eth_blockNumber"] = nonsense
    with pytest.raises(Refusal) as caught:
        fake.node().head()
    assert caught.value.code == "node_unavailable"


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(200, text="<html>"), httpx.Response(200, json=[]), httpx.Response(200, json={"id": 1}), None],
)
def test_no_json_rpc_at_all(answer: httpx.Response | None) -> None:
    def transport(_request: httpx.Request) -> httpx.Response:
        if answer is None:
            raise httpx.ReadTimeout("silence")
        return answer

    with pytest.raises(Refusal) as caught:
        Node("http://node.invalid", httpx.MockTransport(transport)).chain_id()
    assert caught.value.code == "node_unavailable"


@pytest.mark.parametrize("words", ["already known", "ALREADY_EXISTS: already exists", "transaction already imported"])
def test_a_transaction_that_the_node_has_is_broadcast(fake: FakeNode, words: str) -> None:
    fake.errors["eth_sendRawTransaction"] = words
    fake.node().broadcast(b"raw")


def test_a_transaction_that_the_node_does_not_take(fake: FakeNode) -> None:
    fake.errors["eth_sendRawTransaction"] = "insufficient funds for gas"
    with pytest.raises(Refusal) as caught:
        fake.node().broadcast(b"raw")
    assert caught.value.code == "node_unavailable" and "insufficient funds" in caught.value.reason


def test_a_transaction_that_would_fail_is_not_prepared(fake: FakeNode) -> None:
    fake.errors["eth_estimateGas"] = "execution reverted"
    with pytest.raises(Refusal) as caught:
        fake.node().gas("0x", "0x", 1, b"")
    assert caught.value.code == "unsupported_transaction" and "reverted" in caught.value.reason


def test_prepare_fills_what_signers_will_judge(fake: FakeNode, chained: Custody, ecdsa: Wallet) -> None:
    prepared = chained.chains.prepare(ecdsa, RECIPIENT, 12, b"", None)
    transaction = Transaction.decode(bytes.fromhex(prepared.json()["payload"]))
    assert transaction == Transaction(CHAIN_ID, 5, 10**9, 15 * 10**9, 21_000, RECIPIENT, 12)
    call = chained.chains.prepare(ecdsa, RECIPIENT, 0, bytes(4), CHAIN_ID)
    assert call.transaction.gas_limit == 25_200
    with pytest.raises(Refusal) as caught:
        chained.chains.prepare(ecdsa, RECIPIENT, 12, b"", 1)
    assert caught.value.code == "policy_chain"
    fake.answers["eth_chainId"] = "0x1"
    with pytest.raises(Refusal) as caught:
        chained.chains.prepare(ecdsa, RECIPIENT, 12, b"", None)
    assert caught.value.code == "node_unavailable"


def test_to_the_chain_and_back_after_a_reorganisation(
    world: World, fake: FakeNode, chained: Custody, ecdsa: Wallet
) -> None:
    request, _ = chained.submit(Submission(*world.transfer(ecdsa.body.wallet, nonce=5)))
    assert request.state == "broadcast" and fake.pool == [request.raw]
    assert chained.chains.prepare(ecdsa, RECIPIENT, 1, b"", None).transaction.nonce == 6
    assert chained.chains.refresh(request) == request
    assert request.hash is not None
    fake.mined[request.hash] = 16
    included = chained.chains.refresh(request)
    assert (included.state, included.block, included.confirmations) == ("included", 16, 1)
    assert included.status == "succeeded"
    # The block is gone: the transaction is sent again.
    fake.mined.clear()
    back = chained.chains.refresh(included)
    assert (back.state, back.block, back.confirmations) == ("broadcast", None, 0)
    assert fake.pool == [request.raw] * 2 and "no longer" in str(back.history[-1][2])
    # Mined in another block, and deep enough.
    fake.mined[request.hash], fake.answers["eth_blockNumber"] = 17, hex(18)
    assert chained.chains.refresh(back).confirmations == 2
    fake.answers["eth_blockNumber"] = hex(19)
    final = chained.chains.refresh(chained.requests.get(request.request))
    assert (final.state, final.confirmations, final.block_hash) == ("confirmed", 3, f"{17:064x}")
    fake.mined.clear()
    assert chained.chains.refresh(final) == final
    assert [state for state, _, _ in final.history] == [
        "received",
        "judged",
        "signing",
        "unknown",
        "signed",
        "broadcast",
        "included",
        "broadcast",
        "included",
        "confirmed",
    ]


def test_a_node_that_is_down_loses_nothing(world: World, fake: FakeNode, chained: Custody, ecdsa: Wallet) -> None:
    fake.down = True
    request, _ = chained.submit(Submission(*world.transfer(ecdsa.body.wallet)))
    assert request.state == "signed" and request.raw is not None
    assert request.error is not None and request.error["code"] == "node_unavailable"
    fake.down = False
    again = chained.retry(request.request)
    assert again.state == "broadcast" and again.error is None and fake.pool == [request.raw]
    fake.down = True
    assert chained.chains.refresh(again) == again


def test_a_reverted_transaction_says_so(world: World, fake: FakeNode, chained: Custody, ecdsa: Wallet) -> None:
    request, _ = chained.submit(Submission(*world.transfer(ecdsa.body.wallet)))
    assert request.hash is not None
    fake.mined[request.hash], fake.status = 10, "0x0"
    final = chained.chains.refresh(request)
    assert final.state == "confirmed" and final.status == "reverted"
    assert [state for state, _, _ in final.history][-2:] == ["included", "confirmed"]


def second_step_cut() -> Twist:
    """The signer is lost in its last round: for DKLs23 the second request after the start."""
    steps = [0]

    def twist(operation: str, request: bytes, handle: Handle) -> bytes:
        steps[0] = steps[0] + 1 if operation == "ceremony.step" else 0
        if steps[0] == 2:
            raise EOFError
        return handle(request)

    return twist


def test_a_second_transaction_of_a_nonce_waits_for_the_first(world: World, chained: Custody, ecdsa: Wallet) -> None:
    for signer in world.signers:
        signer.twist = second_step_cut()
    with pytest.raises(Problem) as caught:
        chained.submit(Submission(*world.transfer(ecdsa.body.wallet, value=1)))
    assert caught.value.cause.code == "outcome_unknown" and caught.value.request is not None
    for signer in world.signers:
        signer.twist = None
    with pytest.raises(Refusal) as refused:
        chained.submit(Submission(*world.transfer(ecdsa.body.wallet, value=2)))
    assert refused.value.code == "outcome_unknown" and caught.value.request in refused.value.reason
    assert chained.retry(caught.value.request).state == "broadcast"
    assert chained.submit(Submission(*world.transfer(ecdsa.body.wallet, value=2)))[0].state == "broadcast"


def test_whoever_looks_while_it_is_broadcast_may_see_it_mined_first(
    world: World, fake: FakeNode, chained: Custody, ecdsa: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block at once, and somebody who asks before the host has noted that it sent the transaction."""
    intent, signature = world.transfer(ecdsa.body.wallet)
    name = Intent.decode(intent).request.hex()
    send = Node.broadcast

    def sent(node: Node, raw: bytes) -> None:
        send(node, raw)
        fake.mined[schemes.keccak256(raw).hex()] = 16
        assert chained.chains.refresh(chained.requests.get(name)).state == "included"

    monkeypatch.setattr(Node, "broadcast", sent)
    assert chained.submit(Submission(intent, signature))[0].state == "included"


def two_of_one_nonce(world: World, chained: Custody, ecdsa: Wallet) -> tuple[Request, Request]:
    """Both signed, and with the node."""
    wallet = ecdsa.body.wallet
    first, _ = chained.submit(Submission(*world.transfer(wallet, value=1)))
    second, _ = chained.submit(Submission(*world.transfer(wallet, value=2)))
    assert (first.state, second.state) == ("broadcast", "broadcast")
    return first, second


def states(chained: Custody, *requests: Request) -> list[str]:
    return [chained.look(each.request).state for each in requests]


def test_one_of_two_is_mined_and_the_other_is_replaced(
    world: World, fake: FakeNode, chained: Custody, ecdsa: Wallet
) -> None:
    first, second = two_of_one_nonce(world, chained, ecdsa)
    assert states(chained, first, second) == ["broadcast", "broadcast"]
    fake.mined[str(second.hash)] = 16
    assert states(chained, first, second) == ["replaced", "included"]
    assert second.request in str(chained.look(first.request).history[-1][2])
    assert chained.retry(first.request).state == "replaced" and len(fake.pool) == 2
    fake.answers["eth_blockNumber"] = hex(18)
    assert states(chained, second, first) == ["confirmed", "replaced"]
    fake.down = True
    assert states(chained, first, second) == ["replaced", "confirmed"]


def test_what_a_reorganisation_gives_back(world: World, fake: FakeNode, chained: Custody, ecdsa: Wallet) -> None:
    """The one that somebody wanted in the other's place is sent again, and not the other one."""
    first, second = two_of_one_nonce(world, chained, ecdsa)
    fake.mined[str(second.hash)] = 16
    assert states(chained, second, first) == ["included", "replaced"]
    fake.mined.clear()
    assert states(chained, first) == ["broadcast"]
    assert fake.pool == [first.raw, second.raw, second.raw]
    assert chained.requests.get(second.request).state == "broadcast"
    # In the new chain it is the first one that was mined, and then a block later the second one after all.
    fake.mined[str(first.hash)] = 17
    assert states(chained, second, first) == ["replaced", "included"]
    fake.mined.clear()
    fake.mined[str(second.hash)] = 18
    assert states(chained, first, second) == ["replaced", "included"]
    assert len(fake.pool) == 3 and chained.requests.get(first.request).block is None


def test_what_nobody_knows_and_what_no_node_took_is_replaced_too_and_comes_back(
    world: World, fake: FakeNode, chained: Custody, ecdsa: Wallet
) -> None:
    first, second = two_of_one_nonce(world, chained, ecdsa)
    left = []
    for name, state in (("66" * 16, "signed"), ("77" * 16, "unknown")):
        crashed: dict[str, Any] = {
            "request": name,
            "state": state,
            "history": (("received", 1, None), (state, 1, None)),
        }
        assert chained.requests.reserve(replace(first, **crashed, hash=None, worker=None))
        left.append(chained.requests.get(name))
    fake.mined[str(second.hash)] = 16
    assert states(chained, *left) == ["replaced", "replaced"]
    fake.mined.clear()
    assert states(chained, *left) == ["signed", "unknown"]


def test_a_replacement_is_refused_where_no_journal_could_know(world: World, chained: Custody, ecdsa: Wallet) -> None:
    """By the host already, which says what it takes."""
    wallet = ecdsa.body.wallet
    first, _ = chained.submit(Submission(*world.transfer(wallet)))
    with pytest.raises(Problem) as caught:
        chained.submit(Submission(*world.transfer(wallet, value=2, replaces=bytes.fromhex(first.request))))
    assert caught.value.cause.code == "no_witnesses" and "witness" in caught.value.cause.remedy
