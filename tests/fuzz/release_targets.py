"""A next release: what officers sign, what activates it, and what one signer hands to another through the host."""

from __future__ import annotations

from strongroom.policy.directives import Directive, body_of
from strongroom.policy.release import ORDERED, Activation, Release
from strongroom.signer.handover import JournalEnd, State, follow
from tests.fuzz.target import Target, coded, made
from tests.policy import directing
from tests.wallet import orders

WALLET = bytes(32)


def release(number: int = 2, previous: bytes = ORDERED) -> Release:
    """Of the first two signers of the usual order."""
    members = []
    for name in orders.NAMES[:2]:
        registers = orders.boot_registers(name, number)
        measured = {f"pcr{index}": registers[index] for index in (0, 1, 2)}
        members.append((name, {**measured, "pcr16": orders.configuration(name, "nitro", number).pcr16()}))
    return Release(WALLET, number, previous, tuple(members))


def signed_release() -> bytes:
    return directing.sign(release()).encode()


def activation() -> bytes:
    made = Activation(WALLET, release().digest(), orders.NAMES[:2], bytes(64))
    return Directive(*body_of(made), ()).encode()


def _state() -> bytes:
    end = JournalEnd(bytes(32), 3, bytes(32))
    return State(WALLET, bytes(32), bytes(32), b"share", b"standing", True, end).encode()


def _copy() -> bytes:
    return State(WALLET, bytes(32), bytes(32), None, b"standing", False, None).encode()


def _followed(data: bytes) -> None:
    """Whoever arrives is shown what led to its release by the host."""
    follow(orders.order(), [data])


RELEASES = [
    coded("state that is handed over", State, _state, _copy),
    Target("what leads to a release", _followed, made(signed_release)),
]
