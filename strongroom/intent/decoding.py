"""From an intent to what it would do, and to the messages that the wallet's signers sign for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from strongroom import schemes
from strongroom.chains import decoders, message
from strongroom.chains.bitcoin.keys import WalletKeys
from strongroom.chains.effects import Effects, ToSign
from strongroom.errors import Refusal
from strongroom.intent.intent import Intent, Kind

_CHAINS: Final[Mapping[Kind, tuple[str, decoders.Kind]]] = {
    "evm-transaction": ("evm", "transaction"),
    "evm-text": ("evm", "text"),
    "evm-typed-data": ("evm", "typed-data"),
    "evm-authorization": ("evm", "authorization"),
    "bitcoin-psbt": ("bitcoin", "transaction"),
    "bitcoin-text": ("bitcoin", "text"),
    "solana-transaction": ("solana", "transaction"),
    "solana-text": ("solana", "text"),
}
"""Which decoder, and as what: an intent says it outright, and no payload passes for another kind."""


@dataclass(frozen=True)
class Decoded:
    """to_sign: in the order in which the finished transaction wants the signatures."""

    effects: Effects
    to_sign: tuple[ToSign, ...]


def decode(intent: Intent, keys: WalletKeys) -> Decoded:
    """keys: of the wallet, as its signers or its certificate have them.

    What the intent says of its chain is believed only where the bytes cannot speak: the network of a PSBT, a Solana
    message or a text is `intent.chain`, which the policy must name. Raises Refusal.
    """
    if intent.kind == "message":
        return _message(intent, keys)
    family, kind = _CHAINS[intent.kind]
    named, colon, network = intent.chain.partition(":")
    if named != family or not colon or not network:
        raise Refusal("intent_mismatch", f"a {intent.kind} has a chain such as {family}:…, not {intent.chain!r}")
    question = decoders.Question(intent.payload, kind, keys, network, intent.path)
    decoded = decoders.decode(family, question)
    if decoded.effects.chain != intent.chain:
        raise Refusal("intent_mismatch", f"it is for {decoded.effects.chain}, the intent for {intent.chain}")
    return Decoded(decoded.effects, decoded.to_sign)


def _message(intent: Intent, keys: WalletKeys) -> Decoded:
    """Strongroom's own text message: of no chain, by the wallet's one key."""
    suite = schemes.suite(keys.scheme)
    if suite.digest:
        raise Refusal("intent_mismatch", f"a wallet of scheme {suite.name} signs texts of its chains (evm-text)")
    if intent.chain or intent.path:
        raise Refusal("intent_mismatch", "a message is of no chain, and has no path")
    separated = message.tagged if suite.taproot else message.domain_separated
    return Decoded(message.effects(intent.payload), (ToSign(separated(intent.wallet, intent.payload)),))
