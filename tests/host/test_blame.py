"""Who is blamed, and with what proof: only whoever signed what is wrong, with a boot key that evidence attests."""

from __future__ import annotations

import hashlib
import time
from typing import Any, cast

import pytest

from strongroom.channel import envelope
from strongroom.channel.envelope import Seen, broadcast_signing_bytes, contribution_signing_bytes
from strongroom.errors import Refusal
from strongroom.wire import cbor
from strongroom_host.custody import Custody, Submission
from strongroom_host.problems import Problem
from strongroom_host.relay.blame import boot_keys, equivocation
from strongroom_host.storage.wallets import Wallet
from tests.host.world import Handle, ThreadSigner, Twist, World, cut, when


def boot(signer: ThreadSigner, message: bytes) -> bytes:
    """Signed with the signer's boot key: it is the liar."""
    return signer.signer._identity.sign(message)


def wrong(signer: ThreadSigner, *, signed: bool) -> Twist:
    """Another contribution than the protocol's; signed: under the boot key, or with the signature of the right one."""

    def answer(request: bytes, handle: Handle) -> bytes:
        value: Any = cbor.decode(handle(request))
        step = dict(value[2])
        if step["result"] is not None:
            # One bit of the share, in the middle of it: a scalar still, but the wrong one.
            changed = bytearray(step["result"])
            changed[-20] ^= 1
            step["result"] = bytes(changed)
            if signed:
                message = contribution_signing_bytes(step["ceremony"], signer.name, step["result"])
                step["signature"] = boot(signer, message)
        return cbor.encode([1, True, step])

    return when("ceremony.step", answer)


def test_a_wrong_share_is_proven_and_its_sender_replaced(world: World, custody: Custody, wallet: Wallet) -> None:
    world[1].twist = wrong(world[1], signed=True)
    request, _ = custody.submit(Submission(*world.message(wallet.body.wallet)))
    assert request.state == "signed" and request.signers == world.names[1:]


def test_the_proof_of_a_wrong_share_is_handed_out(world: World, custody: Custody, wallet: Wallet) -> None:
    world[1].twist = wrong(world[1], signed=True)
    world[3].twist = when("sign.start", cut)
    with pytest.raises(Problem) as caught:
        custody.submit(Submission(*world.message(wallet.body.wallet)))
    assert caught.value.cause.code == "outcome_unknown"
    refusal = caught.value.refusals[world[1].name]
    assert refusal.code == "bad_share" and refusal.verdict == "proof" and refusal.culprits == (world[1].name,)
    proof: Any = cbor.decode(refusal.proof or b"")
    ((name, key, result, signature),) = proof["contributions"]
    assert name == world[1].name and key == world[1].signer._identity.public_key
    assert boot(world[1], contribution_signing_bytes(proof["ceremony"], name, result)) == signature


def test_a_share_that_nobody_signed_blames_nobody(world: World, custody: Custody, wallet: Wallet) -> None:
    world[1].twist = wrong(world[1], signed=False)
    request, _ = custody.submit(Submission(*world.message(wallet.body.wallet)))
    assert request.state == "signed" and request.signers == world.names[1:]


def test_what_nobody_signed_is_filed_under_nobody(world: World, custody: Custody, wallet: Wallet) -> None:
    """Not under the first of the set, who did what it should."""
    world[2].twist = wrong(world[2], signed=False)
    world[3].twist = when("sign.start", cut)
    with pytest.raises(Problem) as caught:
        custody.submit(Submission(*world.message(wallet.body.wallet)))
    assert caught.value.cause.code == "outcome_unknown"
    assert "none is proven wrong" in caught.value.cause.reason
    assert set(caught.value.refusals) == {world[3].name}


def test_boot_keys_are_those_that_evidence_attests(world: World, wallet: Wallet, custody: Custody) -> None:
    order = wallet.signed_order
    world[2].twist = when("evidence", cut)
    keys = boot_keys(custody.relay.signers, order, world.names)
    assert keys == {signer.name: signer.signer._identity.public_key for signer in (world[1], world[3])}
    # Another signer's document is not this one's.
    world[2].twist = when("evidence", lambda request, _handle: world[1].signer.handle(request))
    assert world[2].name not in boot_keys(custody.relay.signers, order, world.names)


def seen(signer: ThreadSigner, ceremony: bytes, broadcast: bytes) -> Seen:
    signature = boot(signer, broadcast_signing_bytes(ceremony, 1, signer.name, broadcast))
    return Seen(signer.name, hashlib.sha256(broadcast).digest(), signature)


def split(world: World, ceremony: bytes, by: int, broadcasts: dict[int, bytes]) -> Refusal:
    views = [seen(world[number], ceremony, broadcast) for number, broadcast in broadcasts.items()]
    return Refusal(
        "split_view", f"as {by} saw it", verdict="unattributed", proof=envelope.testimony(ceremony, 1, views)
    )


def test_two_testimonies_prove_an_equivocation(world: World, custody: Custody, wallet: Wallet) -> None:
    one = split(world, bytes(32), 1, {1: b"a", 2: b"b", 3: b"c"})
    other = split(world, bytes(32), 2, {1: b"a", 2: b"b", 3: b"another"})
    refusals = {world[1].name: one, world[2].name: other}
    proven = equivocation(custody.relay.signers, wallet.signed_order, refusals)
    assert proven is not None and proven.code == "equivocation" and proven.culprits == (world[3].name,)
    assert proven.verdict == "proof" and proven.proof


def test_testimonies_that_agree_or_are_of_two_rounds_prove_nothing(
    world: World, custody: Custody, wallet: Wallet
) -> None:
    one = split(world, bytes(32), 1, {1: b"a", 2: b"b"})
    elsewhere = split(world, bytes([1]) * 32, 1, {1: b"a", 2: b"c"})
    rubbish = Refusal("split_view", "rubbish", proof=b"rubbish")
    for other in (one, elsewhere, rubbish):
        refusals = {world[1].name: one, world[2].name: other}
        assert equivocation(custody.relay.signers, wallet.signed_order, refusals) is None


def paired(custody: Custody, number: int) -> Any:
    (wallet,) = cast(Any, custody.relay.signers.call(f"signer-{number}", "status", {}).raw("wallets"))
    return wallet["paired"]


def test_a_restarted_signer_is_warmed_for_wallets_lately_used(world: World, custody: Custody) -> None:
    wallet = custody.create(world.order("dkls23-secp256k1"))
    custody.submit(Submission(*world.transfer(wallet.body.wallet)))
    world[2].restart()
    request, _ = custody.submit(Submission(*world.transfer(wallet.body.wallet, nonce=1)))
    assert request.signers == world.names[:2]
    # The pair that no request needed is there too, ahead of the one that will.
    deadline = time.monotonic() + 30
    while world[3].name not in paired(custody, 2) or world[2].name not in paired(custody, 3):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.2)
    world[2].asked.clear()
    custody.submit(Submission(*world.transfer(wallet.body.wallet, nonce=2), preferred=world.names[1:]))
    assert "pair.start" not in world[2].asked
