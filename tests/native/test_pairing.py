"""Pairwise state: set up afresh, bound to its session, destroyed by a ban at once, and never used after that."""

import hashlib
import os

import pytest
import strongroom_native as native

from tests.native.conftest import ECDSA, ED25519, Keys, reloaded
from tests.native.driver import Relay, run_contributions, run_pair, run_sign

DIGEST = hashlib.sha256(b"paired").digest()


def flip_ot(round_: int, sender: int, recipient: int, payload: bytes) -> bytes:
    """Party 2 changes one bit of its OT extension matrix, as in a selective-failure attack."""
    if (round_, sender) != (1, 2):
        return payload
    changed = bytearray(payload)
    changed[1000] ^= 1
    return bytes(changed)


def ceremonies(shares: list[native.KeyShare], session: bytes) -> dict[int, native.Ceremony]:
    signers = [share.index for share in shares]
    return {share.index: native.sign(share, session, signers, DIGEST) for share in shares}


def test_unpaired_signers_are_named(keys: Keys) -> None:
    one, two, three = reloaded(*keys(ECDSA, 2, 3))
    run_pair(one, two)
    assert (one.paired(), two.paired(), three.paired()) == ([2], [1], [])
    with pytest.raises(native.NativeError) as refusal:
        native.sign(one, bytes(32), [1, 3], DIGEST)
    assert (refusal.value.code, refusal.value.culprits) == ("not_paired", (3,))
    run_sign([one, two], DIGEST)
    run_pair(one, three)
    run_sign([three, one], DIGEST)


def test_three_signers_paired_anew(keys: Keys) -> None:
    """Zero-share seeds and multiplications of three fresh pairs fit each other."""
    one, three, five = (shares := keys(ECDSA, 3, 5))[0], shares[2], shares[4]
    again = reloaded(one, three, five)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        run_pair(again[a], again[b])
    assert native.verify(ECDSA, one.public_key, DIGEST, run_sign(again, DIGEST))


def test_one_of_two_restarts(keys: Keys) -> None:
    """The other still holds the pair's old state: all of it is replaced, the seed for shares of zero too."""
    one, two = reloaded(*keys(ECDSA, 2, 3)[:2])
    run_pair(one, two)
    for _ in range(2):
        [two] = reloaded(two)
        run_pair(one, two)
        assert native.verify(ECDSA, one.public_key, DIGEST, run_sign([one, two], DIGEST))


def test_digest_is_shared_and_differs_after_every_set_up(keys: Keys) -> None:
    one, two = keys(ECDSA, 2, 3)[:2]
    assert one.pairing_digest(2) == two.pairing_digest(1)
    seen = {one.pairing_digest(2)}
    one, two = reloaded(one, two)
    assert one.pairing_digest(2) is None
    for _ in range(3):
        run_pair(one, two)
        assert one.pairing_digest(2) == two.pairing_digest(1)
        seen.add(one.pairing_digest(2))
    assert len(seen) == 4


def test_a_set_up_belongs_to_its_session_and_its_parties(keys: Keys) -> None:
    one, two, three = reloaded(*keys(ECDSA, 2, 3))
    session = os.urandom(32)
    first = native.pair(one, session, 2)
    first.start()
    for other in (native.pair(two, os.urandom(32), 1), native.pair(two, session, 3), native.pair(three, session, 1)):
        [(_, payload)] = other.start().outgoing
        ceremony = native.pair(one, session, 2)
        ceremony.start()
        with pytest.raises(native.NativeError) as refusal:
            ceremony.receive([(2, False, payload)])
        assert (refusal.value.code, refusal.value.verdict) == ("foreign_message", "unattributed")


def test_a_ban_destroys_the_pair_at_once(keys: Keys) -> None:
    one, two, three = reloaded(*keys(ECDSA, 2, 3))
    run_pair(one, two)
    run_pair(one, three)
    with pytest.raises(native.NativeError) as refusal:
        Relay(ceremonies([one, two], os.urandom(32)), flip_ot).run()
    assert (refusal.value.code, refusal.value.verdict) == ("ot_check_failed", "accusation")
    assert refusal.value.culprits == (2,)
    assert (one.paired(), one.pairing_digest(2)) == ([3], None)
    with pytest.raises(native.NativeError) as refusal:
        native.sign(one, bytes(32), [1, 2], DIGEST)
    assert (refusal.value.code, refusal.value.culprits) == ("not_paired", (2,))
    run_sign([one, three], DIGEST)


@pytest.mark.parametrize("turns", [0, 1])
def test_a_ban_stops_other_signings_with_that_peer(keys: Keys, turns: int) -> None:
    """Signings that began before hold the destroyed state, and could each leak another bit of it."""
    one, two = reloaded(*keys(ECDSA, 2, 3)[:2])
    run_pair(one, two)
    beside = Relay(ceremonies([one, two], os.urandom(32)))
    beside.start()
    for _ in range(turns):
        beside.turn()
    with pytest.raises(native.NativeError):
        Relay(ceremonies([one, two], os.urandom(32)), flip_ot).run()
    with pytest.raises(native.NativeError) as refusal:
        beside.turn()
    assert (refusal.value.code, refusal.value.culprits) == ("not_paired", (2,))


def test_unpair_is_for_one_peer(keys: Keys) -> None:
    one, two, three = reloaded(*keys(ECDSA, 2, 3))
    run_pair(one, two)
    run_pair(one, three)
    one.unpair(2)
    assert one.paired() == [3]
    one.unpair(2)
    run_sign([one, three], DIGEST)
    for nobody in (0, 1, 4, -1, 2**70):
        with pytest.raises(native.NativeError) as refusal:
            one.unpair(nobody)
        assert refusal.value.code == "misuse"


def test_states_of_different_set_ups_do_not_sign_and_blame_nobody(keys: Keys) -> None:
    """One side was restarted and paired by a set-up that the other did not finish: no OT is run on it."""
    one, two = reloaded(*keys(ECDSA, 2, 3)[:2])
    run_pair(one, two)
    session = os.urandom(32)
    relay = Relay({1: native.pair(one, session, 2), 2: native.pair(two, session, 1)})
    relay.start()
    relay.turn()
    relay.ceremonies[1].receive(relay.inboxes[1])
    assert one.pairing_digest(2) != two.pairing_digest(1)
    with pytest.raises(native.NativeError) as refusal:
        run_contributions([one, two], os.urandom(32), DIGEST)
    assert (refusal.value.code, refusal.value.verdict, refusal.value.culprits) == ("aborted", "unattributed", ())
    assert (one.paired(), two.paired()) == ([2], [1])


def test_a_failed_set_up_leaves_the_pair_unpaired(keys: Keys) -> None:
    one, two = reloaded(*keys(ECDSA, 2, 3)[:2])
    run_pair(one, two)

    def other_seed(round_: int, sender: int, recipient: int, payload: bytes) -> bytes:
        """Party 2 opens its commitment to another seed: the seed stands first in the body."""
        if (round_, sender) != (2, 2):
            return payload
        return payload[:16] + bytes(32) + payload[48:]

    with pytest.raises(native.NativeError) as refusal:
        run_pair(one, two, other_seed)
    assert (refusal.value.code, refusal.value.verdict) == ("bad_proof", "accusation")
    assert refusal.value.culprits == (2,)
    assert one.paired() == []


def test_suites_without_pairwise_state(keys: Keys) -> None:
    share = keys(ED25519, 2, 3)[0]
    share.unpair(2)
    assert share.paired() == [2, 3]
    assert share.pairing_digest(2) is None
    with pytest.raises(native.NativeError) as refusal:
        native.pair(share, bytes(32), 2)
    assert refusal.value.code == "misuse"
