"""Typed data that gives an allowance: EIP-2612's permit, DAI's, Permit2's. Known by the whole type, not by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from strongroom.chains.effects import Allowance, Effects, Signing
from strongroom.chains.evm.calls import limited
from strongroom.chains.evm.typed_data import TypedData, integer

PERMIT2_UNLIMITED: Final = (1 << 160) - 1
"""Permit2 counts allowances in 160 bits."""


def effects(data: TypedData) -> Effects:
    """What a signature over this would let others do, as far as it is known; otherwise that it was signed, for whom."""
    chain = f"evm:{data.chain_id}"
    read = _KNOWN.get(data.encoded_type(data.primary))
    if read is not None and data.contract is not None:
        return Effects(chain, allowances=read(chain, data.contract, data.message))
    return Effects(chain, signings=(Signing("typed", data.contract, data.primary),))


Message = Mapping[str, Any]
Allowances = tuple[Allowance, ...]


def _token(chain: str, contract: Any) -> str:
    return f"{chain}/token:{str(contract).lower()}"


def _permit(chain: str, contract: str, message: Message) -> Allowances:
    """The deadline is for handing the permit in; the allowance then has no end."""
    amount, spender = limited(integer(message["value"])), str(message["spender"]).lower()
    return (Allowance(_token(chain, contract), spender, amount),)


def _dai(chain: str, contract: str, message: Message) -> Allowances:
    """DAI's own: all or nothing. The expiry is the permit's, not the allowance's."""
    amount = None if message["allowed"] else 0
    return (Allowance(_token(chain, contract), str(message["spender"]).lower(), amount),)


def _of_permit2(chain: str, spender: Any, permitted: Message, expires: Any) -> Allowance:
    amount = integer(permitted["amount"])
    bounded = None if amount >= PERMIT2_UNLIMITED else amount
    return Allowance(_token(chain, permitted["token"]), str(spender).lower(), bounded, integer(expires))


def _single(chain: str, _contract: str, message: Message) -> Allowances:
    return (_detail(chain, message, message["details"]),)


def _batch(chain: str, _contract: str, message: Message) -> Allowances:
    return tuple(_detail(chain, message, details) for details in message["details"])


def _detail(chain: str, message: Message, details: Message) -> Allowance:
    """An expiration of zero is the end of the block that the permit is handed in with: by its deadline."""
    expires = integer(details["expiration"]) or message["sigDeadline"]
    return _of_permit2(chain, message["spender"], details, expires)


def _transfer(chain: str, _contract: str, message: Message) -> Allowances:
    return (_of_permit2(chain, message["spender"], message["permitted"], message["deadline"]),)


def _transfers(chain: str, _contract: str, message: Message) -> Allowances:
    spender, deadline = message["spender"], message["deadline"]
    return tuple(_of_permit2(chain, spender, permitted, deadline) for permitted in message["permitted"])


_DETAILS: Final = "PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)"
_PERMITTED: Final = "TokenPermissions(address token,uint256 amount)"

_KNOWN: Final[Mapping[str, Callable[[str, str, Message], Allowances]]] = {
    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)": _permit,
    "Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)": _dai,
    f"PermitSingle(PermitDetails details,address spender,uint256 sigDeadline){_DETAILS}": _single,
    f"PermitBatch(PermitDetails[] details,address spender,uint256 sigDeadline){_DETAILS}": _batch,
    "PermitTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline)"
    + _PERMITTED: _transfer,
    "PermitBatchTransferFrom(TokenPermissions[] permitted,address spender,uint256 nonce,uint256 deadline)"
    + _PERMITTED: _transfers,
}
