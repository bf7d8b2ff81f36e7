"""A development chain: anvil, a real Ethereum node with one validator and funded accounts."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any, Final

import httpx

from strongroom.errors import Refusal
from strongroom_client.cluster.plan import CHAIN, Plan
from strongroom_client.cluster.process import Process

VARIABLE: Final = "STRONGROOM_ANVIL"
CHAIN_ID: Final = 31337
ACCOUNTS: Final = (
    "0x70997970c51812dc3a010c7d01b50e0d17dc79c8",
    "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc",
)
"""Two of the accounts that anvil funds at its start, to receive."""
_BINARY: Final = "infra/chains/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
_STARTS: Final = 10.0


def binary() -> Path:
    """STRONGROOM_ANVIL, or what `make setup` fetched. Raises Refusal `cluster_failed`."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    for folder in Path(__file__).resolve().parents:
        if (folder / _BINARY).exists():
            return folder / _BINARY
    if platform.machine() != "x86_64":
        reason = f"anvil is fetched for x86_64 alone: install Foundry's own and name the program in {VARIABLE}"
        raise Refusal("cluster_failed", reason)
    raise Refusal("cluster_failed", f"anvil is not there: run `make setup`, or name the program in {VARIABLE}")


def process(plan: Plan, *, block_time: int | None = None) -> Process:
    """block_time None: a block for each transaction, at once."""
    command = [str(binary()), "--host", "127.0.0.1", "--port", str(plan.chain_port), "--chain-id", str(CHAIN_ID)]
    # Read at start, written at SIGTERM: with the cluster's directory the chain comes back too.
    command += ["--silent", "--state", str(plan.directory / "chain.json")]
    command += [] if block_time is None else ["--block-time", str(block_time)]
    return Process(CHAIN, command, plan.logs, says_ready=False)


class Chain:
    """JSON-RPC to a node that is ours."""

    def __init__(self, url: str) -> None:
        self.url = url

    def wait_ready(self) -> None:
        deadline = time.monotonic() + _STARTS
        while True:
            try:
                self.call("eth_chainId")
                return
            except httpx.TransportError as error:
                if time.monotonic() > deadline:
                    raise Refusal("cluster_failed", f"anvil does not answer at {self.url}: {error}") from error
                time.sleep(0.02)

    def call(self, method: str, *parameters: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
        answer = httpx.post(self.url, json=body, timeout=10).json()
        if "error" in answer:
            raise Refusal("node_unavailable", f"{method}: {answer['error'].get('message')}")
        return answer["result"]

    def fund(self, address: str, wei: int) -> None:
        """A development chain gives what one asks for."""
        self.call("anvil_setBalance", address, hex(wei))

    def balance(self, address: str) -> int:
        return int(self.call("eth_getBalance", address, "latest"), 16)

    def mine(self, blocks: int = 1) -> None:
        self.call("anvil_mine", hex(blocks))
