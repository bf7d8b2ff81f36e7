"""The wallet's own keys: BIP-32's public derivation, BIP-341's and BIP-86's output keys."""

from __future__ import annotations

import coincurve
import pytest
from embit.bip32 import HDKey  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.chains.bitcoin import WalletKeys, keys
from strongroom.chains.bitcoin.fields import HARDENED
from strongroom.chains.bitcoin.hashing import hash160
from strongroom.chains.bitcoin.script import address_of
from strongroom.chains.solana import base58
from tests.chains.bitcoin_cases import ECDSA, PUBLIC, SCHNORR, VECTORS
from tests.wire.refused import refused

# BIP-32, test vectors 1 and 2: the steps that are not hardened, from extended public key to extended public key.
BIP32 = [
    (
        "xpub68Gmy5EdvgibQVfPdqkBBCHxA5htiqg55crXYuXoQRKfDBFA1WEjWgP6LHhwBZeNK1VTsfTFUHCdrfp1bgwQ9xv5ski8PX9rL2dZXvgGDnw",
        1,
        "xpub6ASuArnXKPbfEwhqN6e3mwBcDTgzisQN1wXN9BJcM47sSikHjJf3UFHKkNAWbWMiGj7Wf5uMash7SyYq527Hqck2AxYysAA7xmALppuCkwQ",
    ),
    (
        "xpub6D4BDPcP2GT577Vvch3R8wDkScZWzQzMMUm3PWbmWvVJrZwQY4VUNgqFJPMM3No2dFDFGTsxxpG5uJh7n7epu4trkrX7x7DogT5Uv6fcLW5",
        2,
        "xpub6FHa3pjLCk84BayeJxFW2SP4XRrFd1JYnxeLeU8EqN3vDfZmbqBqaGJAyiLjTAwm6ZLRQUMv1ZACTj37sR62cfN7fe5JnJ7dh8zL4fiyLHV",
    ),
    (
        "xpub6FHa3pjLCk84BayeJxFW2SP4XRrFd1JYnxeLeU8EqN3vDfZmbqBqaGJAyiLjTAwm6ZLRQUMv1ZACTj37sR62cfN7fe5JnJ7dh8zL4fiyLHV",
        1000000000,
        "xpub6H1LXWLaKsWFhvm6RVpEL9P4KfRZSW7abD2ttkWP3SSQvnyA8FSVqNTEcYFgJS2UaFcxupHiYkro49S8yGasTvXEYBVPamhGW6cFJodrTHy",
    ),
    (
        "xpub661MyMwAqRbcFW31YEwpkMuc5THy2PSt5bDMsktWQcFF8syAmRUapSCGu8ED9W6oDMSgv6Zz8idoc4a6mr8BDzTJY47LJhkJ8UB7WEGuduB",
        0,
        "xpub69H7F5d8KSRgmmdJg2KhpAK8SR3DjMwAdkxj3ZuxV27CprR9LgpeyGmXUbC6wb7ERfvrnKZjXoUmmDznezpbZb7ap6r1D3tgFxHmwMkQTPH",
    ),
]


def read(xpub: str) -> WalletKeys:
    raw = base58.decode(xpub, 82)
    return WalletKeys("dkls23-secp256k1", raw[45:78], raw[13:45])


@pytest.mark.parametrize(("parent", "index", "child"), BIP32)
def test_bip32(parent: str, index: int, child: str) -> None:
    assert read(parent).key((index,)) == read(child).public_key
    assert keys._derived(read(parent).public_key, read(parent).chain_code or b"", (index,))[1] == read(child).chain_code
    assert base58.decode(child, 82)[5:9] == read(parent).fingerprint


@settings(max_examples=25)
@given(
    st.binary(min_size=32, max_size=32).filter(any),
    st.binary(min_size=32, max_size=32),
    st.lists(st.integers(0, HARDENED - 1), max_size=keys.MAX_STEPS),
)
def test_derivation_is_embits(secret: bytes, chain_code: bytes, path: list[int]) -> None:
    public = coincurve.PublicKey.from_secret(secret[:31] + b"\1").format()
    theirs = HDKey.parse(b"\x04\x88\xb2\x1e" + bytes(9) + chain_code + public).derive(path)
    ours = WalletKeys("dkls23-secp256k1", public, chain_code)
    assert ours.key(tuple(path)) == theirs.key.sec()
    assert ours.script(tuple(path)) == b"\0\x14" + hash160(theirs.key.sec())


@pytest.mark.parametrize("path", [(HARDENED,), (0, 2**32 - 1), (0,) * 6])
def test_paths_that_no_public_key_can_derive(path: tuple[int, ...]) -> None:
    refused("unsupported_transaction", ECDSA.key, path)


def test_without_chain_code_there_is_one_key() -> None:
    bare = WalletKeys("dkls23-secp256k1", PUBLIC)
    assert bare.key(()) == PUBLIC
    refused("unsupported_transaction", bare.key, (0,))
    refused("unsupported_transaction", bare.script, (0,))


@pytest.mark.parametrize("scheme", ["frost-secp256k1-tr", "musig2-secp256k1"])
def test_bip340_suites_have_one_key_whatever_they_are_given(scheme: str) -> None:
    wallet = WalletKeys(scheme, PUBLIC, bytes(32))
    assert wallet.key(()) == PUBLIC[1:]
    refused("unsupported_transaction", wallet.key, (0,))


def test_both_parities_of_a_bip340_key_are_one_wallet() -> None:
    """Tools that know the x coordinate alone compute the fingerprint of the point with even y."""
    even, odd = (WalletKeys("frost-secp256k1-tr", prefix + PUBLIC[1:]) for prefix in (b"\2", b"\3"))
    assert even.fingerprint == odd.fingerprint == hash160(b"\2" + PUBLIC[1:])[:4]
    assert even.script(()) == odd.script(())


def test_other_suites_sign_nothing_on_bitcoin() -> None:
    refused("intent_mismatch", WalletKeys("frost-ed25519", bytes(32)).script, ())
    refused("bad_order", WalletKeys("rsa", bytes(32)).script, ())


@pytest.mark.parametrize("row", [row for row in VECTORS["bip341"]["scripts"] if not row["root"]])
def test_bip341_output_key_without_scripts(row: dict[str, str]) -> None:
    wallet = WalletKeys("frost-secp256k1-tr", b"\2" + bytes.fromhex(row["internal"]))
    assert wallet.script(()).hex() == row["script"]
    assert address_of(wallet.script(()), "mainnet") == row["address"]


@pytest.mark.parametrize(
    ("internal", "address"),
    # BIP-86: m/86'/0'/0'/0/0, /0/1, /1/0.
    [
        (
            "cc8a4bc64d897bddc5fbc2f670f7a8ba0b386779106cf1223c6fc5d7cd6fc115",
            "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr",
        ),
        (
            "83dfe85a3151d2517290da461fe2815591ef69f2b18a2ce63f01697a8b313145",
            "bc1p4qhjn9zdvkux4e44uhx8tc55attvtyu358kutcqkudyccelu0was9fqzwh",
        ),
        (
            "399f1b2f4393f29a18c937859c5dd8a77350103157eb880f02e8c08214277cef",
            "bc1p3qkhfews2uk44qtvauqyr2ttdsw7svhkl9nkm9s9c3x4ax5h60wqwruhk7",
        ),
    ],
)
def test_bip86(internal: str, address: str) -> None:
    wallet = WalletKeys("musig2-secp256k1", b"\3" + bytes.fromhex(internal))
    assert address_of(wallet.script(()), "mainnet") == address


def test_the_wallets_key_is_checked_where_it_is_used() -> None:
    refused("malformed_message", WalletKeys("dkls23-secp256k1", b"\2" + b"\xff" * 32, bytes(32)).key, (0,))
    refused("malformed_message", WalletKeys("frost-secp256k1-tr", b"\2" + b"\xff" * 32).script, ())


def test_a_sum_that_is_no_sum_is_refused() -> None:
    """BIP-32's edge, which nobody can reach: the child's scalar is zero, too large, or the parent's own."""
    one = coincurve.PublicKey.from_secret(bytes(31) + b"\1").format()
    for scalar in (0, keys._ORDER, 1, keys._ORDER - 1):
        refused("unsupported_transaction", keys._added, one, scalar)


def test_fingerprints_are_hashes_of_the_key() -> None:
    assert ECDSA.fingerprint == hash160(PUBLIC)[:4]
    assert SCHNORR.master == PUBLIC[1:]
