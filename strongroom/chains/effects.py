"""What a transaction would do: all that a policy may see."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effects:
    """value and fee_ceiling in wei; to is 20 bytes.

    fee_ceiling: the most that the network may take, gas limit times maximal fee per gas.
    selector: the first four bytes of call data; None for a plain transfer. data: all of the call data.
    """

    chain_id: int
    nonce: int
    to: bytes
    value: int
    fee_ceiling: int
    selector: bytes | None
    data: bytes
