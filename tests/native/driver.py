"""Runs ceremonies among key shares of one process; for tests and benchmarks, where every party is honest."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence

import strongroom_native as native

Envelope = tuple[int, bool, bytes]
Tamper = Callable[[int, int, int, bytes], bytes]


class Relay:
    """Delivers what the ceremonies of several parties say to each other.

    `tamper(round, sender, recipient, payload)` sees every delivery (recipient is a party even for a broadcast) and
    returns the payload that arrives.
    """

    def __init__(self, ceremonies: Mapping[int, native.Ceremony], tamper: Tamper | None = None) -> None:
        self.ceremonies = dict(ceremonies)
        self.tamper = tamper
        self.inboxes: dict[int, list[Envelope]] = {party: [] for party in self.ceremonies}
        self.done = False

    def start(self) -> None:
        self._deliver({party: ceremony.start() for party, ceremony in self.ceremonies.items()})

    def turn(self) -> None:
        """Hands every party the messages of one round."""
        inboxes, self.inboxes = self.inboxes, {party: [] for party in self.ceremonies}
        self._deliver({party: c.receive(inboxes[party]) for party, c in self.ceremonies.items()})

    def run(self) -> dict[int, native.KeyShare | bytes | None]:
        self.start()
        while not self.done:
            self.turn()
        return {party: ceremony.result() for party, ceremony in self.ceremonies.items()}

    def _deliver(self, steps: Mapping[int, native.Step]) -> None:
        for sender, step in steps.items():
            for recipient, payload in step.outgoing:
                for party in [recipient] if recipient else self.ceremonies.keys() - {sender}:
                    self.inboxes[party].append((sender, recipient == 0, self._carry(sender, party, payload)))
        self.done = all(step.done for step in steps.values())

    def _carry(self, sender: int, party: int, payload: bytes) -> bytes:
        return self.tamper(self.ceremonies[sender].round, sender, party, payload) if self.tamper else payload


def run_dkg(suite: str, threshold: int, parties: int, tamper: Tamper | None = None) -> list[native.KeyShare]:
    """All shares of a fresh key, party 1 first."""
    session = os.urandom(32)
    ceremonies = {i: native.dkg(suite, session, i, threshold, parties) for i in range(1, parties + 1)}
    shares = Relay(ceremonies, tamper).run().values()
    return [share for share in shares if isinstance(share, native.KeyShare)]


def run_pair(a: native.KeyShare, b: native.KeyShare, tamper: Tamper | None = None) -> None:
    """Sets pairwise state up afresh between two parties of one key."""
    session = os.urandom(32)
    Relay({x.index: native.pair(x, session, y.index) for x, y in ((a, b), (b, a))}, tamper).run()


def run_contributions(
    shares: Sequence[native.KeyShare],
    session: bytes,
    message: bytes,
    tweak: bytes | None = None,
    path: Sequence[int] = (),
) -> list[tuple[int, bytes]]:
    """The signers' contributions to `combine`, in the order of `shares`."""
    signers = [share.index for share in shares]
    ceremonies = {s.index: native.sign(s, session, signers, message, tweak, path) for s in shares}
    return [(party, part) for party, part in Relay(ceremonies).run().items() if isinstance(part, bytes)]


def run_sign(
    shares: Sequence[native.KeyShare], message: bytes, tweak: bytes | None = None, path: Sequence[int] = ()
) -> bytes:
    """The combined, verified signature; for ECDSA suites `message` is the 32-byte digest."""
    session = hashlib.sha256(os.urandom(32)).digest()
    parts = run_contributions(shares, session, message, tweak, path)
    return native.combine(shares[0].suite, shares[0].public_package(), session, message, parts, tweak, path)
