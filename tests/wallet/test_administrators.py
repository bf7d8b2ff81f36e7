"""Who commands how many shares, and that in production nobody commands enough of them."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.evidence.statement import AWS_NITRO_ROOT
from strongroom.wallet.administrators import administrators, require_separation, smallest_coalition
from strongroom.wallet.order import Member, Order
from tests.wallet.orders import MUSIG2, NAMES, OPERATOR_ROOT, labels, member, order
from tests.wire.refused import refused


def nitro(name: str, **changes: Any) -> Member:
    return member(name, trust=AWS_NITRO_ROOT, labels=labels(name, **changes))


def hsm(name: str, root: bytes = OPERATOR_ROOT, **changes: Any) -> Member:
    return member(name, "pkcs11", trust=root, labels=labels(name, "pkcs11", **changes))


def production(*roster: Member, threshold: int = 2) -> Order:
    return order(mode="production", roster=roster, threshold=threshold)


SEPARATE = production(nitro("a"), nitro("b"), hsm("c"))


def test_each_label_names_an_administrator_and_a_token_its_authority() -> None:
    found = {(each.kind, each.label): each.members for each in administrators(SEPARATE)}
    assert found == {
        **{(kind, f"{kind}-{name}"): (name,) for kind in ("machine", "account", "operator") for name in "abc"},
        ("authority", OPERATOR_ROOT.hex()[:16]): ("c",),
    }


@pytest.mark.parametrize(
    "shared", [{"machine": "x"}, {"account": "x"}, {"operator": "x"}], ids=["machine", "account", "operator"]
)
def test_production_refuses_one_administrator_of_enough_shares(shared: dict[str, Any]) -> None:
    [kind] = shared
    for roster in (
        (nitro("a", **shared), nitro("b", **shared), hsm("c")),
        (nitro("a", **shared), nitro("b"), hsm("c", **shared)),
    ):
        reason = refused("administrators", require_separation, production(*roster)).reason
        assert reason == f"{kind} x alone commands 2 shares"
        # With a higher threshold the same sharing is no monopoly.
        require_separation(production(*roster, threshold=3))


def test_production_refuses_one_operators_authority_over_enough_tokens() -> None:
    """It certifies identities at will, so it can replace every signer that it certified."""
    reason = refused("administrators", require_separation, production(nitro("a"), hsm("b"), hsm("c"))).reason
    assert reason.startswith("authority ")
    require_separation(production(nitro("a"), hsm("b"), hsm("c", bytes(32))))


def test_one_word_of_two_kinds_is_two_administrators() -> None:
    require_separation(production(nitro("a", machine="x"), nitro("b", account="x"), hsm("c", operator="x")))


def test_separated_signers_are_accepted() -> None:
    require_separation(SEPARATE)
    assert [each.kind for each in smallest_coalition(SEPARATE)] == ["account", "account"]


def test_a_simulation_may_run_on_one_machine_and_its_client_sees_it() -> None:
    laptop = order(roster=tuple(member(name, labels=labels(name, machine="laptop")) for name in "abc"))
    require_separation(laptop)
    [alone] = smallest_coalition(laptop)
    assert (alone.kind, alone.label, alone.members) == ("machine", "laptop", ("a", "b", "c"))


@pytest.mark.parametrize("parties", [2, 5, 9])
def test_nine_separate_signers_of_nine_are_found_at_once(parties: int) -> None:
    """36 labels of one signer each have 94 million sets of nine; nine signers have one."""
    roster = tuple(hsm(name, name.encode() * 32) for name in NAMES[:parties])
    coalition = smallest_coalition(production(*roster, threshold=parties))
    assert [each.members for each in coalition] == [(name,) for name in NAMES[:parties]]
    assert {each.kind for each in coalition} == {"account"}
    require_separation(order(parties, scheme=MUSIG2, mode="production", roster=roster))


@settings(max_examples=60)
@given(
    st.integers(2, 5),
    st.lists(st.tuples(*[st.sampled_from("wxyz")] * 3, st.booleans()), min_size=2, max_size=5),
)
def test_no_smaller_coalition_reaches_the_threshold(threshold: int, rows: list[tuple[str, str, str, bool]]) -> None:
    threshold = min(threshold, len(rows))
    roster = tuple(
        member(name, "pkcs11" if token else "nitro", labels=labels(
            name, "pkcs11" if token else "nitro", machine=machine, account=account, operator=operator
        ))
        for name, (machine, account, operator, token) in zip(NAMES, rows, strict=False)
    )  # fmt: skip
    made = order(roster=roster, threshold=threshold)
    coalition = smallest_coalition(made)
    assert len({name for each in coalition for name in each.members}) >= threshold
    everyone = administrators(made)
    for smaller in combinations(everyone, len(coalition) - 1):
        assert len({name for each in smaller for name in each.members}) < threshold
    first = next(
        group
        for group in combinations(everyone, len(coalition))
        if len({name for each in group for name in each.members}) >= threshold
    )
    assert coalition == first
