"""The wallet certificate: what a client is shown before it sees an address, and every lie that it can carry."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from eth_account import Account
from strongroom_native import KeyShare

from strongroom import schemes
from strongroom.chains import evm
from strongroom.errors import Refusal
from strongroom.signer.configuration import Officers
from strongroom.wallet import certificate
from strongroom.wallet.certificate import Body, Certificate, TestSignature, covering_sets, verify_body, wallet_id
from strongroom.wallet.order import SignedOrder
from strongroom.wire import cbor
from tests.native.driver import run_dkg, run_sign
from tests.wallet.orders import ECDSA, ED25519, MUSIG2, NAMES, OFFICER_KEYS, OFFICERS, TAPROOT, order, signed
from tests.wire.refused import refused

TRANSCRIPT = hashlib.sha256(b"transcript").digest()


@cache
def dealt(scheme: str = ED25519, threshold: int = 2, parties: int = 3) -> tuple[KeyShare, ...]:
    return tuple(run_dkg(scheme, threshold, parties))


def test_signature(wallet: bytes, names: tuple[str, ...], shares: Sequence[KeyShare], scheme: str) -> TestSignature:
    own = [shares[NAMES.index(name)] for name in names]
    message = certificate.test_message(wallet, names)
    return TestSignature(names, run_sign(own, message, schemes.suite(scheme).tweak))


test_signature.__test__ = False  # type: ignore[attr-defined]


def body_of(shares: Sequence[KeyShare], made: SignedOrder, **changes: Any) -> Body:
    """Honest in every test signature, whatever was changed before they were made."""
    wallet = wallet_id(made.order_id, TRANSCRIPT, shares[0].public_key)
    tests = tuple(test_signature(wallet, names, shares, made.order.scheme) for names in covering_sets(made.order))
    fields: dict[str, Any] = {
        "order": made,
        "wallet": wallet,
        "epoch": 1,
        "public_key": shares[0].public_key,
        "verification_shares": tuple(shares[0].verification_shares),
        "package": shares[0].public_package(),
        "chain_code": shares[0].chain_code,
        "transcript": TRANSCRIPT,
        "tests": tests,
    }
    return Body(**{**fields, **changes})


@cache
def honest() -> Body:
    return body_of(dealt(), signed(order()))


def changed(**changes: Any) -> Body:
    return dataclasses.replace(honest(), **changes)


@pytest.mark.parametrize("threshold", range(2, 10))
def test_covering_sets_cover_every_signer_with_few_sets(threshold: int) -> None:
    for parties in range(threshold, 10):
        made = order(parties, threshold=threshold)
        sets = covering_sets(made)
        assert {name for names in sets for name in names} == set(made.names)
        assert all(made.sorted_set(names) == names for names in sets)
        assert len(sets) == -(-parties // threshold) <= 5
        assert len(set(sets)) == len(sets)


@pytest.mark.parametrize(
    ("scheme", "threshold", "parties"),
    [(ED25519, 2, 3), (ED25519, 3, 3), (ED25519, 2, 5), (TAPROOT, 2, 3), (MUSIG2, 3, 3)],
)
def test_an_honest_certificate_is_accepted(scheme: str, threshold: int, parties: int) -> None:
    made = signed(order(parties, scheme=scheme, threshold=threshold))
    body = body_of(dealt(scheme, threshold, parties), made)
    again = Body.decode(body.encode())
    assert again == body and again.encode() == body.encode()
    assert verify_body(again, OFFICERS) is again


def other_wallet() -> dict[str, Any]:
    """A key of the host's own, with a wallet id that fits it and test signatures of the right wallet."""
    public_key = run_dkg(ED25519, 2, 3)[0].public_key
    return {"public_key": public_key, "wallet": wallet_id(honest().order.order_id, TRANSCRIPT, public_key)}


def retested(place: int, **changes: Any) -> tuple[TestSignature, ...]:
    tests = list(honest().tests)
    tests[place] = dataclasses.replace(tests[place], **changes)
    return tuple(tests)


LIES: list[tuple[str, dict[str, Any], str]] = [
    ("the wallet id", {"wallet": bytes(32)}, "wallet id"),
    ("the transcript", {"transcript": bytes(32)}, "wallet id"),
    ("the public key", {"public_key": run_dkg(ED25519, 2, 3)[0].public_key}, "wallet id"),
    ("public key and wallet id", other_wallet(), "does not verify"),
    ("a verification share too few", {"verification_shares": honest().verification_shares[:2]}, "verification share"),
    (
        "a verification share too many",
        {"verification_shares": (*honest().verification_shares, bytes(32))},
        "verification share",
    ),
    ("no test at all", {"tests": ()}, "covers a, b, c"),
    ("a signer untested", {"tests": honest().tests[:1]}, "covers c"),
    ("a set twice", {"tests": honest().tests[:1] * 2}, "covers c"),
    ("a signature changed", {"tests": retested(0, signature=bytes(64))}, "of a, b does not verify"),
    ("a signature cut", {"tests": retested(0, signature=b"")}, "of a, b does not verify"),
    ("a signature of another set", {"tests": retested(1, signature=honest().tests[0].signature)}, "of b, c"),
    ("a set out of order", {"tests": retested(0, signers=("b", "a"))}, "roster order"),
    ("a set too small", {"tests": retested(0, signers=("a",))}, "exactly 2"),
    ("a set too large", {"tests": retested(0, signers=("a", "b", "c"))}, "exactly 2"),
    ("a signer twice", {"tests": retested(0, signers=("a", "a"))}, "exactly 2"),
    ("a stranger", {"tests": retested(0, signers=("a", "z"))}, "does not name z"),
]


@pytest.mark.parametrize(("changes", "reason"), [lie[1:] for lie in LIES], ids=[lie[0] for lie in LIES])
def test_a_lie_is_refused(changes: dict[str, Any], reason: str) -> None:
    for body in (changed(**changes), Body.decode(changed(**changes).encode())):
        assert reason in refused("bad_certificate", verify_body, body, OFFICERS).reason


@pytest.mark.parametrize("public_key", [b"", bytes(32), b"\xff" * 32, b"\2" + bytes(32)], ids=range(4))
@pytest.mark.parametrize("scheme", [ED25519, TAPROOT, ECDSA])
def test_a_public_key_that_is_none_is_refused(scheme: str, public_key: bytes) -> None:
    made = signed(order(scheme=scheme))
    wallet = wallet_id(made.order_id, TRANSCRIPT, public_key)
    body = changed(order=made, public_key=public_key, wallet=wallet)
    refused("bad_certificate", verify_body, body, OFFICERS)


def test_the_order_is_the_officers() -> None:
    refused("order_not_signed", verify_body, honest(), Officers(tuple(OFFICER_KEYS), 3))
    few = signed(order(), tuple(OFFICER_KEYS)[:1])
    refused("order_not_signed", verify_body, changed(order=few), OFFICERS)


def test_a_wallet_is_of_one_order() -> None:
    """Another order over the same key has another wallet id: a policy cannot be swapped under an address."""
    other = signed(order(nonce=b"\1" * 32))
    refused("bad_certificate", verify_body, changed(order=other), OFFICERS)
    moved = body_of(dealt(), other)
    assert moved.wallet != honest().wallet
    refused("bad_certificate", verify_body, dataclasses.replace(moved, tests=honest().tests), OFFICERS)


def test_a_signed_message_is_no_test() -> None:
    """Whoever may ask for messages could otherwise have a certificate made."""
    names = ("a", "b")
    message = certificate.test_message(honest().wallet, names)
    asked = run_sign(dealt()[:2], b"Strongroom signed message\n" + honest().wallet.hex().encode() + b"\n" + message)
    refused("bad_certificate", verify_body, changed(tests=retested(0, signature=asked)), OFFICERS)


def test_hashes_are_those_of_the_specification() -> None:
    raw, wallet = honest().encode(), honest().wallet
    digest = hashlib.sha256(b"strongroom/certificate/v1" + raw).digest()
    assert certificate.certificate_hash(raw) == digest
    assert (
        wallet
        == hashlib.sha256(b"strongroom/wallet/v1" + honest().order.order_id + TRANSCRIPT + honest().public_key).digest()
    )
    assert (
        certificate.attested_user_data(digest, 3)
        == hashlib.sha256(b"strongroom/certified/v1" + digest + bytes(7) + b"\3").digest()
    )
    assert (
        certificate.test_message(wallet, ("a", "bc"))
        == hashlib.sha256(b"strongroom/test/v1" + wallet + b"\1a\2bc").digest()
    )
    assert certificate.test_message(wallet, ("ab", "c")) != certificate.test_message(wallet, ("a", "bc"))


FIELDS: list[dict[str, Any]] = [
    {"v": 2},
    {"more": 1},
    {"epoch": 0},
    {"wallet": bytes(31)},
    {"public_key": bytes(34)},
    {"verification_shares": [bytes(32)] * 10},
    {"package": "text"},
    {"chain_code": bytes(31)},
    {"transcript": None},
    {"tests": [{"set": ["a", "b"], "signature": bytes(129)}]},
    {"tests": [{"set": ["a", "b"]}]},
    {"tests": [{"set": ["a", "b"], "signature": b"", "more": 1}]},
    {"tests": [{"set": [b"a"], "signature": b""}]},
    {"tests": [["a", "b"]]},
    {"tests": [{"set": ["a", "b"], "signature": b""}] * 10},
    {"order": {}},
]


@pytest.mark.parametrize("changes", FIELDS, ids=range(len(FIELDS)))
def test_another_form_is_refused(changes: dict[str, Any]) -> None:
    value = cbor.decode(honest().encode())
    assert isinstance(value, dict)
    refused("malformed_message", Body.decode, cbor.encode({**value, **changes}))


def test_a_certificate_is_a_body_and_attestations_in_order() -> None:
    made = Certificate(honest().encode(), (("a", b"1"), ("c", b"2")))
    assert Certificate.decode(made.encode()) == made
    wrongs: list[dict[str, Any]] = [
        {"body": b""},
        {"body": b"", "attestations": [["a"]]},
        {"body": b"", "attestations": [], "more": 1},
        {"body": b"", "attestations": [["a", b""]] * 10},
    ]
    for wrong in wrongs:
        refused("malformed_message", Certificate.decode, cbor.encode(wrong))


# --- Addresses ---


def with_key(scheme: str, public_key: bytes) -> Body:
    return changed(order=signed(order(scheme=scheme)), public_key=public_key)


def test_the_address_of_an_ecdsa_wallet_is_ethereums() -> None:
    account = Account.from_key(b"\7" * 32)
    public = account._key_obj.public_key.to_compressed_bytes()
    assert with_key(ECDSA, public).address == account.address
    assert with_key(ECDSA, public).wallet_key == public


def test_the_address_of_a_taproot_wallet_is_its_output_key() -> None:
    internal = bytes.fromhex("d6889cb081036e0faefa3a35157ad71086b123b2b144b649798b494c300a961d")
    output = "53a1f6e454df1aa2776a2814a721372d6258050de330b3c6d10ee8f4e0dda343"
    body = with_key(TAPROOT, b"\2" + internal)
    assert (body.address, body.wallet_key.hex()) == (output, output)


def test_the_address_of_an_ed25519_wallet_is_its_key() -> None:
    assert honest().address == honest().public_key.hex()


@pytest.mark.parametrize("scheme", [ECDSA, TAPROOT, MUSIG2])
def test_what_is_no_key_has_no_address(scheme: str) -> None:
    body = with_key(scheme, bytes(33))
    refused("malformed_message", lambda: body.address)


def test_two_sets_of_one_wallet_have_two_messages() -> None:
    sets = covering_sets(order(9))
    messages = [certificate.test_message(honest().wallet, names) for names in sets]
    assert all(left != right for left, right in pairwise(sorted(messages)))


def test_no_test_message_is_the_digest_of_a_transaction() -> None:
    """It is SHA-256 over a tag, what ECDSA signs otherwise is keccak over 0x02."""
    message = certificate.test_message(honest().wallet, ("a", "b"))
    with pytest.raises(Refusal):
        evm.Transaction.decode(message)
