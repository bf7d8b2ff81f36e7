"""From signatures to what whoever asked can use: a transaction to broadcast, a signature as its verifiers take it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from strongroom import schemes
from strongroom.chains import bitcoin, evm
from strongroom.chains.bitcoin import message as bitcoin_message
from strongroom.chains.bitcoin.keys import WalletKeys
from strongroom.chains.effects import ToSign
from strongroom.chains.evm.authorization import Authorization
from strongroom.chains.solana import base58
from strongroom.errors import Refusal
from strongroom.intent.intent import Intent, Kind

TRANSACTIONS: Final[frozenset[Kind]] = frozenset({"evm-transaction", "bitcoin-psbt", "solana-transaction"})

_V: Final = 27
"""Added to the recovery id, as wallets write it in signatures of texts (EIP-191's and EIP-712's verifiers take it)."""


@dataclass(frozen=True)
class Finished:
    """raw: the transaction with its signatures; of texts the signature: EVM 65 bytes with v = 27 or 28, BIP-322 the
    text `smp…` in ASCII, Ed25519 and BIP-340 64 bytes; of an authorisation what a transaction of type 4 lists. name:
    what the chain calls the transaction; None for all else."""

    raw: bytes
    name: str | None = None


def verify(to_sign: Sequence[ToSign], keys: WalletKeys, signatures: Sequence[bytes]) -> None:
    """Every signature, under the key of its path, as many as there are messages. Raises Refusal `signed_mismatch`."""
    if len(signatures) != len(to_sign):
        raise Refusal("signed_mismatch", f"{len(signatures)} signatures came for {len(to_sign)} messages")
    for number, (each, signature) in enumerate(zip(to_sign, signatures, strict=True)):
        key = keys.key(each.path) if each.path else keys.public_key
        if not schemes.verify(keys.scheme, key, each.message, signature):
            raise Refusal("signed_mismatch", f"signature {number} does not verify under the wallet's key")


def finish(intent: Intent, keys: WalletKeys, signatures: Sequence[bytes]) -> Finished:
    """signatures: as `verify` takes them, which is not called here. The intent was decoded for these keys."""
    if intent.kind == "evm-transaction":
        raw = evm.Transaction.decode(intent.payload).signed(signatures[0])
        return Finished(raw, schemes.keccak256(raw).hex())
    if intent.kind == "bitcoin-psbt":
        return _bitcoin(intent.payload, signatures)
    if intent.kind == "solana-transaction":
        # One signer, so one signature: `programs.effects` refuses what others would have to sign too.
        return Finished(bytes((1,)) + signatures[0] + intent.payload, base58.encode(signatures[0]))
    if intent.kind == "bitcoin-text":
        return Finished(bitcoin_message.simple(signatures[0], keys, intent.path).encode())
    if intent.kind == "evm-authorization":
        return Finished(Authorization.decode(intent.payload).signed(signatures[0]))
    if intent.kind in ("evm-text", "evm-typed-data"):
        return Finished(signatures[0][:64] + bytes((_V + signatures[0][64],)))
    return Finished(signatures[0])


def _bitcoin(payload: bytes, signatures: Sequence[bytes]) -> Finished:
    psbt = bitcoin.Psbt.decode(payload)
    return Finished(bitcoin.signed(psbt, signatures), psbt.transaction.txid[::-1].hex())
