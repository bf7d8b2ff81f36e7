"""Whom a fault names, and who could believe it."""

import hashlib
import os

import pytest
import strongroom_native as native

from tests.native.conftest import ECDSA, ED25519, MUSIG2, TAPROOT, Keys
from tests.native.driver import Relay, run_contributions, run_dkg

DIGEST = hashlib.sha256(b"blame").digest()
Parts = list[tuple[int, bytes]]


def combined(suite: str, share: native.KeyShare, session: bytes, parts: Parts) -> native.NativeError:
    with pytest.raises(native.NativeError) as caught:
        native.combine(suite, share.public_package(), session, DIGEST, parts)
    return caught.value


@pytest.mark.parametrize(("suite", "threshold"), [(ED25519, 2), (TAPROOT, 2), (ED25519, 3), (MUSIG2, 3)])
@pytest.mark.parametrize("liars", [(1,), (2,), (1, 2)])
def test_wrong_signature_shares_are_proven(keys: Keys, suite: str, threshold: int, liars: tuple[int, ...]) -> None:
    shares = keys(suite, threshold, 3)[:threshold]
    session = os.urandom(32)
    parts = run_contributions(shares, session, DIGEST)
    changed = []
    for signer, part in parts:
        body = bytearray(part)
        if signer in liars:
            body[-20] ^= 1 << signer  # each another bit: two changes that cancel out would be a signature
        changed.append((signer, bytes(body)))
    error = combined(suite, shares[0], session, changed)
    assert (error.code, error.verdict, error.culprits) == ("bad_share", "proof", liars)


@pytest.mark.parametrize("suite", [ED25519, TAPROOT, MUSIG2])
def test_two_faced_commitments_do_not_blame_the_honest(keys: Keys, suite: str) -> None:
    """Party 2 shows its peers one commitment and the host another, which makes honest shares look wrong."""
    threshold = 3 if suite == MUSIG2 else 2
    shares = keys(suite, threshold, 3)[:threshold]
    session = os.urandom(32)
    parts = dict(run_contributions(shares, session, DIGEST))
    again = dict(run_contributions(shares, session, DIGEST))
    start = 16 + 32
    for digest in (parts[2][16:start], again[2][16:start]):
        two_faced = parts[2][:16] + digest + again[2][start:]
        error = combined(suite, shares[0], session, [(i, two_faced if i == 2 else p) for i, p in parts.items()])
        assert (error.code, error.verdict, error.culprits) == ("aborted", "unattributed", ())


def test_ecdsa_contributions_name_nobody(keys: Keys) -> None:
    shares = keys(ECDSA, 2, 3)[:2]
    session = os.urandom(32)
    parts = run_contributions(shares, session, DIGEST)
    for place in (16 + 31, 16 + 63, 16 + 95):  # r, u, w
        body = bytearray(parts[1][1])
        body[place] ^= 1
        error = combined(ECDSA, shares[0], session, [parts[0], (2, bytes(body))])
        assert (error.code, error.verdict, error.culprits) == ("aborted", "unattributed", ())


@pytest.mark.parametrize("suite", [ECDSA, ED25519, TAPROOT, MUSIG2])
def test_contributions_are_for_one_signing(keys: Keys, suite: str) -> None:
    threshold = 3 if suite == MUSIG2 else 2
    shares = keys(suite, threshold, 3)[:threshold]
    session, other = os.urandom(32), os.urandom(32)
    parts = run_contributions(shares, session, DIGEST)
    assert combined(suite, shares[0], other, parts).code == "foreign_message"
    swapped = [(parts[1][0], parts[0][1]), (parts[0][0], parts[1][1]), *parts[2:]]
    assert combined(suite, shares[0], session, swapped).code == "foreign_message"
    for wrong in (parts[1:], [*parts, parts[0]], [(9, parts[0][1]), *parts[1:]], [(0, parts[0][1]), *parts[1:]]):
        assert combined(suite, shares[0], session, wrong).code == "misuse"
    other_key = run_dkg(suite if suite != ECDSA else ED25519, threshold, 3)[0]
    error = combined(suite, other_key, session, parts)
    assert error.code == ("misuse" if suite == ECDSA else "foreign_message")


def failed_dkg(suite: str, at: tuple[int, int], place: int, parties: int = 3) -> native.NativeError:
    """A DKG in which party 2 changes one bit of one round's messages to party `at[1]`."""

    def tamper(round_: int, sender: int, recipient: int, payload: bytes) -> bytes:
        if (round_, sender, recipient) != (at[0], 2, at[1]):
            return payload
        body = bytearray(payload)
        body[place] ^= 1
        return bytes(body)

    with pytest.raises(native.NativeError) as caught:
        run_dkg(suite, parties if suite == MUSIG2 else 2, parties, tamper)
    return caught.value


def test_frost_proof_of_knowledge_is_proven() -> None:
    error = failed_dkg(ED25519, (1, 1), -1)
    assert (error.code, error.verdict, error.culprits) in [
        ("bad_proof", "proof", (2,)),
        ("malformed_message", "accusation", (2,)),  # the changed scalar may be out of range
    ]
    error = failed_dkg(ED25519, (1, 1), -10)
    assert (error.code, error.verdict, error.culprits) == ("bad_proof", "proof", (2,))


@pytest.mark.parametrize("suite", [ED25519, TAPROOT])
def test_frost_key_share_is_an_accusation(suite: str) -> None:
    error = failed_dkg(suite, (2, 1), -5)
    assert (error.code, error.verdict, error.culprits) == ("bad_share", "accusation", (2,))


def test_musig2_opening_unlike_its_commitment_is_proven() -> None:
    for place in (-1, 17 + 40):  # the salt, the proof of possession
        error = failed_dkg(MUSIG2, (2, 1), place)
        assert (error.code, error.verdict, error.culprits) == ("bad_proof", "proof", (2,))


def test_musig2_rogue_key_is_refused() -> None:
    """Party 2 answers party 1's key with one of its choice: too late, it has committed."""
    relay = Relay({i: native.dkg(MUSIG2, bytes(32), i, 2, 2) for i in (1, 2)})
    relay.start()
    relay.turn()
    [(_, _, opening)] = relay.inboxes[1]
    other = run_dkg(MUSIG2, 2, 2)[0].verification_shares[1]
    with pytest.raises(native.NativeError) as caught:
        relay.ceremonies[1].receive([(2, True, opening[:16] + other + opening[16 + 33 :])])
    error = caught.value
    assert (error.code, error.verdict, error.culprits) == ("bad_proof", "proof", (2,))


PROVEN = ("bad_proof", "proof", (2,))
ACCUSED = ("bad_proof", "accusation", (2,))


@pytest.mark.parametrize(
    ("round_", "broadcast", "place", "expected"),
    [
        # A point of the polynomial: the sum lies on none, and nobody can be named.
        (1, False, -1, ("aborted", "unattributed", ())),
        # The commitments to the proof and to the chain code; and what they open to, a round later.
        (2, True, 16, PROVEN),
        (2, True, -1, PROVEN),
        (3, True, -32 - 1 - 64 - 1, PROVEN),
        (3, True, -1, PROVEN),
        # The commitment to the seed for shares of zero, and the seed: private, so only the receiver knows.
        (2, False, -1, ACCUSED),
        (3, False, 16, ACCUSED),
        # The seed of the base oblivious transfer, which its proofs are about.
        (3, False, -1, ("ot_check_failed", "accusation", (2,))),
    ],
)
def test_ecdsa_dkg(round_: int, broadcast: bool, place: int, expected: tuple[str, str, tuple[int, ...]]) -> None:
    """Party 2 changes one bit of what party 1 receives."""
    parties = 3 if round_ == 1 else 2  # two points always lie on a line
    relay = Relay({i: native.dkg(ECDSA, bytes(32), i, 2, parties) for i in range(1, parties + 1)})
    relay.start()
    for _ in range(round_ - 1):
        relay.turn()
    index = next(i for i, message in enumerate(relay.inboxes[1]) if message[:2] == (2, broadcast))
    body = bytearray(relay.inboxes[1][index][2])
    body[place] ^= 1
    relay.inboxes[1][index] = (2, broadcast, bytes(body))
    with pytest.raises(native.NativeError) as caught:
        while not relay.done:
            relay.turn()
    error = caught.value
    assert (error.code, error.verdict, error.culprits) == expected


def test_ecdsa_dkg_sends_the_proof_a_round_after_its_commitment() -> None:
    """Round 2 carries 32 + 32 bytes of commitments and nothing that they commit to."""
    relay = Relay({i: native.dkg(ECDSA, bytes(32), i, 2, 2) for i in (1, 2)})
    relay.start()
    relay.turn()
    assert sorted((broadcast, len(payload)) for _, broadcast, payload in relay.inboxes[1]) == [
        (False, 16 + 32),
        (True, 16 + 64),
    ]


def test_ecdsa_dkg_refuses_a_copied_commitment() -> None:
    """The crate's commitment does not bind its author, so a copy would open to the copied proof."""
    relay = Relay({i: native.dkg(ECDSA, bytes(32), i, 2, 3) for i in (1, 2, 3)})
    relay.start()
    relay.turn()
    inbox = {(sender, broadcast): payload for sender, broadcast, payload in relay.inboxes[1]}
    inbox[2, True] = inbox[2, True][:16] + inbox[3, True][16:]
    with pytest.raises(native.NativeError) as caught:
        relay.ceremonies[1].receive([(sender, broadcast, payload) for (sender, broadcast), payload in inbox.items()])
    assert (caught.value.code, caught.value.verdict) == ("aborted", "unattributed")
