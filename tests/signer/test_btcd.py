"""A Bitcoin node's mempool and blocks take what signers signed: btcd on regtest, with its rules of relay."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from strongroom.chains import bitcoin
from strongroom.chains.bitcoin.transaction import Transaction
from tests.chains.bitcoin_cases import Coin, draft
from tests.signer.cluster import Cluster
from tests.signer.wide import BITCOIN, asked, finished, wide
from tests.wallet.orders import ECDSA, MUSIG2, TAPROOT

INSTALLED = Path(__file__).parents[2] / "infra/chains/bin"
MINED = (0, 3)
"""The path of the ECDSA wallet's key that blocks pay."""


class Node:
    def __init__(self, binary: Path, folder: Path, miner: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._url = f"http://127.0.0.1:{free.getsockname()[1]}"
        command = [str(binary), "--regtest", "--txindex", "--rejectnonstd", "--nolisten", "--notls", "--nodnsseed"]
        command += [f"--datadir={folder}", f"--logdir={folder}", "--rpcuser=u", "--rpcpass=p", f"--miningaddr={miner}"]
        command += [f"--rpclisten={self._url.removeprefix('http://')}", f"--configfile={folder / 'none'}"]
        (folder / "none").touch()
        self._child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while True:
            try:
                self.call("getblockcount")
                return
            except httpx.TransportError:
                assert time.monotonic() < deadline and self._child.poll() is None, "btcd does not answer"
                time.sleep(0.05)

    def call(self, method: str, *parameters: Any) -> Any:
        answer = self.ask(method, *parameters)
        assert answer["error"] is None, answer["error"]
        return answer["result"]

    def ask(self, method: str, *parameters: Any) -> Any:
        body = {"jsonrpc": "1.0", "id": 1, "method": method, "params": list(parameters)}
        return httpx.post(self._url, json=body, auth=("u", "p"), timeout=60).json()

    def mine(self, blocks: int) -> list[Transaction]:
        """The coinbases."""
        found = []
        for name in self.call("generate", blocks):
            (first, *_) = self.call("getblock", name, 1)["tx"]
            found.append(self.transaction(first))
        return found

    def transaction(self, name: str) -> Transaction:
        return Transaction.decode(bytes.fromhex(self.call("getrawtransaction", name, 0)))

    def close(self) -> None:
        self._child.kill()
        self._child.wait()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    found = next((str(each) for each in sorted(INSTALLED.glob("btcd-v*"))), shutil.which("btcd"))
    if found is None:
        pytest.skip("btcd is not installed: make btcd, which needs Go")
    node = Node(Path(found), tmp_path_factory.mktemp("btcd"), address(wide(ECDSA), MINED))
    yield node
    node.close()


def address(cluster: Cluster, path: tuple[int, ...] = ()) -> str:
    return bitcoin.address_of(cluster.keys.script(path), "regtest")


def sent(node: Node, cluster: Cluster, coins: list[Coin], to: bytes, amount: int) -> Transaction:
    """Signed, refused with one signature spoilt, taken into the mempool, and mined."""
    payload = draft(cluster.keys, coins, [(amount, to)], version=2).payload()
    done, _ = finished(cluster, asked(cluster, "bitcoin-psbt", payload, BITCOIN))
    spoilt = bytearray(done.raw)
    spoilt[spoilt.index(Transaction.decode(done.raw).inputs[-1].witness[0]) + 12] ^= 1
    assert node.ask("sendrawtransaction", spoilt.hex())["error"] is not None
    assert node.call("sendrawtransaction", done.raw.hex()) == done.name
    node.mine(1)
    assert node.call("getrawtransaction", done.name, 1)["confirmations"] == 1
    return Transaction.decode(done.raw)


def test_coins_of_each_kind_of_wallet_are_spent(node: Node) -> None:
    """Mined to a derived key of an ECDSA wallet; paid to FROST's Taproot wallet, from there to MuSig2's, and back."""
    ecdsa, frost, musig = (wide(scheme) for scheme in (ECDSA, TAPROOT, MUSIG2))
    coins = [Coin(each, MINED) for each in node.mine(3)]
    node.mine(100)
    amount = sum(each.output.amount for each in coins)
    first = sent(node, ecdsa, coins, frost.keys.script(()), amount - 1000)
    second = sent(node, frost, [Coin(first)], musig.keys.script(()), amount - 2000)
    third = sent(node, musig, [Coin(second)], ecdsa.keys.script((1, 0)), amount - 3000)
    assert third.outputs[0].amount == amount - 3000


def test_a_coin_is_not_spent_twice(node: Node) -> None:
    """Signers make both signatures, as policy allows both: the chain takes one. What one journal sees is its own."""
    cluster = wide(ECDSA)
    (mined,) = node.mine(1)
    node.mine(100)
    coin = Coin(mined, MINED)
    sent(node, cluster, [coin], cluster.keys.script(()), coin.output.amount - 1000)
    payload = draft(cluster.keys, [coin], [(coin.output.amount - 5000, cluster.keys.script((0, 9)))]).payload()
    done, _ = finished(cluster, asked(cluster, "bitcoin-psbt", payload, BITCOIN))
    assert node.ask("sendrawtransaction", done.raw.hex())["error"] is not None
