"""The policy: what it allows to the last wei, and that it denies all else."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strongroom.policy.policy import EvmRules, Policy

from strongroom.chains.evm import Transaction
from strongroom.wire import cbor
from strongroom.wire.fields import Fields
from tests.wallet.orders import CONTRACT, ETHER, POLICY, RECIPIENT, RULES, SELECTOR
from tests.wire.refused import refused

GAS, FEE = 100_000, ETHER // 100 // 100_000
TRANSFER = Transaction(31337, 0, 0, FEE, GAS, RECIPIENT, ETHER)
CALL = dataclasses.replace(TRANSFER, to=CONTRACT, data=SELECTOR + bytes(64))
STRANGER = b"\x99" * 20


@pytest.mark.parametrize(
    "transaction",
    [
        TRANSFER,
        CALL,
        dataclasses.replace(TRANSFER, value=0, chain_id=1, to=bytes(20)),
        dataclasses.replace(TRANSFER, kind=0, max_priority_fee=FEE),
        dataclasses.replace(TRANSFER, kind=1, max_priority_fee=FEE, access=((CONTRACT, ()),)),
    ],
)
def test_what_is_allowed_is_allowed_up_to_the_limits(transaction: Transaction) -> None:
    assert transaction.fee_ceiling == RULES.fee_ceiling
    POLICY.judge_transaction(transaction)


@pytest.mark.parametrize("honest", [TRANSFER, CALL])
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"chain_id": 2}, "policy_chain"),
        ({"chain_id": 0}, "policy_chain"),
        ({"value": ETHER + 1}, "policy_limit"),
        ({"gas_limit": GAS + 1}, "policy_fee"),
        ({"max_fee": FEE + 1}, "policy_fee"),
        ({"max_fee": 2**256 - 1, "gas_limit": 2**64 - 1}, "policy_fee"),
        # The chain is judged first: amounts of another chain mean nothing here.
        ({"chain_id": 2, "value": 2 * ETHER, "to": STRANGER}, "policy_chain"),
    ],
)
def test_one_over_is_refused(honest: Transaction, changes: dict[str, Any], code: str) -> None:
    refused(code, POLICY.judge_transaction, dataclasses.replace(honest, **changes))


def test_only_allowed_recipients() -> None:
    for to in (STRANGER, CONTRACT, RECIPIENT[:-1] + b"\0"):
        refused("policy_recipient", POLICY.judge_transaction, dataclasses.replace(TRANSFER, to=to))


def test_only_allowed_contracts_with_allowed_methods() -> None:
    """An allowed recipient may not be called, and one contract's method is not another's."""
    for to, selector in ((RECIPIENT, SELECTOR), (CONTRACT, bytes(4)), (STRANGER, SELECTOR)):
        call = dataclasses.replace(CALL, to=to, data=selector)
        assert to.hex() in refused("policy_call", POLICY.judge_transaction, call).reason
    crossed = dataclasses.replace(RULES, calls=tuple(sorted(((CONTRACT, SELECTOR), (STRANGER, bytes(4))))))
    refused("policy_call", crossed.judge, dataclasses.replace(CALL, data=bytes(4)))
    refused("policy_call", crossed.judge, dataclasses.replace(CALL, to=STRANGER))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_data_without_a_whole_selector_is_no_transfer(size: int) -> None:
    """Some contracts' fallback reads it; and three zero bytes are no method."""
    refused("unsupported_transaction", POLICY.judge_transaction, dataclasses.replace(TRANSFER, data=bytes(size)))
    refused("unsupported_transaction", POLICY.judge_transaction, dataclasses.replace(CALL, data=SELECTOR[:size]))


def test_an_empty_policy_denies_everything() -> None:
    nothing = Policy((), False, None)
    refused("policy_chain", nothing.judge_transaction, TRANSFER)
    refused("policy_message", nothing.judge_message)
    refused("policy_chain", EvmRules((), (), 0, 0).judge, dataclasses.replace(TRANSFER, value=0, max_fee=0))
    zero = EvmRules((31337,), (), 0, 0)
    for transaction, code in ((TRANSFER, "policy_recipient"), (CALL, "policy_call")):
        refused(code, zero.judge, dataclasses.replace(transaction, value=0, max_fee=0))


def test_messages_are_allowed_or_not() -> None:
    POLICY.judge_message()
    refused("policy_message", dataclasses.replace(POLICY, messages=False).judge_message)


# --- Its form ---


def decode(value: cbor.Value) -> Policy:
    return Policy.parse(Fields.decode(cbor.encode(value), "policy"))


ADDRESSES = st.binary(min_size=20, max_size=20)


@given(
    st.sets(st.binary(min_size=32, max_size=32), max_size=4),
    st.booleans(),
    st.none()
    | st.builds(
        lambda chains, recipients, limit, fee, calls: EvmRules(
            tuple(sorted(chains)), tuple(sorted(recipients)), limit, fee, tuple(sorted(calls))
        ),
        st.sets(st.integers(1, 2**64 - 1), max_size=4),
        st.sets(ADDRESSES, max_size=4),
        st.integers(0, 2**256 - 1),
        st.integers(0, 2**256 - 1),
        st.sets(st.tuples(ADDRESSES, st.binary(min_size=4, max_size=4)), max_size=4),
    ),
)
def test_what_is_written_is_read_back(requesters: set[bytes], messages: bool, evm: EvmRules | None) -> None:
    policy = Policy(tuple(sorted(requesters)), messages, evm)
    assert decode(policy.value()) == policy
    assert policy.digest() == hashlib.sha256(b"strongroom/policy/v1" + cbor.encode(policy.value())).digest()


def test_each_rule_is_in_the_digest() -> None:
    rules: list[dict[str, Any]] = [
        {"chain_ids": (1,)},
        {"recipients": ()},
        {"limit": 0},
        {"fee_ceiling": 0},
        {"calls": ()},
    ]
    changed = [
        dataclasses.replace(POLICY, requesters=POLICY.requesters[:1]),
        dataclasses.replace(POLICY, messages=False),
        dataclasses.replace(POLICY, evm=None),
        *(dataclasses.replace(POLICY, evm=dataclasses.replace(RULES, **changes)) for changes in rules),
    ]
    assert len({POLICY.digest(), *(policy.digest() for policy in changed)}) == 1 + len(changed)


def value(**evm: Any) -> dict[str, cbor.Value]:
    return {**POLICY.value(), "evm": {**RULES.value(), **evm}}


@pytest.mark.parametrize(
    "wrong",
    [
        {**POLICY.value(), "v": 2},
        {**POLICY.value(), "more": 1},
        {key: item for key, item in POLICY.value().items() if key != "messages"},
        {**POLICY.value(), "messages": 1},
        {**POLICY.value(), "requesters": [bytes(31)]},
        {**POLICY.value(), "requesters": [bytes(33)]},
        {**POLICY.value(), "requesters": [bytes(32), bytes(32)]},
        {**POLICY.value(), "requesters": [b"\1" * 32, bytes(32)]},
        {**POLICY.value(), "evm": []},
        value(chain_ids=[0]),
        value(chain_ids=[-1]),
        value(chain_ids=[True]),
        value(chain_ids=["1"]),
        value(chain_ids=[2, 1]),
        value(chain_ids=[1, 1]),
        value(recipients=[bytes(19)]),
        value(recipients=[bytes(21)]),
        value(recipients=[bytes(20), bytes(20)]),
        value(recipients=[b"\1" * 20, bytes(20)]),
        value(recipients=["0x00"]),
        value(limit=ETHER),
        value(limit=bytes(31)),
        value(limit=bytes(33)),
        value(fee_ceiling=bytes(8)),
        value(calls=[[CONTRACT, bytes(3)]]),
        value(calls=[[CONTRACT, bytes(5)]]),
        value(calls=[[bytes(19), SELECTOR]]),
        value(calls=[[CONTRACT]]),
        value(calls=[CONTRACT + SELECTOR]),
        value(calls=[[CONTRACT, SELECTOR], [CONTRACT, SELECTOR]]),
        value(calls=[[CONTRACT, SELECTOR], [CONTRACT, bytes(4)]]),
        value(more=1),
    ],
    ids=range(32),
)
def test_another_form_is_refused(wrong: dict[str, cbor.Value]) -> None:
    refused("malformed_message", decode, wrong)


def test_lists_are_bounded() -> None:
    many = [index.to_bytes(20, "big") for index in range(4096)]
    assert decode(value(recipients=many)).evm is not None
    refused("malformed_cbor", decode, value(recipients=[*many, b"\xff" * 20]))
    refused("malformed_message", decode, value(chain_ids=list(range(1, 258))))
    refused("malformed_message", decode, value(calls=[[item, SELECTOR] for item in many[:257]]))
