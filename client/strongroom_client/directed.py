"""What officers directed about a wallet, as the host shows it, verified here: policies, sets of officers, releases.

A host that holds something back gains no more than that: what a signer stands under, its fresh evidence says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from strongroom import schemes
from strongroom.errors import Refusal
from strongroom.policy.directives import Directive
from strongroom.policy.document import Policy
from strongroom.policy.release import Activation, Active, Release, release_test
from strongroom.signer.configuration import Officers
from strongroom.wallet.certificate import Body
from strongroom.wallet.members import Roster, require_release, roster_of
from strongroom.wallet.order import Order
from strongroom_client.api import Api

FIRST: Final = Active()
"""The order's own roster."""


@dataclass(frozen=True)
class Directed:
    """What officers signed for a wallet, verified. policies: the order's first. sets: of officers, likewise.

    active: the newest release that the wallet's own key activated. waiting: later ones, which officers signed.
    """

    policies: tuple[Policy, ...]
    sets: tuple[Officers, ...]
    active: Active = FIRST
    waiting: tuple[Release, ...] = ()

    def roster(self, order: Order) -> Roster:
        """What each member must measure now."""
        return roster_of(order, self.active.measurements)

    def policy(self, digest: bytes) -> Policy:
        for policy in self.policies:
            if policy.digest() == digest:
                return policy
        raise Refusal(
            "policy_version", "signers stand under a policy that the host does not show, or officers never signed"
        )

    @property
    def newest(self) -> Policy:
        return max(self.policies, key=lambda policy: policy.version)


def directed(api: Api, body: Body) -> Directed:
    """Raises Refusal for what no quorum of officers signed. Whether a signer took it is another question."""
    order = body.order.order
    policies, sets = [order.policy], [order.officers]
    releases: dict[bytes, Release] = {}
    active = Active()
    for raw in api.directives(body.wallet.hex()):
        directive = Directive.decode(raw)
        if directive.kind == "activation":
            active = _activated(active, directive.activation(), releases, body)
        if directive.kind not in ("policy", "officers", "release"):
            continue
        _verify(directive, sets)
        if directive.kind == "officers":
            following = directive.officers()
            _require_wallet(following.wallet, body)
            sets.append(following.officers)
        elif directive.kind == "release":
            release = directive.release()
            _require_wallet(release.wallet, body)
            releases[release.digest()] = release
        else:
            _require_wallet(directive.policy().wallet, body)
            policies.append(directive.policy())
    waiting = tuple(each for each in releases.values() if each.previous == active.digest)
    return Directed(tuple(policies), tuple(sets), active, waiting)


def _activated(active: Active, activation: Activation, releases: Mapping[bytes, Release], body: Body) -> Active:
    """Raises Refusal `release_refused` for what the wallet's own key did not sign."""
    _require_wallet(activation.wallet, body)
    order, release, signers = body.order.order, releases.get(activation.release), activation.signers
    if release is None:
        raise Refusal("release_refused", "the host shows an activation of a release that officers never signed")
    require_release(order, active.measurements, release)
    message = release_test(body.wallet, activation.release, signers)
    if order.sorted_set(signers) != signers or not set(signers) <= set(release.names):
        raise Refusal("release_refused", "an activation names others than signers of its release")
    if not schemes.verify(order.scheme, body.public_key, message, activation.signature):
        raise Refusal("release_refused", "the wallet's key did not sign the test of the release that the host shows")
    return active.follow(release)


def _verify(directive: Directive, sets: list[Officers]) -> None:
    """By whichever set was in office: when one took over is the signers' to know."""
    for at, officers in enumerate(sets):
        try:
            directive.verify(officers, officers.quorum)
        except Refusal:
            if at + 1 == len(sets):
                raise
        else:
            return


def _require_wallet(wallet: bytes | None, body: Body) -> None:
    if wallet != body.wallet:
        raise Refusal("directive_mismatch", "the host shows a directive for another wallet")
