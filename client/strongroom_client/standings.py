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
from strongroom.policy.directives import officers_hash
from strongroom.policy.document import Policy
from strongroom.policy.standing import View, standing_user_data
from strongroom.signer.configuration import Officers
from strongroom.wallet.certificate import Body
from strongroom.wire.fields import Fields
from strongroom_client.api import Api, Json, unhex
from strongroom_client.directed import Directed, directed
from strongroom_client.wallets import check_evidence


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
            views[order.member(name).name] = _view(row, name, known, body, nonce, at)
        except Refusal as refusal:
            refusals[name] = refusal.reason
    return Standings(known, views, refusals)


def _view(row: Json, name: str, known: Directed, body: Body, nonce: bytes, at: int) -> View:
    raw, member = unhex(row, "standing"), known.roster(body.order.order).member(name)
    check_evidence(unhex(row, "document"), member, body.order.order.mode, nonce, standing_user_data(raw), at)
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
