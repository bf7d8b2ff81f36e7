"""Signed messages by BIP-322 (version 2.0.0), variant "simple", for P2WPKH and P2TR.

What is signed spends the output of a transaction that cannot be: its only input is the outpoint 0…0:ffffffff. So no
signature of a message moves money; and `effects` refuses to_sign's form, so no transaction is a message in disguise.
"""

from __future__ import annotations

import base64
from typing import Final

from strongroom.chains.bitcoin import script
from strongroom.chains.bitcoin.encoding import unsupported
from strongroom.chains.bitcoin.finalizer import ecdsa, schnorr
from strongroom.chains.bitcoin.hashing import tagged
from strongroom.chains.bitcoin.keys import Path, WalletKeys
from strongroom.chains.bitcoin.sighash import Commitments
from strongroom.chains.bitcoin.transaction import Input, Outpoint, Output, Transaction, witness
from strongroom.chains.effects import Effects, Signing, ToSign
from strongroom.chains.evm import personal

VARIANT: Final = "smp"
"""Before the base64. Verifiers of drafts before BIP-322's version 1.0.0 want the signature without it."""

_NOWHERE: Final = Outpoint(bytes(32), 0xFFFFFFFF)
_OP_RETURN: Final = b"\x6a"


def to_spend(challenge: bytes, message: bytes) -> Transaction:
    """challenge: the output script of the address that signs."""
    pushed = b"\x00\x20" + tagged("BIP0322-signed-message", message)
    return Transaction((Input(_NOWHERE, 0, pushed),), (Output(0, challenge),), version=0)


def to_sign(challenge: bytes, message: bytes) -> Transaction:
    spending = Input(Outpoint(to_spend(challenge, message).txid, 0), 0)
    return Transaction((spending,), (Output(0, _OP_RETURN),), version=0)


def digest(challenge: bytes, message: bytes) -> bytes:
    """32 bytes: SIGHASH_ALL of P2WPKH, SIGHASH_DEFAULT of P2TR. Raises Refusal `unsupported_transaction` for others."""
    kind, program = script.recognise(challenge)
    common = Commitments.of(to_sign(challenge, message), [Output(0, challenge)])
    if kind == "p2tr":
        return common.p2tr(0)
    if kind == "p2wpkh":
        return common.p2wpkh(0, program, 0)
    raise unsupported(f"messages are not signed for {kind}")


def effects(payload: bytes, network: str) -> Effects:
    """Raises Refusal `malformed_transaction` for an empty or too long text, or one that shows less than it says."""
    script.network(network)
    return Effects(f"bitcoin:{network}", signings=(Signing("text", None, personal.text(payload)[: personal.SHOWN]),))


def signing(payload: bytes, wallet: WalletKeys, path: Path = ()) -> ToSign:
    """What the wallet signs for the address at `path`. Raises Refusal as `effects`."""
    personal.text(payload)
    return ToSign(digest(wallet.script(path), payload), path)


def simple(signature: bytes, wallet: WalletKeys, path: Path = ()) -> str:
    """What a verifier takes beside address and message. signature: as the scheme combines it."""
    key = wallet.key(path)
    stack = schnorr(signature) if wallet.kind == "p2tr" else ecdsa(signature, key)
    return VARIANT + base64.b64encode(witness(stack)).decode()
