"""The text of a policy: chains, assets, addresses and labels in their one spelling, as effects write them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Final

from strongroom.errors import Refusal
from strongroom.wire.fields import Fields

AMOUNT: Final = 32
"""Bytes of an amount, big-endian: EVM's widest integer."""

LARGEST: Final = (1 << 256) - 1

NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
CHAIN: Final = re.compile(r"evm:[1-9][0-9]{0,19}|(bitcoin|solana):[a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?")
_ASSET: Final = re.compile(r"native|token:(0x[0-9a-f]{40}|[1-9A-HJ-NP-Za-km-z]{32,44})(/(0|[1-9][0-9]{0,77}|\*))?")
_ADDRESS: Final = re.compile(r"0x[0-9a-f]{40}|(?!0x)[!-~]{1,128}")
_BEGINNING: Final = re.compile(r"0x|(bc|bcrt|tb)1[qp]")
_LOOKS: Final = {"0": "o", "1": "l", "i": "l", "|": "l", "!": "l", "5": "s", "$": "s"}
_LABEL: Final = re.compile(r"[!-~]([ -~]{0,62}[!-~])?")


def encode_amount(amount: int | None) -> bytes | None:
    return None if amount is None else amount.to_bytes(AMOUNT, "big")


def read_amount(fields: Fields, key: str) -> int:
    return int.from_bytes(fields.blob(key, size=AMOUNT), "big")


def read_optional_amount(fields: Fields, key: str) -> int | None:
    raw = fields.optional_blob(key, size=AMOUNT)
    return None if raw is None else int.from_bytes(raw, "big")


def require(condition: bool, reason: str) -> None:
    """Raises Refusal `malformed_policy` with the reason."""
    if not condition:
        raise Refusal("malformed_policy", reason)


def require_sorted(rows: Iterable[Any], what: str) -> None:
    """Lists whose order means nothing have one order, so that one policy has one encoding."""
    require(all(left < right for left, right in pairwise(rows)), f"{what} are sorted and distinct")


def require_name(name: str, what: str) -> None:
    require(NAME.fullmatch(name) is not None, f"{what} is named with 1 to 32 of a-z, 0-9 and inner hyphens")


def require_chain(chain: str) -> None:
    require(CHAIN.fullmatch(chain) is not None, f"{chain[:40]!r} is no chain such as evm:1 or bitcoin:mainnet")


def require_asset(asset: str) -> None:
    chain, _, what = asset.partition("/")
    require_chain(chain)
    fits = _ASSET.fullmatch(what) is not None and (what == "native" or chain.startswith("evm:") == ("0x" in what))
    require(fits, f"{asset[:80]!r} is no asset such as evm:1/native or evm:1/token:0x…")


def require_address(address: str) -> None:
    require(_ADDRESS.fullmatch(address) is not None, f"{address[:80]!r} is no address; EVM's are in lower case")


def require_label(label: str) -> None:
    """ASCII alone: a label that only looks like another one would fool whoever reads it."""
    require(_LABEL.fullmatch(label) is not None, "a label is 1 to 64 printable ASCII characters")


def require_amount(amount: int | None) -> None:
    require(amount is None or 0 <= amount <= LARGEST, "an amount is an unsigned integer of 256 bits")


def ends(address: str) -> tuple[str, str]:
    """What many tools show of an address, what people compare, and what is cheap to imitate: four characters at each
    end, behind what every address of its kind begins with."""
    bare = _BEGINNING.sub("", address)
    return bare[:4], bare[-4:]


def alike(label: str) -> str:
    """The same for labels that a reader takes for one: case, spaces, punctuation and look-alike letters set aside."""
    folded = "".join(_LOOKS.get(character, character) for character in label.lower())
    return "".join(filter(str.isalnum, folded)).replace("rn", "m").replace("vv", "w")


def covers(pattern: str, asset: str) -> bool:
    """A pattern is an asset, or `…/*` for every item of one contract."""
    return pattern == asset or (pattern.endswith("/*") and asset.startswith(pattern[:-1]))


def chain_of(asset: str) -> str:
    return asset.partition("/")[0]
