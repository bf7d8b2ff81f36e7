"""A malicious host speaks to the signers itself: its own policy check bypassed, then messages changed on their way."""

from __future__ import annotations

from typing import Any

from demo.transfers import transfer
from demo.world import ETHER, World, ask
from strongroom.chains import evm
from strongroom.chains.evm import Transaction
from strongroom.errors import Refusal
from strongroom.policy.shown import NOTHING
from strongroom.wire.fields import bytes_item, pair_item
from strongroom_client.cluster.chain import ACCOUNTS, CHAIN_ID
from strongroom_client.transactions import SignedIntent, sign_intent
from strongroom_simulator import adversary

LIMIT = ETHER


def over_the_limit(world: World) -> None:
    world.screen.step(
        f"A transfer of 5 ether, over the limit of {LIMIT // ETHER}, with the host's own check bypassed",
        "each signer judges the transaction itself; a host that forgets its policy changes nothing",
    )
    signed = _intent(world, 5 * ETHER)
    pair = world.cluster.names[1:]
    steps, refusals = _start(world, signed, pair)
    if steps or set(refusals) != set(pair):
        raise AssertionError(f"{', '.join(steps)} began to sign a transfer over the limit")
    for name, refusal in refusals.items():
        world.screen.refused(name, refusal)
        world.result.refusal("transfer over the limit, host's check bypassed", name, refusal.code)
        assert refusal.code == "policy_limit", refusal.code


def tampering_relay(world: World) -> None:
    world.screen.step(
        "A relay that changes one bit",
        "a changed message is noticed by the signer that gets it, which names the link it came over; nothing is signed",
    )
    _through_the_host(world)
    pair = world.cluster.names[:2]
    first, second = pair
    steps, refusals = _start(world, _intent(world, ETHER // 100), pair)
    assert not refusals, refusals
    _, sealed = steps[first]["messages"][0]
    changed = sealed[:-1] + bytes((sealed[-1] ^ 1,))
    body = {"ceremony": steps[second]["ceremony"], "round": steps[first]["round"], "messages": [[first, changed]]}
    try:
        ask(world.cluster.socket(second), "ceremony.step", body)
    except Refusal as refusal:
        world.screen.refused(second, refusal)
        world.screen.say(
            f"culprit: the link from {first}, by the signer's verdict `{refusal.verdict}`; no signer is blamed"
        )
        assert (refusal.code, refusal.verdict) == ("channel_link", "link"), refusal
        world.result.refusal(f"a message from {first} changed on its way", second, refusal.code)
    else:
        raise AssertionError("a changed message was accepted")
    ask(world.cluster.socket(first), "ceremony.abort", {"ceremony": steps[first]["ceremony"]})


def _through_the_host(world: World) -> None:
    """Every link flips one bit of what its signer seals, so that no other pair can help."""
    rule = adversary.only("sign.start", adversary.flip())
    for link in world.links.values():
        link.rules.append(rule)
    try:
        transfer(world, ETHER // 100)
    except Refusal as refusal:
        world.screen.refused("the host, with what a signer told it,", refusal)
        assert (refusal.code, refusal.verdict) == ("channel_link", "link"), refusal
    else:
        raise AssertionError("a tampered request was signed")
    finally:
        for link in world.links.values():
            link.rules.remove(rule)


def _intent(world: World, value: int) -> SignedIntent:
    """Made and signed by a requester who went along with the host."""
    nonce = int(world.cluster.chain.call("eth_getTransactionCount", world.wallet.address, "latest"), 16)
    to = evm.parse_address(ACCOUNTS[0])
    transaction = Transaction(CHAIN_ID, nonce, 10**9, 10**11, 21_000, to, value)
    chain = f"evm:{CHAIN_ID}"
    requester = world.cluster.requester()
    return sign_intent(world.wallet.body, "evm-transaction", transaction.encode(), requester, chain=chain)


def _start(
    world: World, signed: SignedIntent, pair: tuple[str, ...]
) -> tuple[dict[str, dict[str, Any]], dict[str, Refusal]]:
    """Asks both signers to start. Returns steps and refusals by name."""
    sockets = {name: world.cluster.socket(name) for name in pair}
    tickets = [ask(path, "tickets", {"count": 1}).items("tickets", bytes_item)[0] for path in sockets.values()]
    body = {
        "wallet": world.wallet.body.wallet,
        "intent": signed.intent.encode(),
        "signature": signed.signature,
        "approvals": [],
        "shown": NOTHING.value(),
        "set": list(pair),
        "tickets": tickets,
        "attempt": 1,
    }
    steps: dict[str, dict[str, Any]] = {}
    refusals: dict[str, Refusal] = {}
    for name, path in sockets.items():
        try:
            step = ask(path, "sign.start", body)
        except Refusal as refusal:
            refusals[name] = refusal
            continue
        messages = step.items("messages", pair_item)
        steps[name] = {"ceremony": step.blob("ceremony"), "round": step.integer("round"), "messages": messages}
    return steps, refusals
