"""Carries officers' directives to every signer of a wallet, and says which of them acknowledged. Decides nothing.

What a signer acknowledged is worth what its fresh evidence says (`standings`): the host's word for it is none.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Final

from strongroom.errors import Refusal
from strongroom.policy.decide import Circumstances
from strongroom.policy.directives import Directive
from strongroom.policy.document import Policy
from strongroom.policy.shown import Shown
from strongroom.policy.standing import View
from strongroom.wire.fields import Fields
from strongroom_host.relay.relay import Group
from strongroom_host.relay.wallets import OPERATIONS
from strongroom_host.relays import Relays
from strongroom_host.signers import Question
from strongroom_host.storage.directives import Directives
from strongroom_host.storage.wallets import Wallet

TIMEOUT: Final = 15.0


_BEHIND: Final = frozenset(
    {"unknown_wallet", "policy_version", "directive_mismatch", "directive_not_signed", "release_refused"}
)
"""What a signer says that missed earlier directives; or one that is right."""


@dataclass(frozen=True)
class Outcome:
    """views, refusals: by signer."""

    views: Mapping[str, View]
    refusals: Mapping[str, Refusal]

    def json(self) -> dict[str, Any]:
        refusals = [
            {"signer": name, "code": refusal.code, "detail": refusal.reason} for name, refusal in self.refusals.items()
        ]
        return {"acknowledged": [shown(name, view) for name, view in self.views.items()], "refusals": refusals}


@dataclass(frozen=True)
class Directed:
    """A wallet's first policy, and what officers directed since, in the order in which it came."""

    first: Policy
    directives: tuple[Directive, ...]

    @cached_property
    def policies(self) -> tuple[Policy, ...]:
        """Oldest first."""
        later = [each.policy() for each in self.directives if each.kind == "policy"]
        return (self.first, *sorted(later, key=lambda policy: policy.version))

    def policy(self, digest: bytes) -> Policy:
        """The one that an intent names, of those that came through here. Raises Refusal `intent_mismatch`."""
        for policy in self.policies:
            if policy.digest() == digest:
                return policy
        raise Refusal("intent_mismatch", "the intent was made under a policy that this host does not know")

    def circumstances(self, policy: Policy, shown: Shown) -> Circumstances:
        """As far as the host knows: signers know better, and judge again."""
        renewed = frozen = 0
        for each in self.directives:
            if each.kind == "renewal" and each.renewal().policy == policy.digest():
                renewed = max(renewed, each.renewal().until)
            elif each.kind == "freeze":
                frozen = max(frozen, each.freeze().version)
        return Circumstances(
            int(time.time()),
            renewed=renewed,
            frozen=policy.version <= frozen,
            proofs=shown.proofs,
            address=shown.address,
            country=shown.country,
        )


class Directing:
    """Thread safe."""

    def __init__(self, relays: Relays, directives: Directives) -> None:
        self._relays = relays
        self._directives = directives
        self._directed: dict[bytes, Directed] = {}

    def direct(self, group: Group, directive: Directive) -> Outcome:
        """To all signers at once. It is kept, for those that come later, where one signer took it."""
        wallet = group.wallet or b""
        body = {"wallet": wallet, "directive": directive.encode()}
        outcome = self._all(group, [(name, OPERATIONS[directive.kind], dict(body)) for name in group.everyone])
        if outcome.views:
            self._directives.add(group.order, directive)
        return outcome

    def _all(self, group: Group, questions: list[Question]) -> Outcome:
        relay = self._relays.of(group.order)
        answers = relay.signers.ask(questions, TIMEOUT)
        for index, (name, _, _) in enumerate(questions):
            answer = answers[index]
            if isinstance(answer, Refusal) and answer.code in _BEHIND:
                try:
                    self._catch_up(group, name, answer.code)
                    answers[index] = relay.signers.ask([questions[index]], TIMEOUT)[0]
                except Refusal as refusal:
                    answers[index] = refusal
        views: dict[str, View] = {}
        refusals: dict[str, Refusal] = {}
        for (name, _, _), answer in zip(questions, answers, strict=True):
            if isinstance(answer, Refusal):
                refusals[name] = answer
                continue
            views[name] = View.parse(Fields.decode(answer.blob("standing"), "standing"))
            record = answer.optional_blob("record")
            if record is not None:
                self._directives.keep(group.order, name, record)
        return Outcome(views, refusals)

    def _catch_up(self, group: Group, name: str, code: str) -> None:
        """A signer that was restarted, or could not be reached when officers spoke last."""
        relay = self._relays.of(group.order)
        if code == "unknown_wallet":
            relay.load(group, name)
        else:
            group.after_load(partial(relay.ask, name), name)

    def standings(self, group: Group, nonce: bytes) -> dict[str, Any]:
        """What each signer says of the wallet's policy, with its evidence for exactly that."""
        question = {"wallet": group.wallet or b"", "nonce": nonce}
        signers = self._relays.of(group.order).signers
        answers = signers.ask([(name, "policy.show", dict(question)) for name in group.names], TIMEOUT)
        given, refusals = [], []
        for name, answer in zip(group.names, answers, strict=True):
            if isinstance(answer, Refusal):
                refusals.append({"signer": name, "code": answer.code, "detail": answer.reason})
            else:
                standing, document = answer.blob("standing"), answer.blob("document")
                row = {"signer": name, "standing": standing.hex(), "document": document.hex()}
                given.append({**row, "root": answer.text("root")})
        return {"standings": given, "refusals": refusals}

    def of(self, wallet: Wallet) -> Directed:
        """What the host itself goes by, to fail early: asked once for each request."""
        directives = self._directives.all(wallet.signed_order.order_id)
        known = self._directed.get(wallet.signed_order.order_id)
        if known is None or known.directives is not directives:
            known = Directed(wallet.signed_order.order.policy, directives)
            self._directed[wallet.signed_order.order_id] = known
        return known


def shown(name: str, view: View) -> dict[str, Any]:
    return {
        "signer": name,
        "version": view.version,
        "policy": view.policy.hex(),
        "newest": view.newest,
        "waiting": [
            {"version": version, "policy": digest.hex(), "since": since} for version, digest, since in view.waiting
        ],
        "leased": view.leased,
        "frozen": view.frozen,
        "officers": view.officers.hex(),
        "release": view.release[0],
        "arriving": None if view.arriving is None else view.arriving[0],
    }
