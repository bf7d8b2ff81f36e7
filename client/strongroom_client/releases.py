"""What officers sign as a wallet's next release: taken from a roster file, compared with what is active."""

from __future__ import annotations

from pathlib import Path

from strongroom.errors import Refusal
from strongroom.policy.release import Measured, Release
from strongroom.wallet.certificate import Body
from strongroom.wallet.members import require_release
from strongroom.wallet.order import Order
from strongroom_client import orders
from strongroom_client.directed import Directed
from strongroom_client.standings import Standings

INSTANCE = "pcr4"
"""An instance's own: a release pins none, so that a lost instance can be replaced."""


def following(roster: Path, body: Body, stands: Standings) -> Release:
    """The release that makes the active roster the file's. Raises Refusal `release_refused`."""
    order, known = body.order.order, stands.directed
    _require_finished(stands)
    changed = tuple(sorted(_changed(roster, order, known).items()))
    if not changed:
        raise Refusal("release_refused", f"{roster} measures what release {known.active.number} does: nothing changes")
    newest = max((release.number for release in known.waiting), default=known.active.number)
    release = Release(body.wallet, newest + 1, known.active.digest, changed)
    require_release(order, known.active.measurements, release)
    return release


def _changed(path: Path, order: Order, known: Directed) -> dict[str, Measured]:
    """By member. Raises Refusal for a file whose members are not the order's, but for what they measure."""
    _, signers = orders.load_roster(path)
    named = {member.name: member for member in (*signers, *orders.load_witnesses(path))}
    active = known.roster(order)
    if set(named) != set(active.members):
        raise Refusal("release_refused", f"{path} names other signers than the wallet's order: that is a new wallet")
    changed: dict[str, Measured] = {}
    for name, member in named.items():
        before = active.member(name)
        if (member.root, member.trust) != (before.root, before.trust):
            raise Refusal("release_refused", f"{path}: {name} has another root of trust than in the wallet's order")
        if _image(member.measurements) != _image(before.measurements):
            changed[name] = _image(member.measurements)
    return changed


def _image(measured: Measured) -> Measured:
    return {register: value for register, value in measured.items() if register != INSTANCE}


def _require_finished(stands: Standings) -> None:
    """One release after the other: a signer whose predecessor has not handed over could not be reached by the next."""
    active = stands.directed.active
    waiting = [name for name, view in stands.views.items() if view.held < active.since(name)]
    if waiting:
        reason = f"release {active.number} is not complete: {', '.join(waiting)} has not taken over"
        raise Refusal("release_refused", reason)
