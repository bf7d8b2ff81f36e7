"""What bytes would do, in words, and what would be signed for them. No host and no signer is asked."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from strongroom.chains import decoders
from strongroom.chains.decoders import CHAINS, Kind
from strongroom.chains.effects import Allowance, Call, Delegation, Effects, Signing, ToSign, Transfer
from strongroom.wallet.certificate import Body


@dataclass(frozen=True)
class Asked:
    """kind: None where the bytes shall tell. wallet: whose it is, where that is known; its certificate is not checked.

    network: EVM: the chain id; others: the name that assets and policies have it by. path: of the key that signs.
    """

    payload: bytes
    kind: Kind | None = None
    wallet: Body | None = None
    network: str | None = None
    path: tuple[int, ...] = ()


@dataclass(frozen=True)
class Explanation:
    kind: Kind
    effects: Effects
    to_sign: tuple[ToSign, ...]

    def sentences(self) -> tuple[str, ...]:
        effects = self.effects
        return (
            *map(_transfer, effects.transfers),
            *map(_allowance, effects.allowances),
            *(_call(effects.chain, call) for call in effects.calls),
            *map(_signing, effects.signings),
            *map(_delegation, effects.delegations),
            *_costs(effects),
        )

    def document(self) -> dict[str, Any]:
        """For JSON: amounts are text, since many readers round numbers beyond 2^53."""
        effects = self.effects
        return {
            "chain": effects.chain,
            "kind": self.kind,
            "sentences": list(self.sentences()),
            "effects": {
                "transfers": [
                    {"asset": each.asset, "to": each.to, "amount": str(each.amount), "sender": each.sender}
                    for each in effects.transfers
                ],
                "allowances": [
                    {
                        "asset": each.asset,
                        "spender": each.spender,
                        "amount": None if each.amount is None else str(each.amount),
                        "expires": each.expires,
                        "added": each.added,
                    }
                    for each in effects.allowances
                ],
                "calls": [
                    {
                        "contract": each.contract,
                        "method": each.method,
                        "data": each.data.hex(),
                        "value": str(each.value),
                        "accounts": list(each.accounts),
                    }
                    for each in effects.calls
                ],
                "signings": [
                    {"kind": each.kind, "domain": each.domain, "what": each.what} for each in effects.signings
                ],
                "delegations": [{"code": each.code} for each in effects.delegations],
                "fee": {"asset": effects.fee_asset, "at_most": str(effects.fee_ceiling)} if effects.fee_asset else None,
                "once": list(effects.once),
            },
            "to_sign": [{"message": each.message.hex(), "path": list(each.path)} for each in self.to_sign],
        }


def explain(chain: str, asked: Asked) -> Explanation:
    """chain: a name of CHAINS. Raises Refusal, as a signer would, for what is not decoded in full."""
    keys = None if asked.wallet is None else asked.wallet.keys
    decoded = decoders.decode(chain, decoders.Question(asked.payload, asked.kind, keys, asked.network, asked.path))
    return Explanation(decoded.kind, decoded.effects, decoded.to_sign)


# --- Words ---

_COINS: Final[Mapping[str, tuple[int, str, str]]] = {
    "evm": (18, "coins", "wei"),
    "evm:1": (18, "ether", "wei"),
    "bitcoin": (8, "BTC", "satoshi"),
    "solana": (9, "SOL", "lamports"),
}
"""Decimals, coin and smallest unit, by chain, or by the chain's kind."""

_LAST: Final = 253402300799
"""Unix seconds of the year 9999's end: what lapses later never does."""


def amount(asset: str, units: int) -> str:
    """In coins and in the smallest unit; a token's decimals are on the chain alone, so its units stay units."""
    coins, rest = parts(asset, units)
    return f"{coins} ({rest})" if asset.endswith("/native") else f"{coins} {rest}"


def parts(asset: str, units: int) -> tuple[str, str]:
    """What a person reads first, and what makes it exact: the smallest unit, or which token."""
    chain, _, what = asset.partition("/")
    if what != "native":
        one_item, _, item = what.removeprefix("token:").partition("/")
        if item == "*":
            return "every item", f"of {one_item}"
        return f"{units} units", f"of {one_item}" + (f", item {item}" if item else "")
    decimals, coin, unit = _COINS.get(chain) or _COINS[chain.partition(":")[0]]
    whole, rest = divmod(units, 10**decimals)
    fraction = str(rest).zfill(decimals).rstrip("0")
    return f"{whole}{'.' if fraction else ''}{fraction} {coin}", f"{units} {unit}"


def _transfer(transfer: Transfer) -> str:
    source = "" if transfer.sender is None else f" out of {transfer.sender}"
    return f"moves {amount(transfer.asset, transfer.amount)}{source} to {transfer.to}"


def _allowance(allowance: Allowance) -> str:
    if allowance.amount == 0 and not allowance.added:
        return f"takes from {allowance.spender} what it was allowed of {token(allowance.asset)}"
    what = f"all of {token(allowance.asset)}, now and in future"
    if allowance.amount is not None:
        what = amount(allowance.asset, allowance.amount)
    more = ", on top of what it may take already" if allowance.added else ""
    return f"lets {allowance.spender} take {what}{more}, {until(allowance.expires)}"


def token(asset: str) -> str:
    """Contract or mint of an asset."""
    return asset.partition("/")[2].removeprefix("token:").removesuffix("/*")


def until(expires: int | None) -> str:
    """Of something that lapses at these Unix seconds; None for never."""
    if expires is None or expires > _LAST:
        return "without end"
    return f"until {datetime.datetime.fromtimestamp(expires, datetime.UTC):%Y-%m-%d %H:%M:%S} UTC"


def _call(chain: str, call: Call) -> str:
    paid = f" and pays it {amount(f'{chain}/native', call.value)}" if call.value else ""
    shown = f" and accounts {', '.join(call.accounts)}" if call.accounts else ""
    return (
        f"calls method {call.method} of {call.contract} with {len(call.data)} bytes{shown}{paid}; "
        "what that does is not understood: a rule must name it"
    )


def _signing(signing: Signing) -> str:
    if signing.kind == "text":
        return f"signs a text that begins: {signing.what!r}"
    return f"signs typed data {signing.what} " + (
        f"for {signing.domain}" if signing.domain else "for no named contract"
    )


def _delegation(delegation: Delegation) -> str:
    if not int(delegation.code, 16):
        return "takes back that any code acts as the wallet (EIP-7702)"
    return (
        f"lets the code at {delegation.code} act as the wallet until that is taken back (EIP-7702): "
        "what it moves then, no signer is asked about"
    )


def _costs(effects: Effects) -> Iterator[str]:
    if effects.fee_asset:
        yield f"pays a fee of at most {amount(effects.fee_asset, effects.fee_ceiling)}"
    for each in effects.once:
        yield f"uses up {each.replace(':', ' ', 1)}"


__all__ = ["CHAINS", "Asked", "Explanation", "Kind", "amount", "explain"]
