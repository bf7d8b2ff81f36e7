"""Typed data that lets others take: what each permit allows, how much, and until when."""

from __future__ import annotations

import json
from typing import Any

import pytest

from strongroom.chains.effects import Allowance, Effects, Signing
from strongroom.chains.evm import permits
from strongroom.chains.evm.typed_data import TypedData

PERMIT2 = "0x000000000022D473030F116dDEE9F6B43aC78BA3"
TOKEN, OTHER, SPENDER, OWNER = ("0x" + digit * 40 for digit in "1234")
ASSET, OTHER_ASSET = f"evm:1/token:{TOKEN}", f"evm:1/token:{OTHER}"

DETAILS = {"PermitDetails": ["address token", "uint160 amount", "uint48 expiration", "uint48 nonce"]}
PERMITTED = {"TokenPermissions": ["address token", "uint256 amount"]}

UNTIL = 1_900_000_000


def effects(types: dict[str, list[str]], message: dict[str, Any], contract: str | None = PERMIT2) -> Effects:
    """The first of the types is the primary one."""
    domain: dict[str, Any] = {"name": "anything", "chainId": 1}
    declared = ["string name", "uint256 chainId"]
    if contract is not None:
        domain["verifyingContract"] = contract
        declared.append("address verifyingContract")
    every = {"EIP712Domain": declared, **types}
    document = {
        "types": {
            name: [dict(zip(("type", "name"), field.split(), strict=True)) for field in fields]
            for name, fields in every.items()
        },
        "primaryType": next(iter(types)),
        "domain": domain,
        "message": message,
    }
    return permits.effects(TypedData.decode(json.dumps(document).encode()))


ERC20_PERMIT = {"Permit": ["address owner", "address spender", "uint256 value", "uint256 nonce", "uint256 deadline"]}
ASKED = {"owner": OWNER, "spender": SPENDER, "value": 5, "nonce": 0, "deadline": UNTIL}


@pytest.mark.parametrize(("value", "amount"), [(5, 5), ("0x5", 5), (0, 0), (2**256 - 1, None)])
def test_an_erc20_permit_never_ends(value: Any, amount: int | None) -> None:
    """Its deadline is for handing it in. Who reads it as the allowance's end lets a standing allowance through."""
    found = effects(ERC20_PERMIT, {**ASKED, "value": value}, TOKEN)
    assert found == Effects("evm:1", allowances=(Allowance(ASSET, SPENDER, amount, None),))


@pytest.mark.parametrize(("allowed", "amount"), [(True, None), (False, 0)])
@pytest.mark.parametrize("expiry", [0, UNTIL])
def test_dais_permit_is_all_or_nothing(allowed: bool, amount: int | None, expiry: int) -> None:
    types = {"Permit": ["address holder", "address spender", "uint256 nonce", "uint256 expiry", "bool allowed"]}
    message = {"holder": OWNER, "spender": SPENDER, "nonce": 0, "expiry": expiry, "allowed": allowed}
    assert effects(types, message, TOKEN).allowances == (Allowance(ASSET, SPENDER, amount, None),)


def details(token: str, amount: int, expiration: int = UNTIL) -> dict[str, Any]:
    return {"token": token, "amount": amount, "expiration": expiration, "nonce": 0}


SINGLE = {"PermitSingle": ["PermitDetails details", "address spender", "uint256 sigDeadline"], **DETAILS}
BATCH = {"PermitBatch": ["PermitDetails[] details", "address spender", "uint256 sigDeadline"], **DETAILS}


@pytest.mark.parametrize(
    ("amount", "bounded"), [(5, 5), (2**160 - 1, None), (2**160 - 2, 2**160 - 2), (2**96 - 1, 2**96 - 1)]
)
def test_permit2_allows_the_token_and_not_its_own_contract(amount: int, bounded: int | None) -> None:
    found = effects(SINGLE, {"details": details(TOKEN, amount), "spender": SPENDER, "sigDeadline": 1})
    assert found == Effects("evm:1", allowances=(Allowance(ASSET, SPENDER, bounded, UNTIL),))


def test_a_batch_allows_each() -> None:
    rows = [details(TOKEN, 5), details(OTHER, 6, 7)]
    found = effects(BATCH, {"details": rows, "spender": SPENDER, "sigDeadline": 1})
    assert found.allowances == (Allowance(ASSET, SPENDER, 5, UNTIL), Allowance(OTHER_ASSET, SPENDER, 6, 7))


def test_an_expiration_of_zero_ends_with_the_block_it_is_handed_in_with() -> None:
    """Permit2's Allowance.updateAmountAndExpiration: zero is block.timestamp, not never and not 1970."""
    message = {"details": details(TOKEN, 5, 0), "spender": SPENDER, "sigDeadline": UNTIL}
    assert effects(SINGLE, message).allowances[0].expires == UNTIL


@pytest.mark.parametrize("many", [False, True])
def test_permit2s_signature_transfers(many: bool) -> None:
    name, array = ("PermitBatchTransferFrom", "[]") if many else ("PermitTransferFrom", "")
    types = {
        name: [f"TokenPermissions{array} permitted", "address spender", "uint256 nonce", "uint256 deadline"],
        **PERMITTED,
    }
    rows = [{"token": TOKEN, "amount": 5}, {"token": OTHER, "amount": 2**256 - 1}]
    message = {"permitted": rows if many else rows[0], "spender": SPENDER, "nonce": 0, "deadline": UNTIL}
    expected = (Allowance(ASSET, SPENDER, 5, UNTIL), Allowance(OTHER_ASSET, SPENDER, None, UNTIL))
    assert effects(types, message).allowances == (expected if many else expected[:1])


def test_addresses_are_lower_case() -> None:
    mixed = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
    found = effects(ERC20_PERMIT, {**ASKED, "spender": mixed}, mixed)
    assert found.allowances == (Allowance(f"evm:1/token:{mixed.lower()}", mixed.lower(), 5),)


def signing(what: str, contract: str | None) -> Effects:
    return Effects("evm:1", signings=(Signing("typed", None if contract is None else contract.lower(), what),))


def test_a_name_alone_makes_no_permit() -> None:
    """Another order of fields, another type, a witness: other bytes are signed, and somebody else reads them."""
    for field in ("uint256 deadlines", "uint48 deadline"):
        fields = [*ERC20_PERMIT["Permit"][:4], field]
        message = {name: value for name, value in ASKED.items() if name != "deadline"} | {field.split()[1]: 1}
        assert effects({"Permit": fields}, message, TOKEN) == signing("Permit", TOKEN)
    witnessed = {
        "PermitWitnessTransferFrom": [
            "TokenPermissions permitted", "address spender", "uint256 nonce", "uint256 deadline", "Order witness",
        ],
        "Order": ["address to"],
        **PERMITTED,
    }  # fmt: skip
    message = {
        "permitted": {"token": TOKEN, "amount": 5}, "spender": SPENDER, "nonce": 0, "deadline": 1,
        "witness": {"to": OWNER},
    }  # fmt: skip
    assert effects(witnessed, message) == signing("PermitWitnessTransferFrom", PERMIT2)


def test_a_permit_of_no_contract_is_a_signing() -> None:
    assert effects(ERC20_PERMIT, ASKED, None) == signing("Permit", None)
