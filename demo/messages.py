"""The other two curves: an Ed25519 and a BIP-340 wallet sign texts that can be a transaction of no chain."""

from __future__ import annotations

from demo.wallet import order_wallet
from demo.world import World
from strongroom.errors import Refusal
from strongroom.wire.frame import decode_answer
from strongroom_client import messages
from strongroom_client.wallets import Verified
from strongroom_simulator.adversary import Seen


def ed25519(world: World) -> None:
    world.screen.step(
        "An Ed25519 wallet signs a message",
        "the same signers, channels and rules carry FROST (RFC 9591); the signature is an ordinary one; and this order "
        "names a witness, so that three of four journals remember a request before a share is used",
    )
    verified = order_wallet(world, "frost-ed25519", witnessed=True)
    for link in world.links.values():
        link.seen.clear()
    _sign(world, verified, "Strongroom demo: Ed25519")
    names = [name for name, link in world.links.items() if any(_reserves(each) for each in link.seen)]
    assert len(names) >= 3, f"only {names} acknowledged"
    world.screen.good(f"acknowledged by the journals of {', '.join(names)}; 3 of 4 must")


def bip340(world: World) -> None:
    world.screen.step(
        "A BIP-340 wallet signs a message",
        "and FROST on secp256k1 under a Taproot output key, as Bitcoin spends it",
    )
    _sign(world, order_wallet(world, "frost-secp256k1-tr"), "Strongroom demo: BIP-340")


def _reserves(seen: Seen) -> bool:
    """Whether a journal remembered a request, and said so."""
    if seen.call.operation not in ("sign.start", "journal.reserve") or seen.answer is None:
        return False
    try:
        decode_answer(seen.answer)
    except Refusal:
        return False
    return True


def _sign(world: World, verified: Verified, text: str) -> None:
    with world.api() as api:
        signed, finished, answer = messages.sign(api, verified.body, text, world.cluster.requester())
    signature = finished.raw
    world.result.message(verified, messages.signed_bytes(signed, verified.body), signature)
    world.screen.say(f"public key  {verified.body.wallet_key.hex()}")
    world.screen.say(f"signature   {signature.hex()}")
    world.screen.good(f"{' + '.join(answer['signers'])} signed; it verifies under the wallet's key")
