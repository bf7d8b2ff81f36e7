"""Messages by BIP-322: its vectors, and threshold signatures that Bitcoin Core's script interpreter takes."""

from __future__ import annotations

import base64
import hashlib

import coincurve
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from strongroom.chains.bitcoin import WalletKeys, message, script_of
from strongroom.chains.bitcoin.encoding import Reader
from strongroom.chains.bitcoin.finalizer import ecdsa, schnorr
from strongroom.chains.bitcoin.hashing import tagged
from strongroom.chains.bitcoin.sighash import Commitments
from strongroom.chains.bitcoin.transaction import Output, Transaction, stack
from strongroom.chains.effects import Effects, Signing
from tests.chains.bitcoin_cases import ECDSA, SCHNORR
from tests.wire.refused import refused

# BIP-322, basic-test-vectors.json.
SEGWIT = script_of("bc1q9vza2e8x573nczrlzms0wvx3gsqjx7vavgkx0l", "mainnet")
HASHES = [
    (
        "",
        "c90c269c4f8fcbe6880f72a721ddfbf1914268a794cbb21cfafee13770ae19f1",
        "c5680aa69bb8d860bf82d4e9cd3504b55dde018de765a91bb566283c545a99a7",
        "1e9654e951a5ba44c8604c4de6c67fd78a27e81dcadcfe1edf638ba3aaebaed6",
    ),
    (
        "Hello World",
        "f0eb03b1a75ac6d9847f55c624a99169b5dccba2a31f5b23bea77ba270de0a7a",
        "b79d196740ad5217771c1098fc4a4b51e0535c32236c71f1ea4d61a2d603352b",
        "88737ae86f2077145f93cc4b153ae9a1cb8d56afa511988c149c5c8c9d93bddf",
    ),
]
KEY = bytes.fromhex("02c7f12003196442943d8588e01aee840423cc54fc1521526a3b85c2b0cbd58872")
ECDSA_SIGNATURES = [
    (
        "",
        "smpAkcwRAIgM2gBAQqvZX15ZiysmKmQpDrG83avLIT492QBzLnQIxYCIBaTpOaD20qRlEylyxFSeEA2ba9YOixpX8z46TSDtS40ASECx/EgAx"
        "lkQpQ9hYjgGu6EBCPMVPwVIVJqO4XCsMvViHI=",
    ),
    (
        "",
        "smpAkgwRQIhAPkJ1Q4oYS0htvyuSFHLxRQpFAY56b70UvE7Dxazen0ZAiAtZfFz1S6T6I23MWI2lK/pcNTWncuyL8UL+oMdydVgzAEhAsfxIA"
        "MZZEKUPYWI4BruhAQjzFT8FSFSajuFwrDL1Yhy",
    ),
    (
        "Hello World",
        "smpAkcwRAIgZRfIY3p7/DoVTty6YZbWS71bc5Vct9p9Fia83eRmw2QCICK/ENGfwLtptFluMGs2KsqoNSk89pO7F29zJLUx9a/sASECx/EgAx"
        "lkQpQ9hYjgGu6EBCPMVPwVIVJqO4XCsMvViHI=",
    ),
    (
        "Hello World",
        "smpAkgwRQIhAOzyynlqt93lOKJr+wmmxIens//zPzl9tqIOua93wO6MAiBi5n5EyAcPScOjf1lAqIUIQtr3zKNeavYabHyR8eGhowEhAsfxIA"
        "MZZEKUPYWI4BruhAQjzFT8FSFSajuFwrDL1Yhy",
    ),
]
TAPROOT = [
    (  # with SIGHASH_ALL
        "Hello World",
        "bc1ppv609nr0vr25u07u95waq5lucwfm6tde4nydujnu8npg4q75mr5sxq8lt3",
        "smpAUHd69PrJQEv+oKTfZ8l+WROBHuy9HKrbFCJu7U1iK2iiEy1vMU5EfMtjc+VSHM7aU0SDbak5IUZRVno2P5mjSafAQ==",
    ),
    (  # with SIGHASH_DEFAULT, as ours
        "No prefix fallback",
        "bc1pss0zhytly75awhm6x2hhvd5lnzv3vssgrf9axfheq8ldyzn88ges79fler",
        "smpAUCJYOwOjxYAvatTAGYaVlNXBVyFuc4MwNQkOuK2tl8xhfKDONd0NjfYyNSYcRqeCp8hsAnCEPHAVEkO9h6vbQ/R",
    ),
]


@pytest.mark.parametrize(("text", "hashed", "spending", "signing"), HASHES)
def test_transactions_are_bip322s(text: str, hashed: str, spending: str, signing: str) -> None:
    assert tagged("BIP0322-signed-message", text.encode()).hex() == hashed
    assert message.to_spend(SEGWIT, text.encode()).txid[::-1].hex() == spending
    assert message.to_sign(SEGWIT, text.encode()).txid[::-1].hex() == signing


def opened(simple: str) -> tuple[bytes, ...]:
    assert simple.startswith("smp")
    reader = Reader(base64.b64decode(simple[3:], validate=True), "the witness")
    items = stack(reader)
    reader.end()
    return items


@pytest.mark.parametrize(("text", "simple"), ECDSA_SIGNATURES)
def test_published_p2wpkh_signatures_are_over_our_digest(text: str, simple: str) -> None:
    signature, key = opened(simple)
    assert key == KEY
    assert WalletKeys("dkls23-secp256k1", KEY).script(()) == SEGWIT
    digest = message.digest(SEGWIT, text.encode())
    assert coincurve.PublicKey(key).verify(signature[:-1], digest, hasher=None)
    assert not coincurve.PublicKey(key).verify(signature[:-1], message.digest(SEGWIT, b"another"), hasher=None)
    r, s = decode_dss_signature(signature[:-1])
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big") + b"\0"
    assert message.simple(raw, WalletKeys("dkls23-secp256k1", KEY)) == simple


@pytest.mark.parametrize(("text", "address", "simple"), TAPROOT, ids=["ALL", "DEFAULT"])
def test_published_p2tr_signatures_are_over_our_digest(text: str, address: str, simple: str) -> None:
    (signature,) = opened(simple)
    script = script_of(address, "mainnet")
    common = Commitments.of(message.to_sign(script, text.encode()), [Output(0, script)])
    digest = common.p2tr(0, signature[64] if len(signature) == 65 else 0)
    assert coincurve.PublicKeyXOnly(script[2:]).verify(signature[:64], digest)
    if len(signature) == 64:
        assert message.digest(script, text.encode()) == digest
        assert message.simple(signature, SCHNORR) == simple


@pytest.mark.parametrize("wallet", [ECDSA, SCHNORR], ids=["p2wpkh", "p2tr"])
def test_what_is_signed_is_the_message_of_the_address(wallet: WalletKeys) -> None:
    paths: list[tuple[int, ...]] = [(), (0, 1)] if wallet.derives else [()]
    for path in paths:
        signing = message.signing(b"I am here", wallet, path)
        assert (signing.path, signing.message) == (path, message.digest(wallet.script(path), b"I am here"))
    assert len({message.signing(b"I am here", wallet, path).message for path in paths}) == len(paths)


def test_the_effect_is_a_text() -> None:
    text = "I am here: " + "é" * 100
    assert message.effects(text.encode(), "signet") == Effects(
        "bitcoin:signet", signings=(Signing("text", None, text[:64]),)
    )


@pytest.mark.parametrize("payload", [b"", b"\xff", b"a" * 4097, "one\u202etwo".encode(), b"\0"])
def test_texts_that_say_more_than_they_show(payload: bytes) -> None:
    refused("malformed_transaction", message.signing, payload, ECDSA)
    refused("malformed_transaction", message.effects, payload, "mainnet")


def test_only_our_two_kinds_of_address_sign() -> None:
    for script in (b"\xa9\x14" + bytes(20) + b"\x87", b"\0\x20" + bytes(32), b"\x6a"):
        refused("unsupported_transaction", message.digest, script, b"text")
    refused("unsupported_transaction", message.effects, b"text", "bitcoin")
    refused("unsupported_transaction", message.signing, b"text", SCHNORR, (1,))


def test_to_spend_cannot_be_mined() -> None:
    """Its one input is what only a coinbase has, and its version and amount are nobody's payment."""
    spending = message.to_spend(SEGWIT, hashlib.sha256(b"x").digest())
    assert Transaction.decode(spending.encode()) == spending
    assert (spending.inputs[0].outpoint.txid, spending.inputs[0].outpoint.index) == (bytes(32), 2**32 - 1)
    assert (spending.version, spending.outputs[0].amount) == (0, 0)


def test_sizes_of_signatures() -> None:
    for wallet, size in ((ECDSA, 65), (SCHNORR, 64)):
        for wrong in (0, size - 1, size + 1):
            refused("malformed_transaction", message.simple, bytes(wrong), wallet)
    assert len(schnorr(bytes(64))) == 1
    assert len(ecdsa(b"\1" * 65, KEY)) == 2
