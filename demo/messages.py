"""The other two curves: an Ed25519 and a BIP-340 wallet sign texts that can be a transaction of no chain."""

from __future__ import annotations

from demo.wallet import order_wallet
from demo.world import World
from strongroom_client import messages


def ed25519(world: World) -> None:
    world.screen.step(
        "An Ed25519 wallet signs a message",
        "the same signers, channels and rules carry FROST (RFC 9591); the signature is an ordinary one",
    )
    _sign(world, "frost-ed25519", "Strongroom demo: Ed25519")


def bip340(world: World) -> None:
    world.screen.step(
        "A BIP-340 wallet signs a message",
        "and FROST on secp256k1 under a Taproot output key, as Bitcoin spends it",
    )
    _sign(world, "frost-secp256k1-tr", "Strongroom demo: BIP-340")


def _sign(world: World, scheme: str, text: str) -> None:
    verified = order_wallet(world, scheme)
    with world.api() as api:
        signed, finished, answer = messages.sign(api, verified.body, text, world.cluster.requester())
    signature = finished.raw
    world.result.message(verified, messages.signed_bytes(signed, verified.body), signature)
    world.screen.say(f"public key  {verified.body.wallet_key.hex()}")
    world.screen.say(f"signature   {signature.hex()}")
    world.screen.good(f"{' + '.join(answer['signers'])} signed; it verifies under the wallet's key")
