"""The suites' table and the few functions that others than signers call, against independent implementations."""

from __future__ import annotations

import hashlib
import os

import pytest
from coincurve import PrivateKey
from eth_utils.crypto import keccak

from strongroom import schemes
from tests.native.driver import run_contributions, run_dkg, run_sign
from tests.wallet.orders import ECDSA, ED25519, MUSIG2, SCHEMES, TAPROOT
from tests.wire.refused import refused

DIGEST = hashlib.sha256(b"schemes").digest()


def test_each_suite_is_described_for_those_who_must_judge_it() -> None:
    assert set(schemes.suites()) == set(SCHEMES)
    for suite in schemes.suites().values():
        assert suite.library and suite.randomness and suite.version[0].isdigit()
        assert suite.audited == (suite.auditor != "none")
    assert {name for name, suite in schemes.suites().items() if suite.audited} == {ED25519}
    assert {name for name, suite in schemes.suites().items() if suite.pairwise} == {ECDSA}
    assert {name for name, suite in schemes.suites().items() if suite.digest} == {ECDSA}
    assert {name for name, suite in schemes.suites().items() if suite.taproot} == {TAPROOT, MUSIG2}
    assert {name for name, suite in schemes.suites().items() if suite.all_sign} == {MUSIG2}
    assert {name: suite.trips for name, suite in schemes.suites().items() if suite.trips != 2} == {ECDSA: 3}
    assert [schemes.suite(name).tweak for name in SCHEMES] == [None, None, b"", b""]


@pytest.mark.parametrize("name", ["", "gg20", "ecdsa", "frost-ed25519 ", "x" * 10_000])
def test_there_is_no_other_suite(name: str) -> None:
    assert len(refused("bad_order", schemes.suite, name).reason) < 250


def test_keccak_is_ethereums() -> None:
    for data in (b"", b"abc", bytes(1000)):
        assert schemes.keccak256(data) == keccak(data)


def test_uncompressed_is_what_libsecp256k1_gives() -> None:
    for _ in range(5):
        public = PrivateKey(os.urandom(32)).public_key
        assert schemes.uncompressed(public.format(True)) == public.format(False)


def test_the_wallet_key_of_bip340_suites_is_the_output_key() -> None:
    """bip-0341/wallet-test-vectors.json, the first script without a tree."""
    internal = bytes.fromhex("d6889cb081036e0faefa3a35157ad71086b123b2b144b649798b494c300a961d")
    output = bytes.fromhex("53a1f6e454df1aa2776a2814a721372d6258050de330b3c6d10ee8f4e0dda343")
    for scheme in (TAPROOT, MUSIG2):
        assert schemes.wallet_key(scheme, b"\2" + internal) == output
    for scheme in (ECDSA, ED25519):
        assert schemes.wallet_key(scheme, b"\2" + internal) == b"\2" + internal


NO_KEYS = [b"", bytes(32), bytes(33), b"\2" + b"\xff" * 32, b"\4" * 33, bytes(64)]


@pytest.mark.parametrize("key", NO_KEYS, ids=range(6))
def test_what_is_no_key_is_refused_and_verifies_nothing(key: bytes) -> None:
    """These bytes come out of certificates that a host made up: never an error of the native module's."""
    for scheme in (TAPROOT, MUSIG2):
        refused("malformed_message", schemes.wallet_key, scheme, key)
    for scheme in SCHEMES:
        for signature in (b"", bytes(64), bytes(65)):
            assert schemes.verify(scheme, key, DIGEST, signature) is False
    refused("bad_order", schemes.verify, "gg20", bytes(32), DIGEST, bytes(64))


@pytest.mark.parametrize("scheme", [ED25519, TAPROOT, MUSIG2])
def test_a_signature_is_of_its_message_and_key(scheme: str) -> None:
    shares = run_dkg(scheme, 2, 2)
    tweak = schemes.suite(scheme).tweak
    signature = run_sign(shares, DIGEST, tweak)
    key = shares[0].public_key
    assert schemes.verify(scheme, key, DIGEST, signature)
    assert not schemes.verify(scheme, key, bytes(32), signature)
    assert not schemes.verify(scheme, run_dkg(scheme, 2, 2)[0].public_key, DIGEST, signature)
    for wrong in (b"", signature[:-1], signature + b"\0", bytes(64), signature[32:] + signature[:32]):
        assert not schemes.verify(scheme, key, DIGEST, wrong)
    if tweak is not None:
        untweaked = run_sign(shares, DIGEST)
        assert not schemes.verify(scheme, key, DIGEST, untweaked)


def test_combine_names_the_culprit_by_its_number() -> None:
    shares = run_dkg(ED25519, 2, 3)[:2]
    session = os.urandom(32)
    parts = run_contributions(shares, session, DIGEST)
    package = shares[0].public_package()
    signature = schemes.combine(ED25519, package, session, DIGEST, parts)
    assert schemes.verify(ED25519, shares[0].public_key, DIGEST, signature)
    changed = bytearray(parts[1][1])
    changed[-20] ^= 1
    refusal = refused("bad_share", schemes.combine, ED25519, package, session, DIGEST, [parts[0], (2, bytes(changed))])
    assert (refusal.verdict, refusal.culprits) == ("proof", ("2",))
    refused("misuse", schemes.combine, ED25519, package, session, DIGEST, parts[:1])
    refused("foreign_message", schemes.combine, ED25519, package, bytes(32), DIGEST, parts)
