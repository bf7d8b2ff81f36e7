"""Keys derived by BIP-32 sign like any other, without a new pairing, and only where all signers mean the same path."""

import hashlib
import itertools

import coincurve
import pytest
import strongroom_native as native
from embit import bip32  # type: ignore[import-untyped]

from strongroom.chains.bitcoin.keys import WalletKeys
from tests.native.conftest import ECDSA, ED25519, MUSIG2, TAPROOT, Keys, reloaded
from tests.native.driver import Relay, run_contributions, run_pair, run_sign
from tests.native.test_round_trips import accepted_elsewhere, pick

DIGEST = hashlib.sha256(b"a transaction").digest()
PATHS = [(), (0,), (1,), (0, 7), (44, 0, 0, 1, 2**31 - 1)]


def theirs(share: native.KeyShare, path: tuple[int, ...]) -> bytes:
    """By embit, which shares no code with us or with the crate."""
    root = bip32.HDKey(bip32.ec.PublicKey.parse(share.public_key), share.chain_code)
    key: bytes = root.derive(list(path)).key.sec()
    return key


def wallet(share: native.KeyShare) -> WalletKeys:
    return WalletKeys(ECDSA, share.public_key, share.chain_code)


@pytest.mark.parametrize("path", PATHS)
def test_a_child_signs_under_the_key_that_others_derive(keys: Keys, path: tuple[int, ...]) -> None:
    shares = keys(ECDSA, 2, 3)
    for signers in itertools.combinations((1, 2, 3), 2):
        signature = run_sign(pick(shares, signers), DIGEST, path=path)
        child = theirs(shares[0], path)
        accepted_elsewhere(ECDSA, child, DIGEST, signature)
        assert native.verify(ECDSA, child, DIGEST, signature) and child == wallet(shares[0]).key(path)
        assert native.verify(ECDSA, shares[0].public_key, DIGEST, signature) == (path == ())


def test_larger_groups_derive_too(keys: Keys) -> None:
    shares = keys(ECDSA, 3, 5)
    signature = run_sign(pick(shares, (1, 3, 5)), DIGEST, path=(1, 2))
    accepted_elsewhere(ECDSA, theirs(shares[0], (1, 2)), DIGEST, signature)


def test_children_sign_side_by_side_on_one_pairing(keys: Keys) -> None:
    """Interleaved round by round, one digest under several keys, two of them alike: every nonce is another one."""
    one, two = keys(ECDSA, 2, 3)[:2]
    before = one.pairing_digest(2)
    paths = [(), (0,), (0,), (1,), (0, 0)]
    sessions = [hashlib.sha256(bytes([number])).digest() for number in range(len(paths))]
    relays = [
        Relay({s.index: native.sign(s, session, [1, 2], DIGEST, None, path) for s in (one, two)})
        for session, path in zip(sessions, paths, strict=True)
    ]
    for relay in relays:
        relay.start()
    for _ in range(2):
        for relay in relays:
            relay.turn()
    points = set()
    for relay, session, path in zip(relays, sessions, paths, strict=True):
        parts = [(i, part) for i, c in relay.ceremonies.items() if isinstance(part := c.result(), bytes)]
        signature = native.combine(ECDSA, one.public_package(), session, DIGEST, parts, None, path)
        accepted_elsewhere(ECDSA, theirs(one, path), DIGEST, signature)
        points.add(signature[:32])
    assert len(points) == len(paths)
    assert one.pairing_digest(2) == before == two.pairing_digest(1)


@pytest.mark.parametrize("other", [(), (1,), (0, 0)])
def test_signers_of_different_paths_find_out_before_the_protocol_does(keys: Keys, other: tuple[int, ...]) -> None:
    """A message of another path is foreign. Were it taken, each would find the other cheating, and ban it."""
    one, two = keys(ECDSA, 2, 3)[:2]
    relay = Relay(
        {
            1: native.sign(one, bytes(32), [1, 2], DIGEST, None, (0,)),
            2: native.sign(two, bytes(32), [1, 2], DIGEST, None, other),
        }
    )
    relay.start()
    with pytest.raises(native.NativeError) as caught:
        relay.turn()
    assert caught.value.code == "foreign_message"
    assert one.paired() == [2, 3] and two.paired() == [1, 3]


def test_a_contribution_is_for_one_path(keys: Keys) -> None:
    shares = keys(ECDSA, 2, 3)[:2]
    parts = run_contributions(shares, bytes(32), DIGEST, None, (0,))
    package = shares[0].public_package()
    assert native.combine(ECDSA, package, bytes(32), DIGEST, parts, None, (0,))
    with pytest.raises(native.NativeError, match="foreign_message"):
        native.combine(ECDSA, package, bytes(32), DIGEST, parts, None, (1,))


@pytest.mark.parametrize("path", [(2**31,), (2**32,), (-1,), (2**200,), (0,) * 6])
def test_what_is_no_path(keys: Keys, path: tuple[int, ...]) -> None:
    share = keys(ECDSA, 2, 3)[0]
    with pytest.raises(native.NativeError, match="misuse"):
        native.sign(share, bytes(32), [1, 2], DIGEST, None, path)
    with pytest.raises(native.NativeError, match="misuse"):
        native.combine(ECDSA, share.public_package(), bytes(32), DIGEST, [(1, b""), (2, b"")], None, path)


@pytest.mark.parametrize(("suite", "threshold"), [(ED25519, 2), (TAPROOT, 2), (MUSIG2, 3)])
def test_other_suites_derive_nothing(keys: Keys, suite: str, threshold: int) -> None:
    share = keys(suite, threshold, 3)[0]
    with pytest.raises(native.NativeError, match="derives no others"):
        native.sign(share, bytes(32), range(1, threshold + 1), DIGEST, None, (0,))


def test_a_cut_pair_stops_its_children_too(keys: Keys) -> None:
    """The child's copy of the state is under the same flag as its parent's."""
    one, two = reloaded(*keys(ECDSA, 2, 3)[:2])
    run_pair(one, two)
    relay = Relay({s.index: native.sign(s, bytes(32), [1, 2], DIGEST, None, (0,)) for s in (one, two)})
    relay.start()
    one.unpair(2)
    with pytest.raises(native.NativeError, match="not_paired"):
        relay.turn()


def test_the_recovered_key_is_the_child(keys: Keys) -> None:
    shares = keys(ECDSA, 2, 3)[:2]
    signature = run_sign(shares, DIGEST, path=(0, 1))
    recovered = coincurve.PublicKey.from_signature_and_message(signature, DIGEST, hasher=None)
    assert recovered.format() == theirs(shares[0], (0, 1))
