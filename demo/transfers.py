"""Transfers with each of the three pairs of signers, and what the host saw of them."""

from __future__ import annotations

import zlib
from itertools import combinations

from demo.world import ETHER, World
from strongroom_client import transactions
from strongroom_client.cli.tx import request_name
from strongroom_client.cluster.chain import ACCOUNTS, CHAIN_ID
from strongroom_client.transactions import Transfer
from strongroom_simulator import adversary


def transfer(world: World, value: int) -> list[str]:
    """Sends, waits for the block, checks the receiver's balance. Returns the names of those who signed."""
    chain, to = world.cluster.chain, ACCOUNTS[0]
    before = chain.balance(to)
    with world.api() as api:
        asked = Transfer(bytes.fromhex(to[2:]), value, chain_id=CHAIN_ID)
        _, answer = transactions.send(api, world.wallet.body, asked, world.cluster.requester())
        answer = transactions.wait(api, request_name(answer), until=frozenset({"confirmed"}), timeout=30)
        transactions.raise_failure(answer)
    raw, state = transactions.raw_transaction(answer), str(answer["state"])
    signers = [str(name) for name in answer["signers"]]
    block = int(answer["transaction"]["block"])
    assert state == "confirmed", f"the request ended as {state}"
    assert chain.balance(to) - before == value, "the receiver's balance did not grow by the value sent"
    world.result.transaction(
        world.wallet, raw, chain_id=CHAIN_ID, signers=signers, block=block, status=state
    )  # fmt: skip
    digest = transactions.transaction_hash(raw).hex()
    world.screen.good(f"{' + '.join(signers)}: block {block}, {state}, 0x{digest[:16]}…, {value / ETHER} ether")
    return signers


def three_pairs(world: World) -> None:
    world.screen.step(
        "EIP-1559 transfers, once with each pair of signers",
        "any two make one ordinary signature; the chain sees one account and mines it",
    )
    world.cluster.chain.fund(world.wallet.address, 10 * ETHER)
    names = world.cluster.names
    for number, pair in enumerate(combinations(names, 2), 1):
        with world.cut_off(name for name in names if name not in pair):
            signed = transfer(world, number * ETHER // 100)
        assert set(signed) == set(pair), f"{signed} signed, not {pair}"


def what_the_host_saw(world: World) -> None:
    world.screen.step(
        "What the host saw",
        "it carried every message and can read none: sealed from signer to signer, keys bound to evidence",
    )
    sealed = b"".join(link.ciphertext() for link in world.links.values())
    count = sum(len(adversary.sealed_messages(each)) for link in world.links.values() for each in link.seen)
    # Channel id and counter lead each message in the clear; the rest must not compress.
    packed = len(zlib.compress(sealed, 9)) / len(sealed)
    world.screen.say(
        f"{count} sealed messages, {len(sealed):,} bytes, {adversary.entropy(sealed):.3f} bits of entropy a byte"
    )
    world.screen.say(f"compressed to {packed:.1%}; the first of them:")
    first = next(m for link in world.links.values() for each in link.seen for m in adversary.sealed_messages(each))
    for at in range(0, 96, 32):
        world.screen.note(first[at : at + 32].hex(" "))
    world.screen.good(
        "channel ids and counters in clear, the rest ciphertext; each crosses the host once in and once out"
    )
