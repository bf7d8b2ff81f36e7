"""One signer of three is the host's. Whatever it says in its own name, nothing is signed that policy does not allow, it
is named where the protocol can name anybody, and the other two go on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import coincurve
import pytest
import strongroom_native as native

from strongroom.channel.blame import equivocators
from strongroom.channel.envelope import Envelope
from strongroom.errors import Refusal
from strongroom.signer.ceremonies import MAX_SKEW
from strongroom.signer.wallets import MAX_ABORTS
from strongroom.wallet.order import SignedOrder
from strongroom.wire import cbor
from strongroom_host.relay.signing import SigningFailed
from strongroom_host.storage.wallets import Wallet
from tests.attacks.corrupt import Corrupt, Lie, Said, corrupted
from tests.attacks.custody import ECDSA, ED25519, MUSIG2, TAPROOT, Custody
from tests.attacks.hand import Run, flipped, refused

A, B, C = "enclave-1", "enclave-2", "hsm-1"
INDEX = 2
HEADER = 16
"""Bytes before the body of each of the native module's messages."""

Change = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def _corrupt(breakable: Custody) -> Iterator[Corrupt]:
    with corrupted(breakable, B) as signer:
        yield signer


@pytest.fixture
def corrupt(_corrupt: Corrupt) -> Iterator[Corrupt]:
    """enclave-2, honest until a test says otherwise."""
    yield _corrupt
    _corrupt.lie = _corrupt.claim = None
    _corrupt.unsigned = False


@pytest.fixture
def custody(breakable: Custody, corrupt: Corrupt) -> Custody:
    return breakable


def saying(change: Change, *, number: int, part: str, to: str | None = None) -> Lie:
    """Another broadcast, or another private part, in one round."""

    def lie(said: Said) -> Envelope:
        if said.round != number or to not in (None, said.recipient):
            return said.envelope
        changed: dict[str, Any] = {part: change(getattr(said.envelope, part))}
        return dataclasses.replace(said.envelope, **changed)

    return lie


def bit(place: int) -> Change:
    return lambda payload: flipped(payload, place)


def until_refused(run: Run, name: str) -> Refusal:
    """Honest rounds until this signer refuses one."""
    for _ in range(6):
        boxes = {each: run.letters(each) for each in run.names}
        try:
            run.feed(name, boxes[name])
        except Refusal as refusal:
            return refusal
        for each in run.names:
            if each != name:
                run.feed(each, boxes[each])
    raise AssertionError(f"{name} refused nothing")


# --- DKG ---


@pytest.fixture(params=[ECDSA, ED25519, TAPROOT, MUSIG2])
def order(request: pytest.FixtureRequest, custody: Custody, corrupt: Corrupt) -> Iterator[SignedOrder]:
    """Afterwards, once nobody lies, the same order makes its wallet."""
    order = custody.signed(custody.order(request.param))
    yield order
    corrupt.lie = corrupt.claim = None
    custody.require_intact(custody.create(order))


def twin(said: Said, order: SignedOrder) -> bytes:
    """Another lawful broadcast of the same round."""
    each = order.order
    ceremony = native.dkg(each.scheme, said.ceremony, INDEX, each.threshold, len(each.roster))
    step = ceremony.start()
    if said.round == 2:  # DKLs23 has no broadcast in its first round
        assert said.envelope.broadcast is not None
        return flipped(said.envelope.broadcast, -1)
    return next(payload for recipient, payload in step.outgoing if recipient == 0)


def test_two_faces_in_a_dkg(custody: Custody, corrupt: Corrupt, order: SignedOrder) -> None:
    """It shows A one broadcast and C another, both signed. Their echoes differ; their testimonies prove who lied."""
    number = 2 if order.order.scheme == ECDSA else 1

    def lie(said: Said) -> Envelope:
        if (said.round, said.recipient) != (number, C):
            return said.envelope
        return dataclasses.replace(said.envelope, broadcast=twin(said, order))

    corrupt.lie = lie
    keys = {name: custody.ask(name, "status").blob("public_key") for name in custody.names}
    with custody.dealing(order).turns(number) as run:
        faults = []
        for name in (A, C):
            with refused("split_view", by=name, verdict="unattributed") as caught:
                run.feed(name)
            assert caught.value.proof is not None
            faults.append(caught.value.proof)
    assert equivocators(faults[0], faults[1], keys) == (B,)
    assert equivocators(faults[0], faults[0], keys) == ()


@pytest.mark.parametrize("scheme", [ECDSA, ED25519])
def test_a_broadcast_unsigned_or_signed_by_another_key(custody: Custody, corrupt: Corrupt, scheme: str) -> None:
    """Then there would be nothing to prove it by."""
    number = 2 if scheme == ECDSA else 1
    order = custody.signed(custody.order(scheme))
    for signature in (None, bytes(64)):

        def lie(said: Said, signature: bytes | None = signature) -> Envelope:
            return dataclasses.replace(said.envelope, signature=signature if said.envelope.broadcast else None)

        corrupt.lie = lie
        accused = refused("malformed_message", by=A, culprits=(B,), verdict="accusation")
        with custody.dealing(order).turns(number - 1) as run, accused:
            run.feed(A)


def test_a_false_echo(custody: Custody, corrupt: Corrupt, order: SignedOrder) -> None:
    """It says that it saw something else: the ceremony ends, and nobody is blamed on its word."""
    corrupt.lie = lambda said: dataclasses.replace(said.envelope, echo=bytes(32) if said.round == 1 else b"\1" * 32)
    with custody.dealing(order).turns(1) as run:
        for name in (A, C):
            with refused("split_view", by=name, verdict="unattributed"):
                run.feed(name)


PROOF, ACCUSATION = ("bad_proof", (B,), "proof"), ("bad_proof", (B,), "accusation")
FALSE_DEALS: dict[str, list[tuple[int, str, int, tuple[str, tuple[str, ...], str]]]] = {
    ECDSA: [
        (1, "private", -1, ("aborted", (), "unattributed")),  # a point off the polynomial
        (3, "broadcast", -8 * 98, PROOF),  # another proof of its share than it committed to
        (3, "broadcast", -1, PROOF),  # another part of the chain code
        (3, "private", 8 * HEADER, ACCUSATION),  # another seed for shares of zero
    ],
    ED25519: [
        (1, "broadcast", -80, PROOF),  # a false proof that it knows its secret
        (2, "private", -40, ("bad_share", (B,), "accusation")),
    ],
    TAPROOT: [(1, "broadcast", -80, PROOF), (2, "private", -40, ("bad_share", (B,), "accusation"))],
    MUSIG2: [(2, "broadcast", -1, PROOF)],  # another key, proof or salt than it committed to
}


def test_false_deals(custody: Custody, corrupt: Corrupt, order: SignedOrder) -> None:
    """One after the other, and then an honest one."""
    for number, part, place, expected in FALSE_DEALS[order.order.scheme]:
        # A point for A alone: with another one for C the three might lie on a line again.
        corrupt.lie = saying(bit(place), number=number, part=part, to=A if part == "private" else None)
        with custody.dealing(order) as run:
            fault = until_refused(run, A)
        assert (fault.code, fault.culprits, fault.verdict) == expected


def test_a_false_oblivious_transfer_in_a_dkg(custody: Custody, corrupt: Corrupt) -> None:
    corrupt.lie = saying(bit(-1), number=3, part="private", to=A)
    with custody.dealing(custody.signed(custody.order(ECDSA))) as run:
        fault = until_refused(run, A)
    assert (fault.code, fault.culprits, fault.verdict) == ("ot_check_failed", (B,), "accusation")


def test_a_message_that_is_none(custody: Custody, corrupt: Corrupt, order: SignedOrder) -> None:
    """Empty, cut short, with more behind it, larger than any protocol's: authentic, so its sender is accused."""
    number, part = (2, "broadcast") if order.order.scheme == ECDSA else (1, "broadcast")
    changes: list[tuple[Change, str]] = [
        (lambda _: b"", "malformed_message"),
        (lambda payload: payload[:-1], "malformed_message"),
        (lambda payload: payload + b"\0", "malformed_message"),
        (lambda payload: payload + bytes(1 << 20), "oversized_message"),
    ]
    for change, code in changes:
        corrupt.lie = saying(change, number=number, part=part)
        accused = refused(code, by=A, culprits=(B,), verdict="accusation")
        with custody.dealing(order).turns(number - 1) as run, accused:
            run.feed(A)


def test_a_rogue_key_in_frost(custody: Custody, corrupt: Corrupt) -> None:
    """It waits for the others' commitments and takes X* = X - A - C for its own, so that the joint key would be X. It
    knows no secret of X* and can prove none; nor can it use somebody else's proof."""
    order = custody.signed(custody.order(TAPROOT))
    for name in (A, B, C):
        custody.ask(name, "order.accept", {"order": order.encode()})
    custody.connect(order)
    for change in (rogue, lambda own, theirs: own[:HEADER] + theirs[0][HEADER:]):
        tickets = custody.tickets((A, B, C))
        body: dict[str, cbor.Value] = {"order": order.order_id, "tickets": list(tickets), "attempt": 1}
        with Run(custody.signers) as run:
            for name in (A, C):
                run.take(custody.start(name, "dkg.start", body))
            corrupt.lie = saying(after(change, heard(corrupt, order, run)), number=1, part="broadcast")
            run.take(custody.start(B, "dkg.start", body))
            for name in (A, C):
                with refused("bad_proof", by=name, culprits=(B,), verdict="proof"):
                    run.feed(name)
    corrupt.lie = None
    custody.require_intact(custody.create(order))


def heard(corrupt: Corrupt, order: SignedOrder, run: Run) -> list[bytes]:
    """The others' broadcasts of the round in which they are and B is not yet."""
    envelopes = [
        corrupt.read(order.order_id, step.ceremony, step.round, step.name, step.messages[B])
        for step in (run.steps[A], run.steps[C])
    ]
    return [envelope.broadcast for envelope in envelopes if envelope.broadcast is not None]


def after(change: Callable[[bytes, list[bytes]], bytes], theirs: list[bytes]) -> Change:
    return lambda own: change(own, theirs)


def rogue(own: bytes, theirs: list[bytes]) -> bytes:
    """The first commitment of a round-1 package: own minus all others'. The degree and the proof stay."""
    points = [package[_first(package) : _first(package) + 33] for package in (own, *theirs)]
    start = _first(own)
    return own[:start] + minus(points[0], points[1:]) + own[start + 33 :]


def minus(point: bytes, others: list[bytes]) -> bytes:
    """Points of secp256k1, compressed: a point and its negative differ in their first byte."""
    negated = [bytes((other[0] ^ 1,)) + other[1:] for other in others]
    return bytes(coincurve.PublicKey.combine_keys([coincurve.PublicKey(each) for each in (point, *negated)]).format())


def _first(package: bytes) -> int:
    """Where the first point of the curve stands: a marker, and 32 bytes that are an abscissa."""
    for start in range(HEADER, len(package) - 33):
        if package[start] in (2, 3):
            try:
                coincurve.PublicKey(package[start : start + 33])
                coincurve.PublicKey(package[start + 33 : start + 66])
            except ValueError:
                continue
            return start
    raise AssertionError("no points in the package")


def test_a_rogue_key_in_musig2(custody: Custody, corrupt: Corrupt) -> None:
    """It commits, sees the others' keys, and then opens X - A - C: not what it committed to."""
    order = custody.signed(custody.order(MUSIG2))
    with custody.dealing(order) as run:
        boxes = {name: run.letters(name) for name in run.names}
        for name in (A, C):
            run.feed(name, boxes[name])
        theirs = [broadcast[HEADER : HEADER + 33] for broadcast in heard(corrupt, order, run)]

        def opened(own: bytes) -> bytes:
            return own[:HEADER] + minus(own[HEADER : HEADER + 33], theirs) + own[HEADER + 33 :]

        corrupt.lie = saying(opened, number=2, part="broadcast")
        run.feed(B, boxes[B])
        for name in (A, C):
            with refused("bad_proof", by=name, culprits=(B,), verdict="proof"):
                run.feed(name)
    corrupt.lie = None
    custody.require_intact(custody.create(order))


def test_aborts_that_name_nobody_stop_a_wallet(custody: Custody, corrupt: Corrupt) -> None:
    """It repeats A's commitments as its own, which C cannot tell from the other way round. So that nobody can go on for
    ever who can be blamed for nothing, C stops this wallet; other wallets it does not stop."""
    order = custody.signed(custody.order(ECDSA))
    for _ in range(MAX_ABORTS):
        with custody.dealing(order) as run:
            boxes = {name: run.letters(name) for name in run.names}
            for name in (A, C):
                run.feed(name, boxes[name])
            corrupt.lie = saying(
                after(lambda own, theirs: own[:HEADER] + theirs[0][HEADER:], heard(corrupt, order, run)),
                number=2,
                part="broadcast",
            )
            run.feed(B, boxes[B])
            with refused("aborted", by=C, verdict="unattributed"):
                run.feed(C)
    corrupt.lie = None
    with refused("wallet_stopped", by=C):
        custody.dealing(order)
    custody.require_intact(custody.wallet(ED25519))


def test_another_result_than_the_others(custody: Custody, corrupt: Corrupt, order: SignedOrder) -> None:
    """It ends the DKG with everybody and tells the host of another key."""

    def claim(result: bytes) -> bytes:
        value = cbor.decode(result)
        assert isinstance(value, dict) and isinstance(value["public_key"], bytes)
        return cbor.encode({**value, "public_key": flipped(value["public_key"], -1)})

    corrupt.claim = claim
    with pytest.raises(Refusal) as caught:
        custody.create(order)
    assert caught.value.code == "bad_certificate" and B in caught.value.reason
    corrupt.claim = None


# --- Signing ---


@pytest.fixture
def ecdsa(custody: Custody, corrupt: Corrupt) -> Wallet:
    """A wallet of its own for each test: bans last."""
    return custody.make(ECDSA)


@pytest.fixture
def ed25519(custody: Custody, corrupt: Corrupt) -> Iterator[Wallet]:
    wallet = custody.wallet(ED25519)
    custody.require_intact(wallet)
    yield wallet
    corrupt.lie = corrupt.claim = None
    custody.require_intact(wallet)


def test_a_cheat_in_oblivious_transfer(custody: Custody, corrupt: Corrupt, ecdsa: Wallet) -> None:
    """A selective failure could leak a bit of a long-lived correlation each time. So once is all: the pair is banned
    and what it had set up destroyed; with C, A goes on."""
    corrupt.lie = saying(bit(8000), number=1, part="private", to=A)
    signed = custody.sign(ecdsa, (A, B))
    assert signed.signers == (A, C) and signed.attempt == 2
    corrupt.lie = None
    status = next(row for row in custody.status(A).wallets if row["wallet"] == ecdsa.body.wallet)
    assert status["paired"] == [C]
    with refused("pair_banned", by=A, culprits=(B,)):
        custody.signing(ecdsa, (A, B))
    with refused("pair_banned", by=A, culprits=(B,)):
        custody.pairing(ecdsa, A, B)
    assert custody.sign(ecdsa, (A, C)).signers == (A, C)
    assert custody.sign(ecdsa, (B, C)).signers == (B, C), "an accusation is one signer's word: it cuts one pair"


def test_an_old_disk_after_a_ban(custody: Custody, corrupt: Corrupt, ecdsa: Wallet) -> None:
    """The host rolls A back to before the ban. The ban is forgotten, and so is what could have leaked: the pair has to
    be set up afresh, and never is what it was, however often."""
    order = ecdsa.signed_order.order_id
    seen = {corrupt.pairing(order, A)}
    for _ in range(2):
        corrupt.lie = saying(bit(8000), number=1, part="private", to=A)
        accused = refused("ot_check_failed", by=A, culprits=(B,), verdict="accusation")
        with custody.signing(ecdsa, (A, B)) as run, accused:
            run.feed(A)
        corrupt.lie = None
        record = custody.record(ecdsa, A)
        custody.rest()
        custody.cluster.restart(A)
        custody.ask(A, "wallet.load", {"record": record, "body": ecdsa.body_bytes})
        custody.connect(ecdsa.signed_order)
        with refused("not_paired", by=A, culprits=(B,)):
            custody.signing(ecdsa, (A, B))
        assert custody.sign(ecdsa, (A, B)).signers == (A, B)
        digest = corrupt.pairing(order, A)
        assert digest is not None and digest not in seen
        seen.add(digest)


def test_a_false_pairing_digest(custody: Custody, corrupt: Corrupt, ecdsa: Wallet) -> None:
    """It says that it holds another set-up. They pair again and again, until the host asks somebody else."""
    corrupt.lie = lambda said: dataclasses.replace(said.envelope, echo=b"\7" * 32) if said.round == 1 else said.envelope
    assert custody.sign(ecdsa, (A, B)).signers == (A, C)


@pytest.mark.parametrize("seconds", [-MAX_SKEW - 5, MAX_SKEW + 5])
def test_a_false_clock(custody: Custody, corrupt: Corrupt, ed25519: Wallet, seconds: int) -> None:
    corrupt.lie = lambda said: dataclasses.replace(said.envelope, clock=said.envelope.clock + seconds)
    skewed = refused("clock_skew", by=A, culprits=(B,), verdict="unattributed")
    with custody.signing(ed25519, (A, B)) as run, skewed:
        run.feed(A)
    assert custody.sign(ed25519, (A, B)).signers == (A, C)


def test_a_wrong_share_of_a_signature(custody: Custody, corrupt: Corrupt, ed25519: Wallet) -> None:
    """FROST proves whose share is wrong, and the boot key's signature that it came from there: it is replaced."""
    corrupt.claim = bit(-40)
    assert custody.sign(ed25519, (A, B)).signers == (A, C)


def test_a_wrong_share_where_all_must_sign(custody: Custody, corrupt: Corrupt) -> None:
    """MuSig2 has nobody to replace it by: the request fails, with its name and a proof."""
    wallet = custody.wallet(MUSIG2)
    corrupt.claim = bit(-40)
    with pytest.raises(SigningFailed) as failed:
        custody.sign(wallet)
    assert (failed.value.cause.code, failed.value.cause.culprits, failed.value.cause.verdict) == (
        "bad_share",
        (B,),
        "proof",
    )
    assert failed.value.last_left
    corrupt.claim = None
    custody.require_intact(wallet)


def test_a_wrong_share_that_it_did_not_sign(custody: Custody, corrupt: Corrupt) -> None:
    """The host could have changed it: then there is no proof, and nobody is excluded by name."""
    wallet = custody.wallet(MUSIG2)
    corrupt.claim, corrupt.unsigned = bit(-40), True
    with pytest.raises(SigningFailed) as failed:
        custody.sign(wallet)
    assert B not in failed.value.refusals
    corrupt.claim = None
    custody.require_intact(wallet)


def test_a_wrong_share_of_an_ecdsa_signature(custody: Custody, corrupt: Corrupt, ecdsa: Wallet) -> None:
    """DKLs23 names nobody. Another set signs."""
    corrupt.claim = bit(-40)
    signed = custody.sign(ecdsa, (A, B))
    assert signed.signers != (A, B) and signed.attempt >= 2
