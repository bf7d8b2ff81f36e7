"""Whole requests against real signers: who signs, who is replaced, what is recorded when it does not work out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from strongroom import schemes
from strongroom.chains import message
from strongroom.errors import Refusal
from strongroom_host.custody import Custody, Submission
from strongroom_host.problems import Problem
from strongroom_host.reserved import Reserved
from strongroom_host.storage.requests import Request
from strongroom_host.storage.wallets import Wallet
from tests.host.conftest import Host
from tests.host.world import World, cut, refuse, silent, when


def states(request: Request) -> list[str]:
    return [state for state, _, _ in request.history]


def submit(custody: Custody, world: World, wallet: Wallet, text: str = "hello", **options: object) -> Request:
    request, _ = custody.submit(Submission(*world.message(wallet.body.wallet, text), **options))  # type: ignore[arg-type]
    return request


def verifies(request: Request, wallet: Wallet, text: str = "hello") -> bool:
    signed = message.domain_separated(wallet.body.wallet, text.encode())
    (signature,) = request.signatures
    return schemes.verify("frost-ed25519", wallet.body.public_key, signed, signature)


def test_signs(world: World, custody: Custody, wallet: Wallet) -> None:
    request = submit(custody, world, wallet)
    assert verifies(request, wallet)
    assert request.signers == world.names[:2]
    assert states(request) == ["received", "judged", "signing", "unknown", "signed"]
    assert custody.requests.get(request.request) == request


@pytest.mark.parametrize("chosen", [(1, 2), (1, 3), (2, 3)])
def test_signs_with_the_set_that_was_asked_for(
    world: World, custody: Custody, wallet: Wallet, chosen: tuple[int, int]
) -> None:
    names = tuple(world[number].name for number in chosen)
    request = submit(custody, world, wallet, preferred=names)
    assert request.signers == names and verifies(request, wallet)


def test_costs_two_trips_once_warm(world: World, custody: Custody, wallet: Wallet) -> None:
    submit(custody, world, wallet)
    for signer in world.signers:
        signer.asked.clear()
    submit(custody, world, wallet)
    assert [signer.asked for signer in world.signers] == [["sign.start", "ceremony.step"]] * 2 + [[]]


def test_ecdsa_costs_three_trips_and_gives_a_raw_transaction(world: World, custody: Custody) -> None:
    wallet = custody.create(world.order("dkls23-secp256k1"))
    for signer in world.signers:
        signer.asked.clear()
    request, new = custody.submit(Submission(*world.transfer(wallet.body.wallet)))
    steps = [operation for operation in world[1].asked if operation != "tickets"]
    assert steps == ["sign.start", "ceremony.step", "ceremony.step"]
    assert new and request.state == "signed" and request.raw is not None
    assert states(request) == ["received", "judged", "signing", "unknown", "signed"]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("operation", ["sign.start", "ceremony.step"])
@pytest.mark.parametrize("trouble", [silent, cut])
def test_a_silent_signer_is_replaced_within_the_request(
    world: World, custody: Custody, wallet: Wallet, operation: str, trouble: object
) -> None:
    world[1].twist = when(operation, trouble)  # type: ignore[arg-type]
    request = submit(custody, world, wallet)
    assert request.signers == world.names[1:] and verifies(request, wallet)
    # The next request does not wait for it again.
    assert submit(custody, world, wallet, "again").attempt == 1


@pytest.mark.usefixtures("impatient")
def test_too_few_signers_fail_and_nothing_was_signed(world: World, custody: Custody, wallet: Wallet) -> None:
    for number in (1, 2):
        world[number].twist = when("sign.start", cut)
    intent = world.message(wallet.body.wallet)
    with pytest.raises(Problem) as caught:
        custody.submit(Submission(*intent))
    assert caught.value.cause.code == "quorum_unavailable"
    assert set(caught.value.cause.culprits) == {world[1].name, world[2].name}
    assert caught.value.request is not None
    failed = custody.requests.get(caught.value.request)
    assert failed.state == "failed" and failed.worker is None
    # The same bytes, once the signers are back.
    world[1].twist = world[2].twist = None
    again, new = custody.submit(Submission(*intent))
    assert not new and again.state == "signed" and verifies(again, wallet)
    assert states(again)[-4:] == ["judged", "signing", "unknown", "signed"]


@pytest.mark.usefixtures("impatient")
def test_once_the_last_round_left_the_outcome_is_unknown(world: World, custody: Custody, wallet: Wallet) -> None:
    for number in (1, 2, 3):
        world[number].twist = when("ceremony.step", cut)
    intent = world.message(wallet.body.wallet)
    with pytest.raises(Problem) as caught:
        custody.submit(Submission(*intent))
    assert caught.value.cause.code == "outcome_unknown"
    assert caught.value.request is not None
    unknown = custody.requests.get(caught.value.request)
    assert unknown.state == "unknown" and unknown.worker is None
    world[1].twist = world[2].twist = world[3].twist = None
    assert verifies(custody.retry(unknown.request), wallet)


@pytest.mark.usefixtures("impatient")
def test_an_unknown_request_takes_no_other_bytes(world: World, custody: Custody, wallet: Wallet) -> None:
    for number in (1, 2, 3):
        world[number].twist = when("ceremony.step", cut)
    with pytest.raises(Problem):
        custody.submit(Submission(*world.message(wallet.body.wallet, request=bytes(16))))
    for number in (1, 2, 3):
        world[number].twist = None
    with pytest.raises(Refusal) as caught:
        custody.submit(Submission(*world.message(wallet.body.wallet, "other bytes", request=bytes(16))))
    assert caught.value.code == "request_conflict"


def test_two_unwilling_signers_are_both_named(world: World, custody: Custody, wallet: Wallet) -> None:
    for number in (1, 2):
        world[number].twist = when("sign.start", lambda _request, _handle: refuse("policy_limit"))
    with pytest.raises(Problem) as caught:
        submit(custody, world, wallet)
    assert caught.value.cause.code == "policy_limit"
    assert set(caught.value.refusals) == {world[1].name, world[2].name}
    assert caught.value.request is not None
    assert custody.requests.get(caught.value.request).state == "refused"


def test_signers_that_do_too_much_already_say_so(world: World, custody: Custody, wallet: Wallet) -> None:
    """Not that they are out of reach: whoever asks in a loop is to read it. And it may be tried again."""
    for number in (1, 2):
        world[number].twist = when("sign.start", lambda _request, _handle: refuse("ceremony_rate"))
    with pytest.raises(Problem) as caught:
        custody.submit(Submission(*world.message(wallet.body.wallet)))
    assert caught.value.cause.code == "ceremony_rate" and caught.value.cause.retryable
    assert caught.value.request is not None and custody.requests.get(caught.value.request).state == "failed"
    for number in (1, 2):
        world[number].twist = None
    assert custody.retry(caught.value.request).state == "signed"


def test_one_unwilling_signer_does_not_stop_the_others(world: World, custody: Custody, wallet: Wallet) -> None:
    world[2].twist = when("sign.start", lambda _request, _handle: refuse("policy_limit"))
    assert submit(custody, world, wallet).signers == (world[1].name, world[3].name)


def test_an_accuser_cuts_a_pair_and_nothing_more(world: World, custody: Custody, wallet: Wallet) -> None:
    def accuse(_request: bytes, _handle: object) -> bytes:
        return refuse("ot_check_failed", (world[2].name,), "accusation")

    world[1].twist = when("ceremony.step", accuse)
    request = submit(custody, world, wallet)
    assert request.signers != world.names[:2] and verifies(request, wallet)


def test_a_restarted_signer_is_given_its_share_and_signs(world: World, custody: Custody, wallet: Wallet) -> None:
    world[1].restart()
    request = submit(custody, world, wallet)
    assert request.signers == world.names[:2] and verifies(request, wallet)


def test_a_restarted_ecdsa_signer_is_paired_again(world: World, custody: Custody) -> None:
    wallet = custody.create(world.order("dkls23-secp256k1"))
    world[2].restart()
    request, _ = custody.submit(Submission(*world.transfer(wallet.body.wallet)))
    assert request.signers == world.names[:2]
    assert "pair.start" in world[1].asked and "pair.start" in world[2].asked


def test_all_signers_and_the_host_restarted(world: World, wallet: Wallet, host: Host) -> None:
    for signer in world.signers:
        signer.restart()
    assert verifies(submit(host(), world, wallet), wallet)


def test_the_host_refuses_early_what_signers_would_refuse(world: World, custody: Custody, wallet: Wallet) -> None:
    world[1].asked.clear()
    intent, signature = world.message(wallet.body.wallet)
    with pytest.raises(Refusal) as caught:
        custody.submit(Submission(intent, bytes(64)))
    assert caught.value.code == "intent_signature" and world[1].asked == []
    # Nothing of it was recorded: the true requester's request has its id.
    assert custody.submit(Submission(intent, signature))[0].state == "signed"


def test_an_expired_intent_is_recorded_as_expired(world: World, custody: Custody, wallet: Wallet) -> None:
    intent = world.message(wallet.body.wallet, expiry=1)
    for _ in range(2):
        with pytest.raises(Problem) as caught:
            custody.submit(Submission(*intent))
        assert caught.value.cause.code == "intent_expired"
    assert caught.value.request is not None
    assert states(custody.requests.get(caught.value.request)) == ["received", "expired"]


def together(count: int, work: Callable[[int], Request]) -> list[Request]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


def test_many_requests_at_once_are_not_mixed_up(world: World, custody: Custody, wallet: Wallet) -> None:
    done = together(16, lambda number: submit(custody, world, wallet, f"message {number}"))
    assert all(verifies(request, wallet, f"message {number}") for number, request in enumerate(done))
    assert len({request.request for request in done}) == 16


def test_one_request_sent_by_many_is_signed_once(world: World, custody: Custody, wallet: Wallet) -> None:
    intent = world.message(wallet.body.wallet)
    done = together(8, lambda _number: custody.submit(Submission(*intent))[0])
    assert len({request.signatures for request in done}) == 1 and verifies(done[0], wallet)
    assert len(custody.requests.all(None)) == 1


def test_one_request_sent_to_two_hosts_is_signed_once(world: World, wallet: Wallet, host: Host) -> None:
    """Two processes, one database: whoever reserved it works on it, the other one shows it as it stands."""
    hosts = [host() for _ in range(4)]
    intent = world.message(wallet.body.wallet)
    done = together(4, lambda number: hosts[number].submit(Submission(*intent))[0])
    assert len({request.signatures for request in done if request.signatures}) == 1
    final = hosts[0].requests.get(done[0].request)
    assert final.state == "signed" and states(final).count("signed") == 1


def test_many_requests_after_a_restart_of_everybody(world: World, custody: Custody, wallet: Wallet) -> None:
    for signer in world.signers:
        signer.restart()
    done = together(8, lambda number: submit(custody, world, wallet, f"message {number}"))
    assert all(verifies(request, wallet, f"message {number}") for number, request in enumerate(done))


def test_a_thread_that_dies_over_its_result_holds_up_nobody(
    world: World, custody: Custody, wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    intent = world.message(wallet.body.wallet, request=bytes(16))
    with monkeypatch.context() as broken:

        def full(*_arguments: object, **_options: object) -> None:
            raise OSError("the disk is full")

        broken.setattr(Reserved, "signed", full)
        with pytest.raises(OSError, match="disk"):
            custody.submit(Submission(*intent))
    left = custody.requests.get(bytes(16).hex())
    assert left.state == "unknown" and left.worker is not None
    assert verifies(custody.submit(Submission(*intent))[0], wallet)
