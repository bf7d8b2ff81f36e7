"""A host that carries messages as it likes. What it changes does not open; nobody is blamed but the link; nothing is
signed; and the next ceremony is as good as ever."""

from __future__ import annotations

import dataclasses

import pytest

from strongroom import schemes
from strongroom.chains.effects import ToSign
from strongroom.channel.session import COUNTER, ID
from strongroom.errors import Refusal
from strongroom.signer.ceremonies import MAX_INFLIGHT
from strongroom.signer.tickets import MAX_OUTSTANDING
from strongroom_host.relay.signing import SigningFailed
from strongroom_host.storage.wallets import Wallet
from tests.attacks.custody import ECDSA, ED25519, MUSIG2, TAPROOT, Ask, Custody
from tests.attacks.hand import Run, flipped, refused

A, B, C = "enclave-1", "enclave-2", "hsm-1"

PLACES = {"channel": 0, "counter": 8 * ID, "ciphertext": 8 * (ID + COUNTER), "tag": -1}
"""Bits of a sealed message."""


def rounds(wallet: Wallet) -> range:
    """Turns after which a signing of this wallet has messages on their way."""
    return range(schemes.suite(wallet.signed_order.order.scheme).trips - 1)


def fail_from(run: Run, name: str) -> None:
    """The ceremony is over for this signer: what comes now, honest or not, it does not know."""
    with refused("unknown_ceremony", by=name):
        run.feed(name)


# --- Left out, said twice, said out of turn ---


def test_a_dropped_message(custody: Custody, wallet: Wallet) -> None:
    for turns in rounds(wallet):
        with custody.signing(wallet).turns(turns) as run, refused("missing_message", by=A, verdict="link"):
            run.feed(A, run.letters(A)[1:])
        fail_from(run, A)


def test_a_message_delivered_twice_in_one_round(custody: Custody, wallet: Wallet) -> None:
    for turns in rounds(wallet):
        with custody.signing(wallet).turns(turns) as run, refused("unexpected_sender", by=A, verdict="link"):
            run.feed(A, run.letters(A) + run.letters(A)[:1])
        fail_from(run, A)


def test_a_round_sent_twice(custody: Custody, wallet: Wallet) -> None:
    """Refused, and nothing is lost by it: the ceremony goes on and ends in its one signature."""
    for turns in rounds(wallet):
        with custody.signing(wallet).turns(turns) as run:
            before = dict(run.steps)
            run.feed(A)
            repeated = Run(custody.signers)
            repeated.steps = before
            with refused("unknown_ceremony" if run.steps[A].result else "ceremony_round", by=A):
                repeated.feed(A)
            boxes = {name: repeated.letters(name) for name in before if name != A}
            for name, letters in boxes.items():
                run.feed(name, letters)
            assert all(step.result for step in run.finish().values())


def test_rounds_out_of_order(custody: Custody, ecdsa: Wallet) -> None:
    """A round from the future, or from the past, is refused; the open one is still open."""
    with custody.signing(ecdsa) as run:
        first = run.letters(A)
        for number in (0, 2, 3, 255):
            with refused("ceremony_round", by=A):
                run.feed(A, number=number)
        run.turn()
        with refused("ceremony_round", by=A):
            run.feed(A, first, number=1)
        assert all(step.result for step in run.finish().values())


def test_the_last_rounds_messages_in_the_first(custody: Custody, ecdsa: Wallet) -> None:
    """Round 1's message said to be round 2's: the round is in what the seal binds."""
    with custody.signing(ecdsa) as run:
        first = run.letters(A)
        run.turn()
        with refused("channel_link", by=A, verdict="link"):
            run.feed(A, first)


def test_the_order_of_messages_within_a_round_is_the_hosts(custody: Custody) -> None:
    wallet = custody.wallet(MUSIG2)
    with custody.signing(wallet) as run:
        assert len(run.letters(A)) == 2
        for name, letters in {name: run.letters(name)[::-1] for name in run.names}.items():
            run.feed(name, letters)
        assert run.done


# --- Replayed, misaddressed, changed ---


def test_an_old_ceremonys_messages_in_a_new_one(custody: Custody, wallet: Wallet) -> None:
    """Even of the same intent, the same set and the same round."""
    intent = custody.intent(wallet)
    for turns in rounds(wallet):
        with (
            custody.signing(wallet, intent=intent).turns(turns) as old,
            custody.signing(wallet, intent=intent).turns(turns) as new,
        ):
            with refused("channel_link", by=A, verdict="link"):
                new.feed(A, old.letters(A))
            fail_from(new, A)
            assert all(step.result for step in old.finish().values())


def test_messages_of_two_ceremonies_spliced(custody: Custody, wallet: Wallet) -> None:
    """Two at once; one message changes places. The one ends, the other goes on."""
    with custody.signing(wallet) as one, custody.signing(wallet) as other:
        spliced = [other.letters(A)[0], *one.letters(A)[1:]]
        with refused("channel_link", by=A, verdict="link"):
            one.feed(A, spliced)
        assert all(step.result for step in other.finish().values())


def test_a_step_sent_to_another_ceremony(custody: Custody, wallet: Wallet) -> None:
    """The whole request, with the other ceremony's id."""
    with custody.signing(wallet) as one, custody.signing(wallet) as other:
        with refused("channel_link", by=A, verdict="link"):
            one.feed(A, ceremony=other.steps[A].ceremony)
        fail_from(other, A)
        assert all(step.result for step in one.finish().values())


def test_ones_own_message_back(custody: Custody, wallet: Wallet) -> None:
    """Reflected: each direction has a key of its own."""
    with custody.signing(wallet) as run:
        sealed = run.steps[A].messages
        with refused("channel_link", by=A, verdict="link"):
            run.feed(A, [(peer, sealed[peer]) for peer in sealed])


def test_a_message_for_somebody_else(custody: Custody) -> None:
    """What A sealed for B is given to C, as A's."""
    wallet = custody.wallet(MUSIG2)
    with custody.signing(wallet) as run, refused("channel_link", by=C, verdict="link"):
        run.feed(C, [(A, run.steps[A].messages[B]), (B, run.steps[B].messages[C])])


def test_a_message_under_another_name(custody: Custody) -> None:
    """What A and B say to C changes names."""
    wallet = custody.wallet(MUSIG2)
    with custody.signing(wallet) as run:
        (one, sealed), (other, also) = run.letters(C)
        with refused("channel_link", by=C, verdict="link"):
            run.feed(C, [(one, also), (other, sealed)])


@pytest.mark.parametrize("stranger", ["hsm-1", "enclave-1", "nobody"])
def test_a_sender_who_takes_no_part(custody: Custody, ed25519: Wallet, stranger: str) -> None:
    with custody.signing(ed25519, (A, B)) as run, refused("unexpected_sender", by=A, verdict="link"):
        run.feed(A, [(stranger, sealed) for _, sealed in run.letters(A)])


@pytest.mark.parametrize("place", PLACES)
def test_one_bit_changed_while_signing(custody: Custody, wallet: Wallet, place: str) -> None:
    for turns in rounds(wallet):
        with custody.signing(wallet).turns(turns) as run:
            (sender, sealed), *others = run.letters(A)
            with refused("channel_link", by=A, verdict="link"):
                run.feed(A, [(sender, flipped(sealed, PLACES[place])), *others])
            fail_from(run, A)


@pytest.mark.parametrize("cut", [0, ID - 1, ID, ID + COUNTER, -1])
def test_a_message_cut_short(custody: Custody, wallet: Wallet, cut: int) -> None:
    with custody.signing(wallet) as run:
        (sender, sealed), *others = run.letters(A)
        with refused("channel_link", by=A, verdict="link"):
            run.feed(A, [(sender, sealed[:cut]), *others])


def test_a_message_made_longer(custody: Custody, wallet: Wallet) -> None:
    with custody.signing(wallet) as run:
        (sender, sealed), *others = run.letters(A)
        with refused("channel_link", by=A, verdict="link"):
            run.feed(A, [(sender, sealed + bytes(3 << 20)), *others])


@pytest.mark.parametrize("scheme", [ECDSA, ED25519, TAPROOT, MUSIG2])
def test_one_bit_changed_in_a_dkg(custody: Custody, scheme: str) -> None:
    """In each round. The order is dealt again afterwards, and its wallet signs."""
    order, turns = custody.signed(custody.order(scheme)), 0
    while True:
        with custody.dealing(order).turns(turns) as run:
            if run.done:
                break
            (sender, sealed), *others = run.letters(C)
            with refused("channel_link", by=C, verdict="link"):
                run.feed(C, [(sender, flipped(sealed, -1)), *others])
            fail_from(run, C)
        turns += 1
    assert turns >= 2
    custody.require_intact(custody.create(order))


def test_messages_of_a_dkg_misaddressed(custody: Custody) -> None:
    order = custody.signed(custody.order(ED25519))
    for turns in (0, 1):
        with custody.dealing(order).turns(turns) as run:
            with refused("channel_link", by=C, verdict="link"):
                run.feed(C, [(A, run.steps[A].messages[B]), (B, run.steps[B].messages[C])])
            with refused("unexpected_sender", by=B, verdict="link"):
                run.feed(B, [*run.letters(B), *run.letters(B)])
    custody.require_intact(custody.create(order))


def test_messages_of_two_dkgs_spliced(custody: Custody) -> None:
    """Of two orders; and of two attempts at one, of which a signer knows only the later."""
    one, other = (custody.signed(custody.order(ED25519)) for _ in range(2))
    with custody.dealing(one) as first, custody.dealing(other) as second:
        with refused("channel_link", by=A, verdict="link"):
            first.feed(A, second.letters(A))
        with custody.dealing(other) as again:
            with refused("channel_link", by=A, verdict="link"):
                again.feed(A, second.letters(A))
            with refused("unknown_ceremony", by=B):
                second.feed(B)
    for order in (one, other):
        custody.require_intact(custody.create(order))


def test_one_bit_changed_in_a_pairing(custody: Custody, ecdsa: Wallet) -> None:
    """In each round. A broken set-up replaces nothing: the pair keeps the one it had."""
    turns = 0
    while True:
        with custody.pairing(ecdsa, A, C).turns(turns) as run:
            if run.done:
                break
            [(sender, sealed)] = run.letters(C)
            with refused("channel_link", by=C, verdict="link"):
                run.feed(C, [(sender, flipped(sealed, -1))])
            fail_from(run, C)
        custody.require_intact(ecdsa)
        turns += 1
    assert turns == 2


def test_half_a_pairing_is_found_out_and_mended(custody: Custody, ecdsa: Wallet) -> None:
    """A has the new set-up, C the old one. They would accuse each other: instead they find out, and pair again."""
    with custody.pairing(ecdsa, A, C) as run:
        run.turn()
        run.feed(A)
        assert run.steps[A].result == b"" and run.steps[C].result is None
    with custody.signing(ecdsa, (A, C)) as signing, refused("not_paired", by=C, culprits=(A,)):
        signing.feed(C)
    assert custody.sign(ecdsa, (A, C)).signers == (A, C)


# --- Signers told different things ---


def diverging(custody: Custody, bodies: dict[str, Ask]) -> None:
    """Their ceremonies have different ids, so that what they say does not open, under either id."""
    with custody.begin("sign.start", bodies) as run:
        first, second = bodies
        ids = {run.steps[name].ceremony for name in bodies}
        assert len(ids) == 2
        with refused("channel_link", by=first, verdict="link"):
            run.feed(first, [(second, next(iter(run.steps[second].messages.values())))])
        with refused("channel_link", by=second, verdict="link"):
            run.feed(second, [(first, next(iter(run.steps[first].messages.values())))])


def test_the_set_split(custody: Custody, ecdsa: Wallet) -> None:
    """A believes in {A, B}, B in {B, C}: no set that nobody asked for can come together."""
    intent = custody.intent(ecdsa)
    tickets = dict(zip((A, B, C), custody.tickets((A, B, C)), strict=True))
    bodies: dict[str, Ask] = {}
    for name, chosen in ((A, (A, B)), (B, (B, C))):
        spent: Ask = {"tickets": [tickets[each] for each in chosen]}
        bodies[name] = custody.sign_body(ecdsa, chosen, intent) | spent
    with custody.begin("sign.start", bodies) as run:
        with refused("channel_link", by=B, verdict="link"):
            run.feed(B, [(C, run.steps[A].messages[B])])
        with refused("unexpected_sender", by=A, verdict="link"):
            run.feed(A, [(C, run.steps[B].messages[C])])


def test_different_intents(custody: Custody, wallet: Wallet) -> None:
    """Each agrees with its own; they cannot agree with each other, and no share of a signature leaves them."""
    chosen = custody.sets(wallet)[0][:2]
    whole = custody.sets(wallet)[0]
    diverging_names = {name: custody.sign_body(wallet, whole, custody.intent(wallet)) for name in chosen}
    if len(whole) == 2:
        diverging(custody, diverging_names)
    else:
        rest = {name: custody.sign_body(wallet, whole, custody.intent(wallet)) for name in whole[2:]}
        with custody.begin("sign.start", diverging_names | rest) as run, refused("channel_link", by=A, verdict="link"):
            run.feed(A)


def test_different_attempts(custody: Custody, ed25519: Wallet) -> None:
    body = custody.sign_body(ed25519, (A, B))
    diverging(custody, {A: body, B: body | {"attempt": 2}})


def test_different_tickets(custody: Custody, ed25519: Wallet) -> None:
    """A is told another ticket of B's than B is."""
    body = custody.sign_body(ed25519, (A, B))
    a, b, other = (*custody.tickets((A, B)), *custody.tickets((B,)))
    diverging(custody, {A: body | {"tickets": [a, b]}, B: body | {"tickets": [a, other]}})


def test_the_set_in_another_order_is_the_same_set(custody: Custody, ed25519: Wallet) -> None:
    intent = custody.intent(ed25519)
    bodies = {A: custody.sign_body(ed25519, (A, B), intent), B: custody.sign_body(ed25519, (B, A), intent)}
    with custody.begin("sign.start", bodies) as run:
        assert all(step.result for step in run.finish().values())


@pytest.mark.parametrize(
    ("names", "code"),
    [
        ((A,), "malformed_message"),
        ((A, A), "malformed_message"),
        ((A, B, C), "malformed_message"),
        ((A, "enclave-9"), "not_in_roster"),
        ((B, C), "unexpected_sender"),
        ((), "malformed_message"),
    ],
    ids=str,
)
def test_a_set_that_is_none(custody: Custody, ed25519: Wallet, names: tuple[str, ...], code: str) -> None:
    tickets = custody.tickets([A] * len(names))
    body: Ask = custody.sign_body(ed25519, names) | {"tickets": list(tickets), "attempt": 1}
    with refused(code, by=A):
        custody.start(A, "sign.start", body)


def test_two_intents_under_one_request_id(custody: Custody, wallet: Wallet) -> None:
    """Any two sets of a quorum share a signer, and that one refuses the second intent, whoever else has never heard of
    the first. The first may be tried again."""
    intent = custody.intent(wallet)
    first, *others = custody.sets(wallet)
    custody.sign(wallet, first, intent=intent)
    other = dataclasses.replace(intent, expiry=intent.expiry + 1)
    for names in (first, *others):
        knowing = [name for name in names if name in first]
        assert knowing
        body = custody.sign_body(wallet, names, other)
        for name in knowing:
            with refused("request_conflict", by=name):
                custody.start(name, "sign.start", body | {"tickets": list(custody.tickets(names)), "attempt": 1})
    with pytest.raises(SigningFailed) as failed:
        custody.send(wallet, other, [ToSign(bytes(32))])
    assert failed.value.cause.code == "request_conflict"
    assert custody.sign(wallet, first, intent=intent).signers == first


# --- Tickets ---


def start_with(custody: Custody, wallet: Wallet, tickets: list[bytes]) -> None:
    body: Ask = custody.sign_body(wallet, (A, B)) | {"tickets": list(tickets), "attempt": 1}
    custody.ask(A, "ceremony.abort", {"ceremony": custody.start(A, "sign.start", body).ceremony})


def test_a_ticket_spent_twice(custody: Custody, ed25519: Wallet) -> None:
    tickets = custody.tickets((A, B))
    start_with(custody, ed25519, tickets)
    with refused("stale_ticket", by=A):
        start_with(custody, ed25519, tickets)


def test_a_ticket_of_another_signer_or_of_nobody(custody: Custody, ed25519: Wallet) -> None:
    a, b = custody.tickets((A, B))
    for wrong in ([b, b], [bytes(16), b], [b, a]):
        with refused("stale_ticket", by=A):
            start_with(custody, ed25519, wrong)
    for malformed in ([a], [a, b, b], [a[:15], b], [a, b + b]):
        with refused("malformed_message", by=A):
            start_with(custody, ed25519, malformed)
    start_with(custody, ed25519, [a, b])


def test_hoarded_tickets(custody: Custody, ed25519: Wallet) -> None:
    """The oldest lapse, so that a hoard locks nobody out and holds no memory."""
    oldest = custody.tickets((A, B))
    for _ in range(MAX_OUTSTANDING // 256):
        custody.ask(A, "tickets", {"count": 256})
    with refused("stale_ticket", by=A):
        start_with(custody, ed25519, oldest)
    start_with(custody, ed25519, custody.tickets((A, B)))


# --- Too much ---


def test_too_many_ceremonies(custody: Custody, ed25519: Wallet) -> None:
    """The one too many is refused with a retryable code and spends no ticket; those in flight go on."""
    with custody.signing(ed25519, (A, B)) as run:
        others = []
        body = custody.sign_body(ed25519, (A, C))
        while True:
            tickets: Ask = {"tickets": list(custody.tickets((A, C))), "attempt": 1}
            try:
                others.append(custody.start(A, "sign.start", body | tickets).ceremony)
            except Refusal as refusal:
                assert refusal.code == "ceremony_limit" and refusal.retryable
                break
            assert len(others) <= MAX_INFLIGHT
        assert all(step.result for step in run.finish().values())
        custody.ask(A, "ceremony.abort", {"ceremony": others.pop()})
        others.append(custody.start(A, "sign.start", body | tickets).ceremony)
        for ceremony in others:
            custody.ask(A, "ceremony.abort", {"ceremony": ceremony})


def test_link_faults_stop_no_wallet(custody: Custody, ed25519: Wallet) -> None:
    """The host can fail every ceremony; it cannot make a wallet stop that way, nor have anybody excluded."""
    for _ in range(20):
        with custody.signing(ed25519) as run, refused("channel_link", by=A, verdict="link"):
            (sender, sealed) = run.letters(A)[0]
            run.feed(A, [(sender, flipped(sealed, -1))])


def test_somebody_elses_ceremony_ended_by_the_host(custody: Custody, ed25519: Wallet) -> None:
    """An abort ends it at that signer, and nothing half done is of use."""
    with custody.signing(ed25519) as run:
        custody.ask(A, "ceremony.abort", {"ceremony": run.steps[A].ceremony})
        fail_from(run, A)
        assert run.feed(B).result, "a contribution alone is no signature"
