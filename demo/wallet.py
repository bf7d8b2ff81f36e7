"""The ECDSA wallet: dealt without a dealer, verified by the client, and a host that shows another address."""

from __future__ import annotations

import json
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from demo.world import World
from strongroom.chains import evm
from strongroom.errors import Refusal
from strongroom.wallet.administrators import smallest_coalition
from strongroom.wallet.certificate import Body, Certificate
from strongroom.wire import cbor
from strongroom_client import wallets
from strongroom_client.api import Api
from strongroom_client.wallets import Verified

ECDSA = "dkls23-secp256k1"


def order_wallet(world: World, scheme: str, *, witnessed: bool = False) -> Verified:
    """Officers sign an order; the signers deal the key; the client verifies the wallet.

    witnessed: with journals. The attacks end requests halfway, whose nonces journals would keep for them.
    """
    verified = world.cluster.create_wallet(scheme, witnessed=witnessed)
    world.result.wallet(verified)
    return verified


def create_wallet(world: World) -> None:
    world.screen.step(
        "An ECDSA wallet, 2 of 3: enclave, enclave, HSM",
        "the key was dealt without a dealer, every share sealed, unsealed and test-signed; it never was in one place",
    )
    began = world.screen.seconds
    world.wallet = order_wallet(world, ECDSA)
    body = world.wallet.body
    world.screen.say(f"address     {world.wallet.address}")
    world.screen.say(f"public key  {body.public_key.hex()}")
    sets = "; ".join(" + ".join(test.signers) for test in body.tests)
    world.screen.say(f"tests       {sets}")
    smallest = smallest_coalition(world.wallet.order)
    world.screen.say("could steal " + " and ".join(f"{each.kind} {each.label}" for each in smallest) + " together")
    world.screen.good(f"dealt, certified, and vouched for by 3 of 3 signers in {world.screen.seconds - began:.1f} s")


def swap_address(world: World) -> None:
    world.screen.step(
        "The host swaps the address",
        "an address is shown only if all signers vouch for it under a nonce of the client's own",
    )
    thief = _thief_key()
    for what, lie in (
        ("the host shows its own address", {"address": evm.checksum(evm.address(thief))}),
        ("the host forges the certificate", {"certificate": _forged(world, thief)}),
    ):
        try:
            with _lying_api(world, lie) as api:
                wallets.verify(api, world.wallet.wallet, officers=world.wallet.order.officers, mode="simulated")
        except Refusal as refusal:
            world.screen.say(what)
            world.screen.refused("the client", refusal)
            world.result.refusal(what, "client", refusal.code)
        else:
            raise AssertionError(f"the client believed: {what}")


def _thief_key() -> bytes:
    key = ec.generate_private_key(ec.SECP256K1())
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)


def _forged(world: World, thief: bytes) -> str:
    """The true certificate with the thief's key in its body."""
    with world.api() as api:
        true = Certificate.decode(api.certificate(world.wallet.wallet))
    fields: Any = cbor.decode(true.body)
    fields["public_key"] = thief
    return Certificate(Body.decode(cbor.encode(fields)).encode(), true.attestations).encode().hex()


def _lying_api(world: World, lie: dict[str, str]) -> Api:
    context = world.cluster.context
    return Api(context.host, context.api_key_file.read_text().strip(), _LyingHost(lie))


class _LyingHost(httpx.BaseTransport):
    """The host's answers with some members replaced: what whoever owns the host can do without any skill."""

    def __init__(self, lie: dict[str, str]) -> None:
        self._honest = httpx.HTTPTransport()
        self._lie = lie

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._honest.handle_request(request)
        value = json.loads(answer.read())
        changed = {key: self._lie.get(key, old) for key, old in value.items()}
        return httpx.Response(answer.status_code, json=changed, request=request)

    def close(self) -> None:
        self._honest.close()
