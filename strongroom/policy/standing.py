"""Which policy a wallet stands under: what officers directed, in which order, and since when a judge knows it.

Rules, for every directive; a refusal changes nothing:

- It is for this wallet, and signed by a quorum of the officers in office.
- A **policy** succeeds the newest one known (a higher version, its hash as `previous`) and takes effect the timelock of
  the policy in force later, counted from when it was first seen: nobody's clock but the judge's own counts. A
  successor of the one in force whose version is higher than that of one that still waits withdraws what waits.
- A **renewal** lengthens the lease of a policy in force or waiting, never beyond its `lease` from now.
- A **freeze** counts at once, up to the version it names, at most the one after the newest known. It takes as many
  officers as the policy in force says.
- **Officers** succeed the set in office after the same timelock.
- A **release** follows the active one, and may be acted upon after the same timelock; a later one withdraws it.
- An **activation** makes the release that waits the active one. Whose signature it carries its owner verified before.

What was in force never comes back. A standing is told the time and touches nothing; its owner locks it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from strongroom.errors import Refusal
from strongroom.policy.directives import Directive, NextOfficers, officers_hash
from strongroom.policy.document import Policy
from strongroom.policy.release import ORDERED, Active, Release, row
from strongroom.signer.configuration import Officers
from strongroom.wire import cbor
from strongroom.wire.fields import Fields

MAX_WAITING: Final = 3
"""Successors that wait for their timelock at once."""


@dataclass(frozen=True)
class View:
    """What a judge holds, at one time; the answer to every directive. Times are Unix seconds.

    waiting: (version, hash, from when) of successors. newest: the highest version known. release: (number, hash) of the
    active one; arriving: (number, hash, from when) of one that waits. held: the newest release whose end is held here.
    """

    wallet: bytes
    version: int
    policy: bytes
    newest: int
    waiting: tuple[tuple[int, bytes, int], ...]
    leased: int
    frozen: bool
    officers: bytes
    release: tuple[int, bytes] = (1, ORDERED)
    arriving: tuple[int, bytes, int] | None = None
    held: int = 1

    def value(self) -> dict[str, cbor.Value]:
        return {
            "v": 1,
            "wallet": self.wallet,
            "version": self.version,
            "policy": self.policy,
            "newest": self.newest,
            "waiting": [list(each) for each in self.waiting],
            "leased": self.leased,
            "frozen": self.frozen,
            "officers": self.officers,
            "release": list(self.release),
            "arriving": None if self.arriving is None else list(self.arriving),
            "held": self.held,
        }

    @classmethod
    def parse(cls, fields: Fields) -> View:
        fields.version()
        view = cls(
            fields.blob("wallet", size=32),
            fields.integer("version", least=1),
            fields.blob("policy", size=32),
            fields.integer("newest", least=1),
            fields.items("waiting", _waiting, most=MAX_WAITING),
            fields.integer("leased"),
            fields.flag("frozen"),
            fields.blob("officers", size=32),
            _active(fields.raw("release")),
            _arriving(fields.raw("arriving")),
            fields.integer("held", least=1),
        )
        fields.end()
        return view


def standing_user_data(view: bytes) -> bytes:
    """What a signer's evidence is bound to when it says how a wallet stands. view: the encoding of its value."""
    return hashlib.sha256(b"strongroom/policy-standing/v1" + view).digest()


@dataclass
class Standing:
    """policies: the one in force and what waits, each with the second from which it is in force. sets: of officers,
    likewise. renewed: by policy hash, until when. frozen: the highest version that officers froze; 0 for none.

    release: the active one. arriving: one that waits, and from when it may be acted upon. held: the newest release
    whose predecessor's end this judge holds.
    """

    wallet: bytes
    policies: list[tuple[Policy, int]]
    sets: list[tuple[Officers, int, int]]
    renewed: dict[bytes, int] = field(default_factory=dict)
    frozen: int = 0
    release: Active = field(default_factory=Active)
    arriving: tuple[Release, int] | None = None
    held: int = 1

    @classmethod
    def first(cls, wallet: bytes, policy: Policy, officers: Officers) -> Standing:
        """As a wallet's order has it."""
        return cls(wallet, [(policy, 0)], [(officers, 1, 0)])

    # --- What holds ---

    def policy(self, now: int) -> Policy:
        self._advance(now)
        return self.policies[0][0]

    def officers(self, now: int) -> Officers:
        self._advance(now)
        return self.sets[0][0]

    def is_frozen(self, now: int) -> bool:
        policy = self.policy(now)
        return policy.frozen or policy.version <= self.frozen

    def renewed_until(self, now: int) -> int:
        """Of the policy in force; 0 where nobody renewed it."""
        return self.renewed.get(self.policy(now).digest(), 0)

    def view(self, now: int) -> View:
        policy = self.policy(now)
        return View(
            self.wallet,
            policy.version,
            policy.digest(),
            self._newest.version,
            tuple((each.version, each.digest(), since) for each, since in self.policies[1:]),
            max(policy.issued + policy.lease, self.renewed_until(now)),
            self.is_frozen(now),
            officers_hash(self.officers(now)),
            (self.release.number, self.release.digest),
            None if self.arriving is None else (self.arriving[0].number, self.arriving[0].digest(), self.arriving[1]),
            self.held,
        )

    @property
    def _newest(self) -> Policy:
        return self.policies[-1][0]

    def _advance(self, now: int) -> None:
        """Forward alone: what was dropped once does not come back when a clock does."""
        while len(self.policies) > 1 and self.policies[1][1] <= now:
            del self.policies[0]
        while len(self.sets) > 1 and self.sets[1][2] <= now:
            del self.sets[0]
        known = {policy.digest() for policy, _ in self.policies}
        if not self.renewed.keys() <= known:
            self.renewed = {digest: until for digest, until in self.renewed.items() if digest in known}

    # --- What officers direct ---

    def take(self, directive: Directive, now: int) -> None:
        """Raises Refusal, and is as it was then. What is known already is taken again without effect."""
        takers = {
            "policy": self._policy,
            "renewal": self._renewal,
            "freeze": self._freeze,
            "officers": self._officers,
            "release": self._release,
            "activation": self._activation,
        }
        takers[directive.kind](directive, now)

    def _for_this_wallet(self, wallet: bytes | None) -> None:
        if wallet != self.wallet:
            raise Refusal("directive_mismatch", "the officers signed it for another wallet")

    def _by_quorum(self, directive: Directive, now: int) -> None:
        officers = self.officers(now)
        directive.verify(officers, officers.quorum)

    def _policy(self, directive: Directive, now: int) -> None:
        policy = directive.policy()
        self._for_this_wallet(policy.wallet)
        self._by_quorum(directive, now)
        current = self.policy(now)
        if any(policy.digest() == known.digest() for known, _ in self.policies):
            return
        if policy.version <= self._newest.version:
            reason = f"version {policy.version} of the policy is not above version {self._newest.version}, known here"
            raise Refusal("policy_version", reason)
        waiting = self.policies[1:] if policy.previous == self._newest.digest() else []
        if not waiting and policy.previous != current.digest():
            raise Refusal("policy_version", "it succeeds another policy than the newest one known here")
        if len(waiting) >= MAX_WAITING:
            raise Refusal("policy_version", f"{MAX_WAITING} policies wait already")
        since = max([now + current.timelock, *(since for _, since in waiting)])
        self.policies = [self.policies[0], *waiting, (policy, since)]

    def _renewal(self, directive: Directive, now: int) -> None:
        renewal = directive.renewal()
        self._for_this_wallet(renewal.wallet)
        self._by_quorum(directive, now)
        self._advance(now)
        renewed = next((policy for policy, _ in self.policies if policy.digest() == renewal.policy), None)
        if renewed is None:
            raise Refusal("directive_mismatch", "it renews a policy that is neither in force here nor waiting")
        if renewal.until <= now:
            raise Refusal("policy_lease", f"the renewal ended {now - renewal.until} seconds ago")
        until = min(renewal.until, now + renewed.lease)
        self.renewed[renewal.policy] = max(until, self.renewed.get(renewal.policy, 0))

    def _freeze(self, directive: Directive, now: int) -> None:
        freeze = directive.freeze()
        self._for_this_wallet(freeze.wallet)
        officers, policy = self.officers(now), self.policy(now)
        directive.verify(officers, min(policy.freezers, officers.quorum))
        if freeze.version > self._newest.version + 1:
            raise Refusal(
                "policy_version", f"version {freeze.version} is too far above {self._newest.version}, known here"
            )
        self.frozen = max(self.frozen, freeze.version)

    def _officers(self, directive: Directive, now: int) -> None:
        following = directive.officers()
        self._for_this_wallet(following.wallet)
        self._by_quorum(directive, now)
        if self._knows(following):
            return
        officers, version, _ = self.sets[0]
        if following.previous != officers_hash(officers) or following.version <= self.sets[-1][1]:
            reason = f"it succeeds another set of officers than the one in office, version {version}"
            raise Refusal("directive_mismatch", reason)
        self.sets = [self.sets[0], (following.officers, following.version, now + self.policy(now).timelock)]

    def _release(self, directive: Directive, now: int) -> None:
        release = directive.release()
        self._for_this_wallet(release.wallet)
        self._by_quorum(directive, now)
        if self.knows(release):
            return
        if self.arriving is not None and release.number <= self.arriving[0].number:
            raise Refusal("release_refused", f"release {self.arriving[0].number} waits here already")
        self.release.follow(release)
        self.arriving = release, now + self.policy(now).timelock

    def _activation(self, directive: Directive, now: int) -> None:
        activation = directive.activation()
        self._for_this_wallet(activation.wallet)
        if activation.release == self.release.digest:
            return
        self.release = self.release.follow(self.acted_upon(activation.release, now))
        self.arriving = None

    def knows(self, release: Release) -> bool:
        """Whether it is active, or waits."""
        known = {self.release.digest} | ({self.arriving[0].digest()} if self.arriving is not None else set())
        return release.digest() in known

    def acted_upon(self, digest: bytes, now: int) -> Release:
        """The release that waits, if it is this one and its timelock is over. Raises Refusal `release_refused`."""
        if self.arriving is None or self.arriving[0].digest() != digest:
            raise Refusal("release_refused", "no such release waits here")
        release, since = self.arriving
        if now < since:
            raise Refusal("release_refused", f"release {release.number} waits for {since - now} seconds more")
        return release

    def _knows(self, following: NextOfficers) -> bool:
        return any((following.officers, following.version) == (officers, version) for officers, version, _ in self.sets)

    # --- At rest ---

    def encode(self) -> bytes:
        """All of it, for its owner to seal."""
        return cbor.encode(
            {
                "v": 1,
                "wallet": self.wallet,
                "policies": [[cbor.encode(policy.value()), since] for policy, since in self.policies],
                "sets": [[officers.value(), version, since] for officers, version, since in self.sets],
                "renewed": [[digest, until] for digest, until in sorted(self.renewed.items())],
                "frozen": self.frozen,
                "release": self.release.value(),
                "arriving": None
                if self.arriving is None
                else [cbor.encode(self.arriving[0].value()), self.arriving[1]],
                "held": self.held,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Standing:
        """Of bytes that their owner sealed itself."""
        fields = Fields.decode(data, "standing")
        fields.version()
        standing = cls(
            fields.blob("wallet", size=32),
            list(fields.items("policies", _policy_since)),
            list(fields.items("sets", _set_since)),
            dict(fields.items("renewed", _renewed)),
            fields.integer("frozen"),
            Active.parse(fields.raw("release")),
            _release_since(fields.raw("arriving")),
            fields.integer("held", least=1),
        )
        fields.end()
        return standing

    def precedes(self, other: Standing) -> bool:
        """Whether the other one knows a later policy, a freeze, officers, or a release, that this one does not."""
        pairs = zip(self._progress(), other._progress(), strict=True)
        return any(left < right for left, right in pairs)

    def _progress(self) -> tuple[int, ...]:
        newest = self.release.number if self.arriving is None else self.arriving[0].number
        return self.sets[-1][1], self._newest.version, self.frozen, self.release.number, newest, self.held


def _active(value: cbor.Value) -> tuple[int, bytes]:
    fields = row(value, "number", "release")
    return fields.integer("number", least=1), fields.blob("release", size=32)


def _arriving(value: cbor.Value) -> tuple[int, bytes, int] | None:
    if value is None:
        return None
    fields = row(value, "number", "release", "since")
    return fields.integer("number", least=2), fields.blob("release", size=32), fields.integer("since")


def _release_since(value: cbor.Value) -> tuple[Release, int] | None:
    if value is None:
        return None
    fields = row(value, "release", "since")
    return Release.parse(Fields.decode(fields.blob("release"), "release")), fields.integer("since")


def _waiting(value: cbor.Value) -> tuple[int, bytes, int]:
    fields = row(value, "version", "policy", "since")
    return fields.integer("version"), fields.blob("policy", size=32), fields.integer("since")


def _policy_since(value: cbor.Value) -> tuple[Policy, int]:
    fields = row(value, "policy", "since")
    return Policy.parse(Fields.decode(fields.blob("policy"), "policy")), fields.integer("since")


def _set_since(value: cbor.Value) -> tuple[Officers, int, int]:
    fields = row(value, "officers", "version", "since")
    return Officers.parse(fields.fields("officers")), fields.integer("version"), fields.integer("since")


def _renewed(value: cbor.Value) -> tuple[bytes, int]:
    fields = row(value, "policy", "until")
    return fields.blob("policy", size=32), fields.integer("until")
