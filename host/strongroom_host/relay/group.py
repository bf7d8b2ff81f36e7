"""Who holds a wallet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from strongroom.wallet.order import SignedOrder
from strongroom.wire import cbor
from strongroom.wire.fields import Fields
from strongroom_host.relay.handshake import Pair

Asker = Callable[[str, dict[str, cbor.Value]], Fields]
"""Asks one signer: operation and body. Raises its refusal."""


@dataclass(frozen=True)
class Group:
    """Who holds a wallet: what mending needs. wallet: None before it was dealt. records: sealed, by signer.

    body: the certificate's body, None before it was certified. after_load: tells a signer that was just loaded, by its
    name and through the asker given, what officers directed since the order. waived: the journals that go on without
    the others, by officers' word; none while w are asked for.
    """

    signed: SignedOrder
    wallet: bytes | None = None
    body: bytes | None = None
    records: Callable[[str], bytes | None] = lambda _name: None
    after_load: Callable[[Asker, str], None] = lambda _ask, _name: None
    waived: tuple[str, ...] = ()

    @property
    def order(self) -> bytes:
        """The order's id."""
        return self.signed.order_id

    @property
    def names(self) -> tuple[str, ...]:
        return self.signed.order.names

    @property
    def everyone(self) -> tuple[str, ...]:
        """Signers and witnesses."""
        return self.signed.order.journals

    @property
    def journals(self) -> tuple[str, ...]:
        """Signers and witnesses; none where the order names no witness."""
        order = self.signed.order
        return order.journals if order.witnesses else ()

    def pair(self, name: str, peer: str) -> Pair:
        """In roster order."""
        first, second = (each for each in self.names if each in (name, peer))
        return first, second
