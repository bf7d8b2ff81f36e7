"""Accounts by the names that other tools give them."""

from __future__ import annotations

import dataclasses

import pytest
from coincurve import PrivateKey
from embit import bip32, script  # type: ignore[import-untyped]
from embit.networks import NETWORKS  # type: ignore[import-untyped]
from eth_account import Account
from solders.pubkey import Pubkey

from strongroom.errors import Refusal
from strongroom.wallet.certificate import Body
from strongroom_client.accounts import account, accounts
from tests.wallet.orders import ECDSA, ED25519, TAPROOT
from tests.wallet.test_certificate import with_key

SECRET = b"\7" * 32
PUBLIC = PrivateKey(SECRET).public_key.format()
PATH = (0, 5)


@pytest.fixture(scope="module")
def ecdsa() -> Body:
    return dataclasses.replace(with_key(ECDSA, PUBLIC), chain_code=bytes(range(32)))


def child(body: Body, path: tuple[int, ...]) -> bip32.HDKey:
    assert body.chain_code is not None
    return bip32.HDKey(bip32.ec.PublicKey.parse(body.public_key), body.chain_code).derive(list(path))


def test_of_ethereum(ecdsa: Body) -> None:
    assert account(ecdsa, "evm:1") == Account.from_key(SECRET).address == ecdsa.address
    derived = account(ecdsa, "evm:1", PATH)
    assert derived != ecdsa.address
    point = PrivateKey(SECRET)  # the same derivation, with the secret that nobody has in earnest
    secret = bip32.HDKey(bip32.ec.PrivateKey(point.secret), ecdsa.chain_code).derive(list(PATH)).key.secret
    assert derived == Account.from_key(secret).address


@pytest.mark.parametrize("path", [(), PATH])
def test_of_bitcoin(ecdsa: Body, path: tuple[int, ...]) -> None:
    expected = script.p2wpkh(child(ecdsa, path).key).address(NETWORKS["regtest"])
    assert account(ecdsa, "bitcoin:regtest", path) == expected


def test_of_taproot_and_solana() -> None:
    taproot = with_key(TAPROOT, PUBLIC)
    expected = script.p2tr(bip32.ec.PublicKey.parse(PUBLIC)).address(NETWORKS["main"])
    assert account(taproot, "bitcoin:mainnet") == expected
    assert account(with_key(ED25519, bytes(range(32))), "solana:mainnet") == str(Pubkey(bytes(range(32))))
    assert account(taproot, "") == taproot.address
    with pytest.raises(Refusal):
        account(taproot, "bitcoin:mainnet", PATH)


def test_each_is_named_once_with_its_path(ecdsa: Body) -> None:
    first, second = accounts(ecdsa, "bitcoin:regtest", [(), PATH, (), PATH])
    assert first == account(ecdsa, "bitcoin:regtest")
    assert second == f"{account(ecdsa, 'bitcoin:regtest', PATH)} (m/0/5)"
