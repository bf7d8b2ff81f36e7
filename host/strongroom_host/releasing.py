"""Carries a wallet over to the next release, as far as it goes; asked again, goes on. Decides nothing.

 1. Each signer that the release names hands a copy to its successor.
 2. `threshold` successors sign the release test: that signature is the activation, and every signer is told.
 3. Each old one hands over its end, and the successor's sealed records take the place of the old one's.

What was not reached is in the answer, by signer. Whatever was cut off is done again from its beginning.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final

from strongroom import schemes
from strongroom.chains.effects import ToSign
from strongroom.channel import bundle
from strongroom.errors import Refusal
from strongroom.policy.directives import Directive, body_of
from strongroom.policy.release import Activation, Release, release_test
from strongroom.wire import cbor
from strongroom.wire.fields import Fields
from strongroom_host.directing import Directing
from strongroom_host.relay.relay import Group, Job, Relay
from strongroom_host.relay.rounds import CeremonyFailed
from strongroom_host.relay.wallets import first
from strongroom_host.relays import Relays
from strongroom_host.storage.wallets import Wallet, Wallets

_log = logging.getLogger(__name__)

TIMEOUT: Final = 20.0
TEST_TIMEOUT: Final = 60.0


@dataclass
class Progress:
    """done: signers whose successor holds their end. copied: or a copy. refusals: why not, by signer."""

    release: Release
    active: bool = False
    copied: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    refusals: dict[str, Refusal] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        return {
            "number": self.release.number,
            "release": self.release.digest().hex(),
            "active": self.active,
            "signers": [self._row(name) for name in self.release.names],
        }

    def _row(self, name: str) -> dict[str, Any]:
        refusal = self.refusals.get(name)
        stands = "taken over" if name in self.done else "copied" if name in self.copied else "not handed over"
        return {
            "signer": name,
            "state": stands,
            "code": None if refusal is None else refusal.code,
            "detail": None if refusal is None else refusal.reason,
        }


class Releasing:
    """One at a time for each wallet: its caller sees to that."""

    def __init__(self, relays: Relays, wallets: Wallets, directing: Directing) -> None:
        self._relays = relays
        self._wallets = wallets
        self._directing = directing

    def proceed(self, wallet: Wallet, group: Group) -> Progress:
        """Raises Refusal where there is nothing to go on with."""
        order = group.order
        release, arriving = self._relays.newest(order), self._relays.arriving
        if release is None:
            raise Refusal("release_refused", "no release of this wallet was handed to its signers yet")
        if arriving is None:
            raise Refusal("release_refused", "this host is configured with no signers of a next release: `arriving`")
        progress = Progress(release)
        activation = self._activation(order, release)
        if activation is None:
            self._copies(group, arriving, progress)
            activation = self._activate(wallet, group, arriving, progress)
        if activation is not None:
            progress.active = True
            self._ends(group, arriving, activation, progress)
        return progress

    # --- Before it is active ---

    def _copies(self, group: Group, arriving: Relay, progress: Progress) -> None:
        for name in progress.release.names:
            try:
                self._hand(group, arriving, name)
                progress.copied.append(name)
            except Refusal as refusal:
                progress.refusals[name] = refusal

    def _activate(self, wallet: Wallet, group: Group, arriving: Relay, progress: Progress) -> Directive | None:
        """None while too few have a copy."""
        order = group.signed.order
        ready = tuple(name for name in order.names if name in progress.copied)[: order.threshold]
        if len(ready) < order.threshold:
            return None
        try:
            activation = self._test(wallet, group, arriving, progress.release, ready)
        except CeremonyFailed as failed:
            raise first(failed) from failed
        directive = Directive(*body_of(activation), ())
        outcome = self._directing.direct(group, directive)
        if not outcome.views:
            raise next(iter(outcome.refusals.values()))
        return directive

    def _test(
        self, wallet: Wallet, group: Group, arriving: Relay, release: Release, names: tuple[str, ...]
    ) -> Activation:
        body, digest = wallet.body, release.digest()
        message = release_test(body.wallet, digest, names)
        asked: dict[str, cbor.Value] = {"wallet": body.wallet, "set": list(names), "release": digest}
        scheme, now = group.signed.order.scheme, time.monotonic()
        # What was agreed with an earlier start of them, or not at all.
        arriving.handshakes.open(group.order, list(combinations(names, 2)))
        job = Job(
            "test",
            "test.start",
            group,
            dict.fromkeys(names, asked),
            message,
            TEST_TIMEOUT,
            now + TEST_TIMEOUT,
            trips=schemes.suite(scheme).trips,
        )
        ceremony, lasts = arriving.run(job)
        parts = [(group.signed.order.index(name), lasts[name].result) for name in names]
        (signature,) = bundle.combine(scheme, body.package, ceremony, [ToSign(message)], parts)
        return Activation(body.wallet, digest, names, signature)

    def _activation(self, order: bytes, release: Release) -> Directive | None:
        directives = self._wallets.directives.all(order)
        found = [each for each in directives if each.kind == "activation"]
        return next((each for each in found if each.activation().release == release.digest()), None)

    # --- After ---

    def _ends(self, group: Group, arriving: Relay, activation: Directive, progress: Progress) -> None:
        for name in progress.release.names:
            try:
                self._end(group, arriving, name, activation)
                progress.done.append(name)
            except Refusal as refusal:
                progress.refusals[name] = refusal

    def _end(self, group: Group, arriving: Relay, name: str, activation: Directive) -> None:
        kept = self._kept(group, arriving, name)
        if kept is None:
            # Whoever was out of reach before is told first that it has left.
            self._tell(group, self._relays.current, name, activation)
            kept = self._hand(group, arriving, name)
            if not kept.flag("end"):
                raise Refusal("release_refused", f"{name} does not know of the activation")
            with suppress(Refusal):
                self._tell(group, arriving, name, activation)
        self._wallets.succeeded(
            group.order,
            name,
            record=kept.optional_blob("record"),
            policy=kept.blob("policy"),
            wrapped=kept.optional_blob("wrapped"),
        )

    def _kept(self, group: Group, arriving: Relay, name: str) -> Fields | None:
        """Of one that has taken over already: its answer to that may have been lost."""
        for row in _wallets(arriving.signers.call(name, "status", {}, TIMEOUT)):
            if row.get("wallet") == group.wallet and row.get("place") == "serving":
                return arriving.signers.call(name, "handover.keep", {"wallet": group.wallet}, TIMEOUT)
        return None

    def _tell(self, group: Group, relay: Relay, name: str, activation: Directive) -> None:
        asked: dict[str, cbor.Value] = {"wallet": group.wallet, "directive": activation.encode()}
        try:
            answer = relay.signers.call(name, "release.activate", asked, TIMEOUT)
        except Refusal as refusal:
            if relay is not self._relays.current or refusal.code not in ("unknown_wallet", "release_refused"):
                raise
            relay.load(group, name)
            answer = relay.signers.call(name, "release.activate", asked, TIMEOUT)
        record = answer.optional_blob("record")
        if record is not None and relay is self._relays.current:
            self._wallets.directives.keep(group.order, name, record)

    # --- Handing over ---

    def _hand(self, group: Group, arriving: Relay, name: str) -> Fields:
        """The five messages, carried. What a restart took from the old one is given back to it. Raises Refusal."""
        for mend in (self._load, self._open_journal, None):
            try:
                return self._carry(group, arriving, name)
            except Refusal as refusal:
                if mend is None or not mend(group, name, refusal):
                    raise
        raise AssertionError("the loop returns or raises")

    def _carry(self, group: Group, arriving: Relay, name: str) -> Fields:
        new, old, wallet = arriving.signers, self._relays.current.signers, group.wallet
        chain = self._chain(group.order)
        asked: dict[str, cbor.Value] = {"order": group.signed.encode(), "directives": chain}
        message = new.call(name, "handover.open", asked, TIMEOUT).blob("message")
        asked = {"wallet": wallet, "message": message}
        message = old.call(name, "handover.answer", asked, TIMEOUT).blob("message")
        message = new.call(name, "handover.prove", {"order": group.order, "message": message}, TIMEOUT).blob("message")
        given = old.call(name, "handover.give", {"wallet": wallet, "message": message}, TIMEOUT)
        asked = {"order": group.order, "message": given.blob("message"), "sealed": given.blob("sealed")}
        return new.call(name, "handover.take", {**asked, "body": group.body}, TIMEOUT)

    def _chain(self, order: bytes) -> list[cbor.Value]:
        """What led to the newest release: each that was active, by its hash, and every set of officers."""
        directives = self._wallets.directives.all(order)
        releases = {each.release().digest(): each.release() for each in directives if each.kind == "release"}
        newest, wanted = self._relays.newest(order), set()
        while newest is not None:
            wanted.add(newest.digest())
            newest = releases.get(newest.previous)
        return [
            each.encode()
            for each in directives
            if each.kind == "officers" or (each.kind == "release" and each.release().digest() in wanted)
        ]

    def _load(self, group: Group, name: str, refusal: Refusal) -> bool:
        if refusal.code in ("unknown_wallet", "not_joined"):
            with suppress(Refusal):
                self._relays.current.load(group, name)
        return refusal.code in ("unknown_wallet", "not_joined", "channel_handshake")

    def _open_journal(self, group: Group, name: str, refusal: Refusal) -> bool:
        if refusal.code != "not_joined":
            return False
        self._relays.current.keeper.open(group, name)
        return True


def _wallets(status: Fields) -> Sequence[dict[str, cbor.Value]]:
    rows = status.raw("wallets")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
