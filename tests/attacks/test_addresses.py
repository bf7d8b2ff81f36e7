"""Addresses and names that are made to be mistaken: which are refused by whom, and where a person is told to stop.

a checksum that is wrong        typed data: every signer    a policy's file: whoever writes it
another spelling of an address  every signer, in what officers signed
letters that only look alike    not in a label at all; where ASCII's own look alike, officers are warned
a look-alike recipient          every signer, unless a rule is for anyone; approvers and officers are warned
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from strongroom.chains import evm
from strongroom.policy.check import findings
from strongroom.policy.document import Policy
from strongroom.policy.lists import Entry, Recipients
from strongroom.policy.rules import Rule
from strongroom.wallet.order import order_signing_bytes
from strongroom.wire import cbor
from strongroom_client import keyfiles, policies
from strongroom_client.approving import reading
from strongroom_client.approving.book import UNLISTED
from strongroom_host.storage.wallets import Wallet
from tests.attacks.custody import CHAIN_ID, CONTRACT, ED25519, RECIPIENT, TRANSACTION, Custody
from tests.attacks.hand import refused
from tests.attacks.test_policy import every_signer_refuses
from tests.chains.test_evm_calls import data
from tests.chains.test_evm_typed_data import MAIL

ALIKE = RECIPIENT[:3] + bytes(14) + RECIPIENT[-3:]
"""Begins and ends like the one recipient of these wallets' policy."""

LISTED = evm.text(RECIPIENT)


# --- Checksums and spellings ---


def mistyped(address: bytes) -> str:
    """One letter in the other case."""
    written = evm.checksum(address)
    place = next(at for at in range(2, 42) if written[at].isalpha())
    return written[:place] + written[place].swapcase() + written[place + 1 :]


def typed(contract: str) -> bytes:
    """EIP-712's own example, of this chain and that contract."""
    domain = {**MAIL["domain"], "chainId": CHAIN_ID, "verifyingContract": contract}
    return json.dumps({**MAIL, "domain": domain}).encode()


@pytest.mark.parametrize(
    ("contract", "code"),
    [
        (mistyped(CONTRACT), "malformed_transaction"),
        (evm.checksum(CONTRACT).upper().replace("0X", "0x"), "malformed_transaction"),
        ("0X" + CONTRACT.hex(), "malformed_transaction"),
        (evm.checksum(CONTRACT).replace("a", "\u0430"), "malformed_transaction"),
        (evm.checksum(CONTRACT)[:-1], "malformed_transaction"),
        (evm.checksum(CONTRACT), "policy_message"),
        (evm.text(CONTRACT), "policy_message"),
    ],
    ids=["mistyped", "upper case", "another prefix", "a Cyrillic letter", "cut short", "right", "lower case"],
)
def test_an_address_in_typed_data(custody: Custody, ecdsa: Wallet, contract: str, code: str) -> None:
    """No rule of this wallet's is about typed data, which is said of those that are read."""
    intent = custody.intent(ecdsa, kind="evm-typed-data", payload=typed(contract))
    every_signer_refuses(custody, ecdsa, code, intent.encode(), custody.approve(intent))


@pytest.mark.parametrize(
    "written",
    [
        mistyped(RECIPIENT),
        "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt081",
        "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygT080",
        "1" * 31 + "0",
    ],
    ids=["EIP-55", "bech32", "two cases", "base58"],
)
def test_an_address_in_a_policys_file(custody: Custody, tmp_path: Path, written: str) -> None:
    """Whoever writes a policy hears of it before anybody signs."""
    document = json.loads(custody.cluster.plan.policy.read_text())
    document["lists"]["accounts"].append({"address": written, "label": "Mistyped"})
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(document))
    with refused("malformed_transaction"):
        policies.load(file, int(time.time()))


def signed_anyway(custody: Custody, change: Callable[[dict[str, Any]], None]) -> bytes:
    """An order whose policy no tool of ours would write, signed by a quorum of the officers."""
    order: Any = cbor.decode(custody.order(ED25519).encode())
    change(order["policy"])
    raw = cbor.encode(order)
    message = order_signing_bytes(hashlib.sha256(b"strongroom/order/v1" + raw).digest())
    signatures = sorted((keyfiles.public(key), key.sign(message)) for key in custody.officer_keys[:2])
    return cbor.encode({"order": raw, "signatures": [list(each) for each in signatures]})


def entry(address: str = LISTED, label: str = "Exchange") -> Callable[[dict[str, Any]], None]:
    def change(policy: dict[str, Any]) -> None:
        policy["lists"][0]["entries"] = [[address, label, 0]]

    return change


FOOLING = {
    "an address with its checksum": entry(address=evm.checksum(RECIPIENT)),
    "an address in upper case": entry(address="0x" + RECIPIENT.hex().upper()),
    "an address with a zero of another script": entry(address=LISTED.replace("0", "\u0660", 2)),
    "an address with a space behind it": entry(address=LISTED + " "),
    "a Cyrillic letter": entry(label="Ex\u0441hange"),
    "a Greek letter": entry(label="\u0395xchange"),
    "a letter of twice the width": entry(label="\uff25xchange"),
    "a letter that combines": entry(label="E\u0301xchange"),
    "a space of no width": entry(label="Ex\u200bchange"),
    "text that turns around": entry(label="\u202eegnahcxE"),
    "a space that does not break": entry(label="Ex\u00a0change"),
    "a space in front": entry(label=" Exchange"),
    "a line feed": entry(label="Exchange\nApproved"),
    "nothing": entry(label=""),
}


@pytest.mark.parametrize("change", FOOLING.values(), ids=FOOLING)
def test_what_officers_were_fooled_to_sign(custody: Custody, change: Callable[[dict[str, Any]], None]) -> None:
    """Both programs refuse such an order, so that no approver ever reads such a label."""
    order = signed_anyway(custody, change)
    for name in ("enclave-1", "hsm-1"):
        with refused("malformed_policy", by=name):
            custody.ask(name, "order.accept", {"order": order})
    custody.ask("enclave-1", "order.accept", {"order": signed_anyway(custody, entry())})


# --- Names and addresses that are alike ---


@pytest.mark.parametrize(
    "label",
    ["exchange", "Exchange ", "Exchange  1", "Exchangel", "ExchangeI", "Exchange|", "Exchange-1", "Exchange.1"],
)
def test_labels_that_a_reader_takes_for_one(custody: Custody, label: str) -> None:
    """Officers are warned, whoever chose them: an approver goes by the name."""
    policy = custody.policy()
    first = "Exchange" if label.strip().lower() == "exchange" else "Exchange 1"
    entries = (Entry(evm.text(CONTRACT), label.strip()), Entry(LISTED, first))
    found = {each.what: each for each in findings(replace(policy, lists=(Recipients("known", entries),)), None)}
    assert found["same_label"].level == "warning"


def test_labels_that_nobody_takes_for_one(custody: Custody) -> None:
    entries = (Entry(evm.text(CONTRACT), "Exchange 1"), Entry(LISTED, "Exchange 2"))
    policy = replace(custody.policy(), lists=(Recipients("known", entries),))
    assert "same_label" not in {each.what for each in findings(policy, None)}


BITCOIN = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"


@pytest.mark.parametrize(
    ("first", "second", "alike"),
    [
        (LISTED, evm.text(ALIKE), True),
        (LISTED, evm.text(bytes(3) + RECIPIENT[3:]), False),
        (BITCOIN, "bcrt1qw508" + "q" * 30 + "t080", True),
        (BITCOIN, "bcrt1qqqqq" + "q" * 30 + "t080", False),
    ],
)
def test_two_listed_addresses_that_begin_and_end_alike(custody: Custody, first: str, second: str, alike: bool) -> None:
    entries = tuple(sorted((Entry(first, "One"), Entry(second, "Other"))))
    policy = replace(custody.policy(), lists=(Recipients("known", entries),))
    assert ("lookalike" in {each.what for each in findings(policy, None)}) == alike


POISON = {
    "a zero of coins": {"to": ALIKE, "value": 0},
    "coins": {"to": ALIKE},
    "a zero of tokens": {"to": CONTRACT, "value": 0, "data": data("transfer(address,uint256)", ALIKE, 0)},
    "a zero out of somebody's tokens": {
        "to": CONTRACT,
        "value": 0,
        "data": data("transferFrom(address,address,uint256)", RECIPIENT, ALIKE, 0),
    },
}
CODES = ("policy_recipient", "policy_recipient", "policy_asset", "policy_asset")


@pytest.mark.parametrize(("changed", "code"), list(zip(POISON.values(), CODES, strict=True)), ids=POISON)
def test_a_payment_to_a_look_alike(custody: Custody, ecdsa: Wallet, changed: dict[str, Any], code: str) -> None:
    """Even of nothing: it would stand in the wallet's history as an address that was paid before."""
    intent = custody.intent(ecdsa, payload=replace(TRANSACTION, **changed).encode())
    every_signer_refuses(custody, ecdsa, code, intent.encode(), custody.approve(intent))


def read(custody: Custody, wallet: Wallet, policy: Policy, changed: dict[str, Any]) -> reading.Line:
    """What an approver reads of it, under a policy that would let anybody be paid."""
    payload = replace(TRANSACTION, **changed).encode()
    intent = custody.intent(wallet, payload=payload, policy=policy.digest())
    [line] = reading.read(
        intent.request, intent.encode(), custody.approve(intent), wallet.body, [policy], [], int(time.time())
    ).lines
    return line


@pytest.mark.parametrize("changed", POISON.values(), ids=POISON)
def test_a_look_alike_where_anybody_may_be_paid(custody: Custody, ecdsa: Wallet, changed: dict[str, Any]) -> None:
    """The rule refuses nothing, so the approver is told: on no list, like one that is, and that nothing moves."""
    policy = ecdsa.signed_order.order.policy
    chain = f"evm:{CHAIN_ID}"
    assets = (f"{chain}/native", f"{chain}/token:{evm.text(CONTRACT)}")
    rules = (
        Rule("anybody", "transfer", assets=assets, to=None, most=None),
        Rule("collect", "collect", assets=assets[1:], to=None, most=None),
    )
    line = read(custody, ecdsa, replace(policy, rules=(*rules, *policy.rules[1:])), changed)
    label = policy.lists[0].entries[0].label
    assert line.to == evm.checksum(ALIKE) and line.known is None
    assert line.warnings[:2] == (
        UNLISTED,
        f"It begins and ends like {label} of list known, and is another address.",
    )
    nothing = any("a transfer of zero is often made to plant an address" in each for each in line.warnings)
    assert nothing == (line.exact.split()[0] == "0" or line.amount.startswith("0 "))
