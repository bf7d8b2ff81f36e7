"""Which policy a wallet stands under: what officers signed is verified here, what signers say of it is their evidence.

A policy is called in force only for signers that say so afresh, to a nonce drawn here.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from strongroom.errors import Refusal
from strongroom.policy.directives import Directive, officers_hash
from strongroom.policy.document import Policy
from strongroom.policy.standing import View, standing_user_data
from strongroom.signer.configuration import Officers
from strongroom.wallet.certificate import Body
from strongroom.wire.fields import Fields
from strongroom_client.api import Api, Json, unhex
from strongroom_client.wallets import check_evidence


@dataclass(frozen=True)
class Directed:
    """What officers signed for a wallet, verified. policies: the order's first. sets: of officers, likewise."""

    policies: tuple[Policy, ...]
    sets: tuple[Officers, ...]

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


@dataclass(frozen=True)
class Standings:
    """views: by signer, each under its own fresh evidence. refusals: of signers that gave none."""

    directed: Directed
    views: Mapping[str, View]
    refusals: Mapping[str, str]

    @property
    def office(self) -> Officers:
        """Whose signatures most signers take now: a set that waits for its timelock is not in office yet."""
        said = Counter(view.officers for view in self.views.values()).most_common(1)
        named = [each for each in self.directed.sets if said and officers_hash(each) == said[0][0]]
        return named[0] if named else self.directed.sets[-1]

    def in_force(self, threshold: int) -> Policy:
        """What a signature can be had under: the newest policy that so many signers stand under. Raises Refusal."""
        counts = Counter(view.policy for view in self.views.values())
        enough = [self.directed.policy(digest) for digest, count in counts.items() if count >= threshold]
        if not enough:
            stand = ", ".join(f"{name}: version {view.version}" for name, view in self.views.items()) or "none answered"
            raise Refusal("policy_version", f"no {threshold} signers stand under one policy ({stand})")
        return max(enough, key=lambda policy: policy.version)


def directed(api: Api, body: Body) -> Directed:
    """Raises Refusal for what no quorum of officers signed. Whether a signer took it is another question."""
    order = body.order.order
    policies, sets = [order.policy], [order.officers]
    for raw in api.directives(body.wallet.hex()):
        directive = Directive.decode(raw)
        if directive.kind not in ("policy", "officers"):
            continue
        _verify(directive, sets)
        if directive.kind == "officers":
            following = directive.officers()
            _require_wallet(following.wallet, body)
            sets.append(following.officers)
            continue
        _require_wallet(directive.policy().wallet, body)
        policies.append(directive.policy())
    return Directed(tuple(policies), tuple(sets))


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


def standings(api: Api, body: Body) -> Standings:
    """What every signer says now. A wrong answer counts as none; its reason is among the refusals."""
    known = directed(api, body)
    nonce, order = secrets.token_bytes(32), body.order.order
    answer = api.standings(body.wallet.hex(), nonce)
    at = int(time.time())
    views: dict[str, View] = {}
    refusals = {str(row.get("signer")): str(row.get("detail")) for row in answer.get("refusals") or ()}
    for row in answer.get("standings") or ():
        name = str(row.get("signer"))
        try:
            views[order.member(name).name] = _view(row, name, body, nonce, at)
        except Refusal as refusal:
            refusals[name] = refusal.reason
    return Standings(known, views, refusals)


def _view(row: Json, name: str, body: Body, nonce: bytes, at: int) -> View:
    order, raw = body.order.order, unhex(row, "standing")
    check_evidence(unhex(row, "document"), order.member(name), order.mode, nonce, standing_user_data(raw), at)
    view = View.parse(Fields.decode(raw, "standing"))
    if view.wallet != body.wallet:
        raise Refusal("evidence_binding", f"{name} speaks of another wallet")
    return view


def in_force(api: Api, body: Body) -> Policy:
    """The order's policy, where officers directed nothing since; else what enough signers say, afresh."""
    known = directed(api, body)
    if len(known.policies) == 1:
        return known.policies[0]
    return standings(api, body).in_force(body.order.order.threshold)
