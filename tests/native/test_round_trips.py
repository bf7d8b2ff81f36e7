"""Every suite makes signatures that other people's implementations take."""

import hashlib
import itertools
from collections.abc import Sequence

import coincurve
import pytest
import strongroom_native as native
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

from tests.native.conftest import ECDSA, ED25519, MUSIG2, TAPROOT, Keys
from tests.native.driver import Relay, run_dkg, run_sign

DIGEST = hashlib.sha256(b"a transaction").digest()
HALF_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 // 2

GROUPS = [
    (suite, threshold, parties, signers)
    for suite in (ECDSA, ED25519, TAPROOT)
    for threshold, parties, sets in (
        (2, 2, [(1, 2)]),
        (2, 3, list(itertools.combinations((1, 2, 3), 2))),
        (3, 5, [(1, 3, 5)]),
    )
    for signers in sets
] + [(MUSIG2, 2, 2, (1, 2)), (MUSIG2, 3, 3, (1, 2, 3))]


def accepted_elsewhere(suite: str, public_key: bytes, message: bytes, signature: bytes) -> None:
    """Raises unless another implementation takes the signature."""
    if suite == ECDSA:
        r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64])
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), public_key)
        key.verify(encode_dss_signature(r, s), message, ec.ECDSA(Prehashed(hashes.SHA256())))
        assert s <= HALF_ORDER
        recovered = coincurve.PublicKey.from_signature_and_message(signature, message, hasher=None)
        assert recovered.format() == public_key
    elif suite == ED25519:
        ed25519.Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    else:
        assert coincurve.PublicKeyXOnly(public_key[-32:]).verify(signature, message)


def pick(shares: Sequence[native.KeyShare], signers: Sequence[int]) -> list[native.KeyShare]:
    return [shares[signer - 1] for signer in signers]


@pytest.mark.parametrize(("suite", "threshold", "parties", "signers"), GROUPS)
def test_signatures_verify_elsewhere(
    keys: Keys, suite: str, threshold: int, parties: int, signers: tuple[int, ...]
) -> None:
    shares = keys(suite, threshold, parties)
    signature = run_sign(pick(shares, signers), DIGEST)
    assert len(signature) == (65 if suite == ECDSA else 64)
    accepted_elsewhere(suite, shares[0].public_key, DIGEST, signature)
    assert native.verify(suite, shares[0].public_key, DIGEST, signature)
    assert not native.verify(suite, shares[0].public_key, hashlib.sha256(DIGEST).digest(), signature)


def test_ecdsa_has_one_signature_in_four(keys: Keys) -> None:
    """Of r, s with low or high s and either recovery id, `verify` takes the one that `combine` makes."""
    shares = keys(ECDSA, 2, 3)
    signature = run_sign(shares[:2], DIGEST)
    high = (2 * HALF_ORDER + 1 - int.from_bytes(signature[32:64])).to_bytes(32)
    for s, y in ((signature[32:64], 1), (high, 0), (high, 1)):
        other = signature[:32] + s + bytes([signature[64] ^ y])
        assert not native.verify(ECDSA, shares[0].public_key, DIGEST, other)
    for identifier in (*range(2, 6), 27, 28, 255):
        assert not native.verify(ECDSA, shares[0].public_key, DIGEST, signature[:64] + bytes([identifier]))
    assert not native.verify(ECDSA, shares[0].public_key, DIGEST, signature[:64])


@pytest.mark.parametrize("suite", [TAPROOT, MUSIG2])
@pytest.mark.parametrize("root", [b"", hashlib.sha256(b"script").digest()])
def test_tweaked_signatures_verify_under_the_output_key(keys: Keys, suite: str, root: bytes) -> None:
    shares = keys(suite, 3, 3)
    key = shares[0].public_key
    signature = run_sign(shares, DIGEST, root)
    output = native.output_key(key, root)
    accepted_elsewhere(suite, output, DIGEST, signature)
    assert native.verify(suite, key, DIGEST, signature, root)
    assert not native.verify(suite, key, DIGEST, signature)

    internal = coincurve.PublicKeyXOnly(key[1:])
    tag = hashlib.sha256(b"TapTweak").digest()
    internal.tweak_add(hashlib.sha256(tag + tag + key[1:] + root).digest())
    assert internal.format() == output


def test_both_parities_of_the_joint_key_sign() -> None:
    """BIP-340 drops the parity: a key with odd y must sign all the same, tweaked or not."""
    for suite, threshold in ((TAPROOT, 2), (MUSIG2, 2)):
        parities: set[int] = set()
        while len(parities) < 2:
            shares = run_dkg(suite, threshold, 2)
            parities.add(shares[0].public_key[0])
            for tweak in (None, b""):
                signature = run_sign(shares, DIGEST, tweak)
                key = shares[0].public_key if tweak is None else native.output_key(shares[0].public_key, tweak)
                accepted_elsewhere(suite, key, DIGEST, signature)


@pytest.mark.parametrize("message", [b"", b"m", b"x" * 1232])
@pytest.mark.parametrize("suite", [ED25519])
def test_messages_of_any_length(keys: Keys, suite: str, message: bytes) -> None:
    shares = keys(suite, 2, 3)
    accepted_elsewhere(suite, shares[0].public_key, message, run_sign(shares[:2], message))


@pytest.mark.parametrize(("suite", "threshold"), [(ECDSA, 2), (ED25519, 2), (TAPROOT, 2), (MUSIG2, 3)])
def test_all_parties_agree_on_the_key(keys: Keys, suite: str, threshold: int) -> None:
    shares = keys(suite, threshold, 3)
    assert [share.index for share in shares] == [1, 2, 3]
    assert len({share.public_package() for share in shares}) == 1
    assert len({share.chain_code for share in shares}) == 1
    assert (shares[0].chain_code is not None) == (suite == ECDSA)
    for share in shares:
        share.check()
        assert (share.suite, share.threshold, share.parties) == (suite, threshold, 3)
        assert len(share.verification_shares) == 3
        assert share.paired() == [party for party in (1, 2, 3) if party != share.index]
        assert share.public_key.hex() in repr(share)


def test_no_two_keys_are_alike() -> None:
    assert len({run_dkg(ED25519, 2, 2)[0].public_key for _ in range(5)}) == 5


def test_rounds_are_as_few_as_the_suites_say(keys: Keys) -> None:
    """DKLs23 signs in three calls, the others in two: the last message of each signer is its contribution."""
    rounds = {suite["suite"]: suite["rounds"]["sign"] for suite in native.suites()}
    for suite, threshold in ((ECDSA, 2), (ED25519, 2), (TAPROOT, 2), (MUSIG2, 3)):
        signers = keys(suite, threshold, 3)[:threshold]
        relay = Relay({s.index: native.sign(s, bytes(32), range(1, threshold + 1), DIGEST) for s in signers})
        relay.start()
        turns = 0
        while not relay.done:
            relay.turn()
            turns += 1
        assert turns == rounds[suite] == (2 if suite == ECDSA else 1)
