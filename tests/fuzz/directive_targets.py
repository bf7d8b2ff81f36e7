"""What officers direct, and how a wallet stands under it: the host carries the one and keeps the other."""

from __future__ import annotations

from collections.abc import Callable

from strongroom.policy.directives import Directive, Document, Freeze, Renewal, body_of
from strongroom.policy.standing import Standing, View
from strongroom.signer.configuration import Officers
from strongroom.signer.standings import Record
from strongroom.wire import cbor
from strongroom.wire.fields import Fields
from tests.fuzz.release_targets import activation, release, signed_release
from tests.fuzz.target import Target, coded, made
from tests.policy import directing
from tests.wallet import orders

WALLET = bytes(32)


def _policy() -> bytes:
    return directing.sign(directing.successor(orders.POLICY, WALLET)).encode()


def _renewal() -> bytes:
    return directing.sign(Renewal(WALLET, bytes(32), 1)).encode()


def _freeze() -> bytes:
    return directing.sign(Freeze(WALLET, 1)).encode()


def _officers() -> bytes:
    return directing.sign(directing.next_officers(WALLET, list(orders.OFFICER_KEYS), 2)).encode()


def _said(data: bytes) -> bytes:
    """What is directed, written again, under the signatures that there were."""
    read = Directive.decode(data)
    reads: dict[str, Callable[[], Document]] = {
        "policy": read.policy,
        "renewal": read.renewal,
        "freeze": read.freeze,
        "officers": read.officers,
        "release": read.release,
        "activation": read.activation,
    }
    kind, body = body_of(reads[read.kind]())
    return Directive(kind, body, read.signatures).encode()


def _taken(data: bytes) -> None:
    standing = _standing()
    standing.take(Directive.decode(data), orders.ISSUED)
    Standing.decode(standing.encode())


def _standing() -> Standing:
    return Standing.first(WALLET, orders.POLICY, orders.OFFICERS)


def _changed() -> Standing:
    """With something in every field."""
    standing = _standing()
    policy = directing.successor(orders.POLICY, WALLET, timelock=60)
    officers = directing.next_officers(WALLET, list(orders.OFFICER_KEYS), 1)
    renewal = Renewal(WALLET, policy.digest(), orders.ISSUED + 60)
    standing.take(directing.sign(release()), orders.ISSUED)
    standing.take(Directive.decode(activation()), orders.ISSUED)
    for document in (policy, renewal, officers, Freeze(WALLET, 2), release(3, release().digest())):
        standing.take(directing.sign(document), orders.ISSUED)
    return standing


def _seen(standing: Standing) -> bytes:
    return cbor.encode(standing.view(1).value())


def _view(data: bytes) -> bytes:
    return cbor.encode(View.parse(Fields.decode(data, "standing")).value())


def _officers_of(data: bytes) -> bytes:
    return cbor.encode(Officers.parse(Fields.decode(data, "officers")).value())


def _at_rest(data: bytes) -> None:
    """Its signer sealed it, so that nobody compares the bytes."""
    Standing.decode(data).view(orders.ISSUED)


DIRECTIVES = [
    coded("directive", Directive, _policy, _renewal, _freeze, _officers, signed_release, activation),
    Target("what officers direct", _said, made(_policy, _renewal, _freeze, _officers, signed_release, activation)),
    Target("directive that is taken", _taken, made(_policy, _freeze, _officers, signed_release)),
    Target("set of officers", _officers_of, made(lambda: cbor.encode(orders.OFFICERS.value()))),
    Target("standing", _view, made(lambda: _seen(_standing()), lambda: _seen(_changed()))),
    Target("standing at rest", _at_rest, made(lambda: _changed().encode())),
    coded("policy record", Record, lambda: Record("a", bytes(32), 1, b"key", bytes(12), b"it").encode()),
]
