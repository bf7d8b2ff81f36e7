"""Two signers and the four messages between them, each of which a test may replace on its way."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, cast

from strongroom.channel import handshake
from strongroom.channel.handshake import Answered, Attest, Opened, Proven, Setting
from strongroom.channel.session import Channel
from strongroom.signer.configuration import Configuration
from strongroom.signer.seams import Attester
from strongroom.wallet.order import Member, Order, order_id
from strongroom.wire import cbor
from tests.signer.cluster import authorities
from tests.signer.seams import START, Clock
from tests.wallet.orders import configuration, member, order

NOW: Final = START
Change = Callable[[bytes], bytes]


@cache
def roster_order() -> Order:
    """Enclaves a and b, on instances that it does not name, and tokens c and d."""
    roots = {"a": "nitro", "b": "nitro", "c": "pkcs11", "d": "pkcs11"}
    roster = tuple(
        member(name, cast(Any, root), trust=authorities().fingerprint(cast(Any, root))) for name, root in roots.items()
    )
    return order(roster=tuple(dataclasses.replace(each, measurements=_unpinned(each)) for each in roster))


def _unpinned(named: Member) -> dict[str, bytes]:
    return {name: value for name, value in named.measurements.items() if name != "pcr4"}


@cache
def attester(name: str, own: Configuration | None = None) -> Attester:
    root = roster_order().member(name).root
    return authorities().attester(root, own or configuration(name, root), Clock())


@cache
def boot_key(name: str) -> bytes:
    """Any 32 bytes: what signs with it is not the handshake's business."""
    return name.encode() * 32


@cache
def boot(name: str) -> bytes:
    return name.encode() * 16


def attest(name: str) -> Attest:
    return lambda nonce, user_data: attester(name).attest(nonce=nonce, user_data=user_data, public_key=boot_key(name))


def setting(name: str, peer: str, **changes: Any) -> Setting:
    made = roster_order()
    return dataclasses.replace(Setting(made, order_id(made.encode()), 1, name, peer, boot(name)), **changes)


@dataclass
class Pair:
    """a opens, b answers. now: what both clocks say."""

    a: str = "a"
    b: str = "b"
    now: int = NOW
    attest_a: Attest | None = None
    attest_b: Attest | None = None

    def open(self, random: Callable[[int], bytes] = os.urandom, **changes: Any) -> tuple[Opened, bytes]:
        return handshake.open_handshake(setting(self.a, self.b, **changes), random)

    def answer(self, m1: bytes, random: Callable[[int], bytes] = os.urandom, **changes: Any) -> tuple[Answered, bytes]:
        return handshake.answer(setting(self.b, self.a, **changes), m1, random, self.attest_b or attest(self.b))

    def prove(self, opened: Opened, m2: bytes) -> tuple[Proven, bytes]:
        return handshake.prove(opened, m2, self.attest_a or attest(self.a), self.now)

    def accept(self, answered: Answered, m3: bytes) -> tuple[Channel, bytes]:
        return handshake.accept(answered, m3, self.now)

    def finish(self, proven: Proven, m4: bytes) -> Channel:
        return handshake.finish(proven, m4, self.now)

    def run(
        self, m1: Change = bytes, m2: Change = bytes, m3: Change = bytes, m4: Change = bytes
    ) -> tuple[Channel, Channel]:
        """The channels of a and b. m1 to m4: what the host makes of each message."""
        opened, message = self.open()
        answered, message = self.answer(m1(message))
        proven, message = self.prove(opened, m2(message))
        channel_b, message = self.accept(answered, m3(message))
        return self.finish(proven, m4(message)), channel_b


def changed(message: bytes, **changes: Any) -> bytes:
    """The same map with other fields."""
    value = cbor.decode(message)
    assert isinstance(value, dict)
    return cbor.encode({**value, **changes})


def field(message: bytes, name: str) -> Any:
    value = cbor.decode(message)
    assert isinstance(value, dict)
    return value[name]


def with_core(message: bytes, **changes: Any) -> bytes:
    """An M2 with another core of the answerer's."""
    return changed(message, core=changed(field(message, "core"), **changes))
