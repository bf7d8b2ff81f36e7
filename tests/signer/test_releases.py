"""A next release: signed, handed over, tested, activated; and everything that a host may do in between."""

from __future__ import annotations

import dataclasses
import os

import pytest

from strongroom.channel import handshake
from strongroom.errors import Refusal
from strongroom.policy.directives import Directive, Freeze, body_of
from strongroom.policy.release import ORDERED, Release
from strongroom.signer.handover import handover_id, pair_of
from tests.journal.world import refused
from tests.policy.directing import QUORUM, sign
from tests.signer.cluster import Node
from tests.signer.releasing import Releasing, measurements
from tests.wallet.orders import ECDSA, ED25519, POLICY, TAPROOT

PAIRS = (("a", "b"), ("b", "c"), ("a", "c"))


@pytest.mark.parametrize(("scheme", "sets"), [(ED25519, PAIRS), (TAPROOT, PAIRS[1:2]), (ECDSA, PAIRS[:1])])
def test_a_release_from_end_to_end(scheme: str, sets: tuple[tuple[str, str], ...]) -> None:
    """sets: who signs after it. A pair of ECDSA costs half a second each time."""
    world = Releasing(scheme)
    if scheme == ECDSA:
        world.pair("a", "b")
    first = world.intent()
    world.pay(first, ("a", "b"))
    world.install(world.release())
    for name in ("a", "b"):
        assert not world.hand(name)["end"]
    world.pay(first, ("a", "b"))
    world.activate(world.tested("a", "b"))
    for name in world.arriving:
        assert world.hand(name)["end"]
    world.succeed("a", "b")
    for names in sets:
        world.level()
        world.pay(first, names, [name for name in world.journals if name not in names][:1])


@pytest.fixture
def world() -> Releasing:
    """Release 2 is signed and told to everybody; nothing else has happened."""
    made = Releasing()
    made.install(made.release())
    return made


def active(world: Releasing) -> Releasing:
    for name in ("a", "b"):
        world.hand(name)
    world.activate(world.tested("a", "b"))
    return world


def place(node: Node) -> str:
    return str(node.status()["place"])


# --- What officers sign ---


def test_a_release_that_fewer_than_a_quorum_signed() -> None:
    world = Releasing()
    with refused("directive_not_signed"):
        world.tell(world.journals, world.release(), QUORUM[:1])


def test_releases_that_are_not_the_next_one(world: Releasing) -> None:
    """Replayed, of another wallet, or beside the one that is active."""
    first = world.directives[0]
    world.install(world.release(3))
    world["a"].call("release.install", wallet=world.wallet, directive=sign(world.release(3)).encode())
    for release, code in (
        (world.release(), "release_refused"),
        (world.release(4, previous=b"\1" * 32), "release_refused"),
        (world.release(4, wallet=bytes(32)), "directive_mismatch"),
    ):
        with refused(code):
            world.tell("a", release)
    with refused("release_refused"):
        world["a"].call("release.install", wallet=world.wallet, directive=first.encode())


def test_an_old_release_after_it_was_active(world: Releasing) -> None:
    active(world)
    again = world.directives[0].encode()
    before = world["c"].call("policy.show", wallet=world.wallet, nonce=bytes(32))["standing"]
    world["c"].call("release.install", wallet=world.wallet, directive=again)
    assert world["c"].call("policy.show", wallet=world.wallet, nonce=bytes(32))["standing"] == before
    back = Release(world.wallet, 3, ORDERED, tuple((name, measurements(name, 1)) for name in ("a", "b")))
    with refused("release_refused"):
        world.tell("c", back)


@pytest.mark.parametrize(
    "members",
    [
        (("a", measurements("a", 2)),),
        (("a", measurements("a", 2)), ("w", measurements("w", 2))),
        (("a", measurements("a", 2)), ("b", measurements("b", 2)), ("c", measurements("c", 2))),
        (("a", measurements("a", 2)), ("b", measurements("b", 2)), ("z", measurements("z", 2))),
        (("a", measurements("a", 2)), ("b", {**measurements("b", 2), "pcr16": measurements("b", 1)["pcr16"]})),
        (("a", measurements("a", 2)), ("b", {"pcr16": measurements("b", 2)["pcr16"]})),
    ],
    ids=["one signer", "a witness is no signer", "beside an HSM", "a stranger", "the same KMS key", "a register less"],
)
def test_releases_that_cannot_be(members: tuple[tuple[str, dict[str, bytes]], ...]) -> None:
    world = Releasing()
    with refused("release_refused"):
        world.tell("a", Release(world.wallet, 2, ORDERED, members))


def test_a_release_waits_for_the_timelock() -> None:
    world = Releasing(policy=dataclasses.replace(POLICY, timelock=600))
    world.install(world.release())
    with refused("release_refused"):
        world.hand("a")
    for node in (*world.nodes.values(), *world.arriving.values()):
        node.clock.time += 600
    assert not world.hand("a")["end"]


# --- To whom a share is handed ---


def test_a_third_enclave_is_handed_nothing(world: Releasing) -> None:
    """It runs another image, of which officers know nothing, and says the configuration of the right one."""
    stranger = Node("a", "nitro", release=2)
    stranger.release = 9
    stranger.start()
    with refused("evidence_measurement"):
        world.hand("a", new=stranger)
    other = Node("a", "nitro", release=3)
    with refused("release_refused"):
        world.hand("a", new=other)


def test_the_successor_of_another_signer_is_handed_nothing(world: Releasing) -> None:
    opened = world.arriving["b"].call("handover.open", order=world.signed.encode(), directives=world.chain())
    with refused("channel_handshake"):
        world["a"].call("handover.answer", wallet=world.wallet, message=opened["message"])


def test_nobody_takes_a_wallet_from_a_stranger(world: Releasing) -> None:
    """The host's own process in the old one's place, that would say what policy stands."""
    opened = world.arriving["a"].call("handover.open", order=world.signed.encode(), directives=world.chain())
    stranger = Node("a", "nitro", release=9).signer._identity
    roster = pair_of(world.order, "a", {}, dict(world.release().members))
    identifier = handover_id(world.order_id, world.release().digest(), "a")
    setting = handshake.Setting(roster, identifier, 1, "leaving", "arriving", stranger.boot)
    _, second = handshake.answer(setting, opened["message"], os.urandom, stranger.attest)
    with refused("evidence_measurement"):
        world.arriving["a"].call("handover.prove", order=world.order_id, message=second)


def test_without_a_release_nobody_arrives(world: Releasing) -> None:
    for directives in ([], [sign(world.release(), QUORUM[:1]).encode()]):
        with pytest.raises(Refusal) as caught:
            world.arriving["a"].call("handover.open", order=world.signed.encode(), directives=directives)
        assert caught.value.code in ("release_refused", "directive_not_signed")


def test_nothing_is_handed_without_a_directive() -> None:
    """The host shows the new one a release of its own making of which the old ones were never told."""
    world = Releasing()
    world.directives.append(sign(world.release()))
    with refused("release_refused"):
        world.hand("a")


def test_each_message_serves_once_and_unchanged(world: Releasing) -> None:
    new, old = world.arriving["a"], world["a"]
    opened = new.call("handover.open", order=world.signed.encode(), directives=world.chain())
    answered = old.call("handover.answer", wallet=world.wallet, message=opened["message"])
    proven = new.call("handover.prove", order=world.order_id, message=answered["message"])
    with refused("channel_handshake"):
        new.call("handover.prove", order=world.order_id, message=answered["message"])
    given = old.call("handover.give", wallet=world.wallet, message=proven["message"])
    with refused("channel_handshake"):
        old.call("handover.give", wallet=world.wallet, message=proven["message"])
    changed = given["sealed"][:-1] + bytes([given["sealed"][-1] ^ 1])
    with refused("channel_link"):
        new.call("handover.take", order=world.order_id, message=given["message"], sealed=changed, body=world.body)
    with refused("channel_handshake"):
        new.call(
            "handover.take", order=world.order_id, message=given["message"], sealed=given["sealed"], body=world.body
        )
    assert not world.hand("a")["end"]


def test_a_certificate_of_another_wallet(world: Releasing) -> None:
    other, own = Releasing(), world.body
    world.body = other.body
    with pytest.raises(Refusal):
        world.hand("a")
    world.body = own
    assert not world.hand("a")["end"]


# --- Until it is active, the old ones sign; after, they never do ---


def test_a_copy_signs_nothing_but_the_test(world: Releasing) -> None:
    for name in ("a", "b"):
        world.hand(name)
        assert place(world.arriving[name]) == "arriving"
    among = world.swapped(("a", "b"))
    among.link("a", "b")
    with refused("not_in_office"):
        among.reserving(world.intent(), ("a", "b"))
    with refused("not_in_office"):
        among.testing(("a", "b")).start()
    with refused("not_in_office"):
        world.arriving["a"].call("journal.open", wallet=world.wallet, wrapped=None, blocks=[])
    with refused("not_in_office"):
        world.arriving["b"].call("handover.answer", wallet=world.wallet, message=bytes(10))
    world.pay(world.intent(), ("a", "b"))


def test_the_old_ones_do_not_sign_the_test_themselves(world: Releasing) -> None:
    digest = world.directives[-1].release().digest()
    for name in ("a", "c"):
        with refused("release_refused"):
            world.run("test.start", ("a", "c"), wallet=world.wallet, set=["a", "c"], release=digest).start(name)


def test_old_and_new_do_not_meet_in_one_ceremony(world: Releasing) -> None:
    world.hand("a")
    among = world.swapped(("a",))
    for peer in ("b", "c"):
        with refused("evidence_measurement"):
            among.handshake("a", peer)


def test_an_activation_that_the_wallet_did_not_sign(world: Releasing) -> None:
    for name in ("a", "b"):
        world.hand(name)
    honest = world.tested("a", "b")
    for changed in (
        {"signature": bytes(64)},
        {"signers": ("b", "a")},
        {"signers": ("a", "c")},
        {"release": bytes(31) + b"\1"},
    ):
        with pytest.raises(Refusal) as caught:
            world.activate(dataclasses.replace(honest, **changed), ["c"])
        assert caught.value.code in ("release_refused", "malformed_message"), caught.value
    ordinary = world.test_signature(("a", "b")).signature
    with refused("release_refused"):
        world.activate(dataclasses.replace(honest, signature=ordinary), ["c"])
    world.activate(honest)


def test_after_the_activation_the_old_ones_sign_nothing(world: Releasing) -> None:
    active(world)
    for name in ("a", "b", "w"):
        assert place(world[name]) == "left"
        world.hand(name)
    with refused("not_in_office"):
        world.reserving(world.intent(), ("a", "b"))
    for operation, body in (
        ("wallet.attest", {"nonce": bytes(32)}),
        ("pair.start", {"peer": "b", "tickets": [bytes(16)] * 2, "attempt": 0}),
        ("test.start", {"set": ["a", "b"], "tickets": [bytes(16)] * 2, "attempt": 0}),
        ("journal.ask", {"peer": "b"}),
        ("journal.checkpoint", {"page": 0}),
    ):
        with refused("not_in_office"):
            world["a"].call(operation, wallet=world.wallet, **body)


def test_after_the_activation_others_refuse_the_old_ones(world: Releasing) -> None:
    """Which the host did not tell: its channels with the others are cut, and it opens no new ones."""
    for name in ("a", "b"):
        world.hand(name)
    world.activate(world.tested("a", "b"), ["c", "w"])
    assert place(world["a"]) == "serving"
    begun = world.signing(world.intent(), ("a", "c"), at=world["a"].clock.time)
    begun.start("a")
    with refused("channel_missing"):
        begun.start("c")
    with refused("evidence_measurement"):
        world.handshake("a", "c")


def test_an_old_one_restarted_remembers_that_it_left(world: Releasing) -> None:
    active(world)
    standing = world["a"].call("policy.show", wallet=world.wallet, nonce=bytes(32))["standing"]
    raw = Directive(*body_of(world.activation), ()).encode()
    record = world.sealed["a"]
    world["a"].start()
    world.load("a")
    world["a"].call("policy.load", wallet=world.wallet, record=record)
    world["a"].call("release.activate", wallet=world.wallet, directive=raw)
    assert place(world["a"]) == "left"
    assert world["a"].call("policy.show", wallet=world.wallet, nonce=bytes(32))["standing"] == standing


def test_an_old_one_with_its_old_standing_finds_nobody(world: Releasing) -> None:
    """The whole disk of one signer, from before: it believes that it signs, and none of the others speaks to it."""
    active(world)
    for name in world.arriving:
        world.hand(name)
    old = world["a"]
    world.succeed()
    old.start()
    assert world.former["a"] is old
    old.call("wallet.load", record=world.old_records["a"], body=world.body)
    assert place(old) == "serving"
    world.nodes["a"] = old
    for peer in ("b", "c", "w"):
        with refused("evidence_measurement"):
            world.handshake("a", peer)


# --- Old and new beside each other ---


def test_the_new_ones_sign_only_when_the_old_ones_have_left(world: Releasing) -> None:
    """The host withholds the activation from the old ones, and would have both sign: the new ones wait for the end."""
    for name in ("a", "b", "w"):
        world.hand(name)
    world.activate(world.tested("a", "b"), [])
    request = world.intent()
    world.pay(request, ("a", "b"))
    among = world.swapped(("a", "b", "w"))
    for name in ("a", "b"):
        with refused("not_in_office"):
            among.signing(request, ("a", "b"), at=world["a"].clock.time).start(name)


def test_what_was_signed_before_is_not_signed_otherwise_after(world: Releasing) -> None:
    """One request, other bytes: the journal goes over to its very last block."""
    for name in ("a", "b"):
        world.hand(name)
    activation = world.tested("a", "b")
    request = world.intent()
    world.pay(request, ("a", "b"))
    world.activate(activation)
    for name in world.arriving:
        world.hand(name)
    world.succeed()
    with refused("request_conflict"):
        world.pay(world.intent("another", request=request.request), ("a", "b"))
    world.level()
    world.pay(request, ("a", "b"))


def test_blocks_withheld_at_the_handover(world: Releasing) -> None:
    """A release is no occasion to roll all journals back at once."""
    world.pay(world.intent(), ("a", "b"))
    active(world)
    for name in world.arriving:
        world.hand(name)
    for name in world.arriving:
        world.disks[name].blocks.pop()
    with refused("sealed_mismatch"):
        world.succeed()


def test_a_journal_that_the_host_would_begin_anew(world: Releasing) -> None:
    """At the handover, and at every later start."""
    active(world)
    for name in world.arriving:
        world.hand(name)
    new = world.arriving["a"]
    for _ in range(2):
        with refused("sealed_mismatch"):
            new.call("journal.open", wallet=world.wallet, wrapped=None, blocks=[])
        new.start()
        new.call("wallet.load", record=world.kept["a"]["record"], body=world.body)
        new.call("policy.load", wallet=world.wallet, record=world.kept["a"]["policy"])


def test_a_state_handed_twice_is_one_signer(world: Releasing) -> None:
    """Two copies of the new one: the later start is believed by the journals, as with any sealed state."""
    active(world)
    for name in world.arriving:
        world.hand(name)
    twin = Node("a", "nitro", world.arriving["a"].sealer, release=2)
    world.hand("a", new=twin)
    world.succeed()
    first = world["a"]
    world.nodes["a"] = twin
    for peer in ("b", "c", "w"):
        world.handshake("a", peer)
    world.open("a")
    assert world.join("a")
    world.nodes["a"] = first
    for peer in ("b", "c", "w"):
        world.handshake("a", peer)
    paying = world.reserving(world.intent(), ("b", "c")).reserve("a")
    assert paying.refusal("b").code == "journal_superseded"


# --- Aborted and taken up again ---


def test_every_step_can_be_repeated(world: Releasing) -> None:
    """The new one loses power after each: nothing is lost, and whoever is asked again answers."""
    world.hand("a")
    world.arriving["a"].start()
    for name in ("a", "b"):
        world.hand(name)
    world.tested("a", "b")
    for name in ("a", "b"):
        world.arriving[name].start()
        world.hand(name)
    activation = world.tested("a", "b")
    for _ in range(2):
        world.activate(activation)
    for name in world.arriving:
        world.hand(name)
        world.arriving[name].start()
        world.hand(name)
    world.succeed()
    world.level()
    world.pay(world.intent(), ("a", "b"))


def test_the_old_one_is_restarted_between_activation_and_end(world: Releasing) -> None:
    """From what the host kept of it: it opens its journal for the last time."""
    world.pay(world.intent(), ("a", "b"))
    active(world)
    raw = Directive(*body_of(world.activation), ()).encode()
    world["a"].start()
    world["a"].call("wallet.load", record=world.old_records["a"], body=world.body)
    world["a"].call("policy.load", wallet=world.wallet, record=world.sealed["a"])
    world["a"].call("release.activate", wallet=world.wallet, directive=raw)
    with refused("not_joined"):
        world.hand("a")
    world.open("a")
    for name in world.arriving:
        world.hand(name)
    world.succeed()
    world.level()
    world.pay(world.intent(), ("a", "b"))


def test_new_ones_start_again_from_what_they_sealed(world: Releasing) -> None:
    active(world)
    for name in world.arriving:
        world.hand(name)
    world.succeed()
    for name in ("a", "b"):
        world[name].start()
        # Until it is shown its standing, it knows of no release that names it.
        world[name].call("wallet.load", record=world.records[name], body=world.body)
        assert place(world[name]) == "left"
        world[name].call("policy.load", wallet=world.wallet, record=world.kept[name]["policy"])
        assert place(world[name]) == "serving"
        for peer in world.journals:
            if peer != name:
                world.handshake(peer, name)
        world.open(name)
        assert world.join(name)
    world.level()
    world.pay(world.intent(), ("a", "b"))


def test_what_the_old_release_sealed_does_not_open_in_the_new_one(world: Releasing) -> None:
    with refused("sealed_mismatch"):
        world.arriving["a"].call("wallet.load", record=world.records["a"], body=world.body)


def test_what_is_kept_can_be_asked_for_again(world: Releasing) -> None:
    """The host lost the answer: the new one seals the same once more."""
    active(world)
    world.hand("a")
    again = world.arriving["a"].call("handover.keep", wallet=world.wallet)
    world.kept["a"] = again
    for name in ("b", "w"):
        world.hand(name)
    world.succeed()
    world[("a")].start()
    world.load("a")
    assert place(world["a"]) == "serving"
    with refused("not_in_office"):
        world.former["a"].call("handover.keep", wallet=world.wallet)


# --- What officers direct meanwhile ---


def test_a_freeze_during_a_release_goes_along(world: Releasing) -> None:
    world.hand("a")
    for name in world.journals:
        freeze = Freeze(world.wallet, 1)
        directive = sign(freeze).encode()
        world[name].call("policy.freeze", wallet=world.wallet, directive=directive)
    world.hand("b")
    world.activate(world.tested("a", "b"))
    for name in world.arriving:
        world.hand(name)
    world.succeed()
    with refused("policy_frozen"):
        world.reserving(world.intent(), ("a", "b"))


def test_the_next_release_after_it(world: Releasing) -> None:
    """Two releases behind each other: the second is measured against the first."""
    active(world)
    for name in world.arriving:
        world.hand(name)
    world.succeed()
    world.arriving = {name: Node(name, "nitro", release=3) for name in world.arriving}
    world.kept = {}
    previous = world.directives[-1].release().digest()
    world.install(world.release(3, previous=previous))
    for name in ("a", "b"):
        world.hand(name)
    world.activate(world.tested("a", "b"))
    for name in world.arriving:
        assert world.hand(name)["end"]
    world.succeed()
    world.level()
    world.pay(world.intent(), ("a", "b"))
