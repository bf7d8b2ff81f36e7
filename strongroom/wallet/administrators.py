"""Who commands how many shares: the smallest set of administrators that reaches the threshold.

An administrator is whoever runs one machine, one account, one operator's organisation, or one PKCS#11 root (the
operator's CA certifies identities at will). It commands every share that carries its label.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from strongroom.errors import Refusal
from strongroom.wallet.order import Order


@dataclass(frozen=True, order=True)
class Administrator:
    """kind: machine, account, operator or authority; members: names of the signers that it commands."""

    kind: str
    label: str
    members: tuple[str, ...]


def administrators(order: Order, *, witnesses: bool = False) -> tuple[Administrator, ...]:
    """Of the roster; with the order's witnesses too, where it is about journals and not about shares."""
    groups: dict[tuple[str, str], list[str]] = {}
    for member in (*order.roster, *(order.witnesses if witnesses else ())):
        labels = member.labels
        keys = [("machine", labels.machine), ("account", labels.account), ("operator", labels.operator)]
        if member.root == "pkcs11":
            keys.append(("authority", member.trust.hex()[:16]))
        for key in keys:
            groups.setdefault(key, []).append(member.name)
    return tuple(sorted(Administrator(kind, label, tuple(names)) for (kind, label), names in groups.items()))


def smallest_coalition(order: Order) -> tuple[Administrator, ...]:
    """The fewest administrators who together command `threshold` shares; the first in sorted order among equals.

    Of those who command the very same shares only the first can be in it. So the search is small: nine signers that
    share nothing have 36 labels, and nine administrators to choose from.
    """
    distinct = {administrator.members: administrator for administrator in reversed(administrators(order))}
    everyone = sorted(distinct.values())
    for size in range(1, order.threshold + 1):
        for group in combinations(everyone, size):
            commanded = {name for administrator in group for name in administrator.members}
            if len(commanded) >= order.threshold:
                return group
    raise AssertionError("every signer has a machine, so threshold machines reach the threshold")


def require_separation(order: Order) -> None:
    """In production no single administrator reaches the threshold. Raises Refusal `administrators`."""
    if order.mode != "production":
        return
    coalition = smallest_coalition(order)
    if len(coalition) < 2:
        one = coalition[0]
        raise Refusal("administrators", f"{one.kind} {one.label} alone commands {len(one.members)} shares")
    for one in administrators(order, witnesses=True):
        # With t corrupt journals two sets of w may have no honest one in common.
        if order.witnesses and len(one.members) >= order.threshold:
            raise Refusal("administrators", f"{one.kind} {one.label} alone commands {len(one.members)} journals")
