"""Making wallets: of every scheme and size, taken up where it stopped, and refused where signers disagree."""

from __future__ import annotations

import pytest

from strongroom.errors import Refusal
from strongroom.wallet.certificate import Certificate, verify_body
from strongroom.wire import cbor
from strongroom_host.custody import Custody
from strongroom_host.problems import Problem
from strongroom_host.relay.rounds import Last
from strongroom_host.relay.wallets import Dealt, agreed
from tests.host.conftest import Host
from tests.host.world import Handle, World, cut, refuse, when


@pytest.mark.parametrize(
    ("scheme", "threshold"),
    [("frost-ed25519", 2), ("frost-secp256k1-tr", 3), ("musig2-secp256k1", 3), ("dkls23-secp256k1", 2)],
)
def test_a_wallet_of_every_scheme(world: World, custody: Custody, scheme: str, threshold: int) -> None:
    wallet = custody.create(world.order(scheme, threshold))
    assert wallet.phase == "certified" and wallet.certificate is not None
    certificate = Certificate.decode(wallet.certificate)
    verify_body(wallet.body, world.officers)
    assert [name for name, _ in certificate.attestations] == list(world.names)
    assert custody.wallets.get(wallet.body.wallet.hex()) == wallet


def test_one_order_makes_one_wallet(world: World, custody: Custody, host: Host) -> None:
    order = world.order()
    first = custody.create(order)
    world[1].asked.clear()
    assert custody.create(order) == first and host().create(order) == first
    assert world[1].asked == []


@pytest.mark.parametrize("operation", ["order.accept", "channel.answer", "dkg.start", "ceremony.step", "test.start"])
def test_a_signer_lost_on_the_way_delays_the_wallet_only(world: World, custody: Custody, operation: str) -> None:
    order = world.order()
    world[3].twist = when(operation, cut)
    with pytest.raises(Problem) as caught:
        custody.create(order)
    assert caught.value.cause.code == "signer_unreachable" and caught.value.cause.culprits == (world[3].name,)
    world[3].twist = None
    assert custody.create(order).phase == "certified"


def test_a_wallet_is_certified_after_all_signers_and_the_host_restarted(
    world: World, custody: Custody, host: Host
) -> None:
    order = world.order()
    world[2].twist = when("wallet.certify", cut)
    with pytest.raises(Problem):
        custody.create(order)
    (waiting,) = custody.wallets.all()
    assert waiting.phase == "dealt" and waiting.wallet is not None
    for signer in world.signers:
        signer.restart()
    world[2].twist = None
    done = host().create(order)
    assert done.phase == "certified" and done.wallet == waiting.wallet


def test_signers_that_refuse_an_order_are_named(world: World, custody: Custody) -> None:
    for number in (1, 3):
        world[number].twist = when("order.accept", lambda _request, _handle: refuse("order_not_signed"))
    with pytest.raises(Problem) as caught:
        custody.create(world.order())
    assert caught.value.cause.code == "order_not_signed"
    assert set(caught.value.refusals) == {world[1].name, world[3].name}


def test_an_order_of_strangers(world: World, custody: Custody, tmp_path_factory: pytest.TempPathFactory) -> None:
    others = World(tmp_path_factory.mktemp("o"), 4)
    with pytest.raises(Refusal) as caught:
        custody.create(others.order())
    assert caught.value.code == "signer_unreachable" and caught.value.culprits == ("signer-4",)
    others.close()


def test_signers_that_end_with_different_keys(world: World, custody: Custody) -> None:
    def other_key(request: bytes, handle: Handle) -> bytes:
        answer = cbor.decode(handle(request))
        assert isinstance(answer, list) and isinstance(answer[2], dict)
        step = dict(answer[2])
        if isinstance(step["result"], bytes):
            result = cbor.decode(step["result"])
            assert isinstance(result, dict)
            step["result"] = cbor.encode({**result, "public_key": bytes(32)})
        return cbor.encode([1, True, step])

    world[2].twist = when("ceremony.step", other_key)
    with pytest.raises(Refusal) as caught:
        custody.create(world.order())
    assert caught.value.code == "bad_certificate" and world[2].name in caught.value.reason


def test_agreement_is_of_everything_but_the_record() -> None:
    dealt = Dealt(bytes(32), b"key", (b"share",), b"package", None, bytes(32))
    value = cbor.decode(dealt.encode())
    assert isinstance(value, dict)
    lasts = {name: Last(cbor.encode({**value, "record": name.encode()}), None) for name in ("a", "b")}
    assert agreed(lasts) == (dealt, {"a": b"a", "b": b"b"})


def test_attestations_are_fresh_and_a_restarted_signer_gives_one_too(world: World, custody: Custody) -> None:
    wallet = custody.create(world.order())
    world[1].restart()
    world[3].twist = when("wallet.attest", cut)
    answer = custody.attestations(wallet, bytes(32))
    assert [row["signer"] for row in answer["attestations"]] == list(world.names[:2])
    assert [(row["signer"], row["code"]) for row in answer["refusals"]] == [(world[3].name, "signer_unreachable")]
