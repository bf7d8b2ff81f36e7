"""Every chain behind one door: bytes in; what they would do, and what would be signed for them, out.

Signers judge what this gives, and `explain` puts it into words: nobody is shown anything else than what is signed. A
new chain is one line of CHAINS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from strongroom import schemes
from strongroom.chains import bitcoin, evm, solana
from strongroom.chains.bitcoin import message as bitcoin_message
from strongroom.chains.bitcoin.keys import Path, WalletKeys
from strongroom.chains.effects import Effects, ToSign
from strongroom.chains.evm import permits, personal
from strongroom.chains.evm.authorization import MAGIC, Authorization
from strongroom.chains.evm.typed_data import TypedData
from strongroom.chains.solana import offchain, programs
from strongroom.errors import Refusal

Kind = Literal["transaction", "text", "typed-data", "authorization"]


@dataclass(frozen=True)
class Question:
    """kind: None where the bytes shall tell. keys: the wallet's, where they are known.

    network: EVM: the chain id; others: the name that assets and policies have it by. path: of the key that signs, where
    the bytes name none themselves.
    """

    payload: bytes
    kind: Kind | None = None
    keys: WalletKeys | None = None
    network: str | None = None
    path: Path = ()


@dataclass(frozen=True)
class Decoded:
    """to_sign: in the order in which the finished transaction wants the signatures."""

    kind: Kind
    effects: Effects
    to_sign: tuple[ToSign, ...]


def decode(chain: str, question: Question) -> Decoded:
    """chain: a name of CHAINS. Raises Refusal for what is not decoded in full, and `intent_mismatch` where the wallet's
    scheme, or the path, is none that this chain could use."""
    return CHAINS[chain](question)


def _evm(asked: Question) -> Decoded:
    owner = None
    if asked.keys is not None:
        _require(asked.keys, "Ethereum address", digest=True)
        owner = evm.address(asked.keys.key(asked.path))
    kind = asked.kind or _evm_kind(asked.payload)
    wanted = _chain_id(asked.network)
    if kind == "text":
        text = personal.effects(wanted or 1, asked.payload)
        return Decoded(kind, text, (ToSign(personal.digest(asked.payload), asked.path),))
    if kind == "typed-data":
        data = TypedData.decode(asked.payload)
        _same_chain(data.chain_id, wanted)
        return Decoded(kind, permits.effects(data), (ToSign(data.digest, asked.path),))
    if kind == "authorization":
        given = Authorization.decode(asked.payload)
        _same_chain(given.chain_id, wanted)
        _canonical(given.encode(), asked.payload)
        return Decoded(kind, given.effects(), (ToSign(given.digest(), asked.path),))
    transaction = evm.Transaction.decode(asked.payload)
    _same_chain(transaction.chain_id, wanted)
    _canonical(transaction.encode(), asked.payload)
    return Decoded(kind, transaction.effects(owner), (ToSign(transaction.digest(), asked.path),))


def _evm_kind(payload: bytes) -> Kind:
    if payload.lstrip()[:1] == b"{":
        return "typed-data"
    return "authorization" if payload[:1] == bytes((MAGIC,)) else "transaction"


def _chain_id(network: str | None) -> int | None:
    if network is None:
        return None
    if not (network.isascii() and network.isdecimal()) or network.startswith("0") or len(network) > 20:
        raise Refusal("unsupported_transaction", "an EVM network is named by its chain id, such as 1")
    return int(network)


def _same_chain(found: int, wanted: int | None) -> None:
    if wanted is not None and found != wanted:
        raise Refusal("intent_mismatch", f"it is for chain {found}, not for {wanted}")


def _solana(asked: Question) -> Decoded:
    """Without a wallet, the payer is taken for it."""
    cluster, kind = asked.network or "mainnet", asked.kind or "transaction"
    own = None
    if asked.keys is not None:
        _require(asked.keys, "Solana address", digest=False)
        own = asked.keys.public_key
    _no_path(asked)
    _require_kind(kind, "Solana")
    if kind == "text":
        text = offchain.effects(cluster, asked.payload)
        return Decoded(kind, text, (ToSign(offchain.encode(asked.payload)),))
    message = solana.Message.decode(asked.payload)
    _canonical(message.encode(), asked.payload)
    effects = programs.effects(message, own or message.keys[0], cluster)
    return Decoded(kind, effects, (ToSign(asked.payload),))


def _bitcoin(asked: Question) -> Decoded:
    network, kind = asked.network or "mainnet", asked.kind or "transaction"
    _require_kind(kind, "Bitcoin")
    if asked.keys is None:
        raise Refusal("unsupported_transaction", "what is the wallet's follows from its key: give its certificate")
    if kind == "text":
        text = bitcoin_message.effects(asked.payload, network)
        return Decoded(kind, text, (bitcoin_message.signing(asked.payload, asked.keys, asked.path),))
    _no_path(asked)
    decoded = bitcoin.decode(asked.payload, asked.keys, network)
    _canonical(decoded.psbt.encode(), asked.payload)
    return Decoded(kind, decoded.effects, decoded.to_sign)


def _require(keys: WalletKeys, what: str, *, digest: bool) -> None:
    suite = schemes.suite(keys.scheme)
    if suite.digest != digest or suite.taproot:
        raise Refusal("intent_mismatch", f"a wallet of scheme {keys.scheme} has no {what}")


def _require_kind(kind: Kind, chain: str) -> None:
    if kind not in ("transaction", "text"):
        raise Refusal("unsupported_transaction", f"there is no {kind.replace('-', ' ')} on {chain}")


def _no_path(asked: Question) -> None:
    if asked.path:
        raise Refusal(
            "intent_mismatch", "no path is given for it: a PSBT names its own, and other wallets have one key"
        )


def _canonical(again: bytes, payload: bytes) -> None:
    """What was judged is what is signed. The decoders see to it; this is one line against the day when one does not."""
    if again != payload:
        raise Refusal("malformed_transaction", "it is not encoded in the one way that there is")


CHAINS: Final[Mapping[str, Callable[[Question], Decoded]]] = {
    "bitcoin": _bitcoin,
    "evm": _evm,
    "solana": _solana,
}
