"""Policy files: what goes in comes out, what is not exactly right is refused, and people's text has one meaning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from strongroom.chains.effects import Allowance, Call, Effects, Transfer
from strongroom.errors import Refusal
from strongroom.policy.decide import Circumstances, decide
from strongroom.policy.document import LEASE, Policy
from strongroom.policy.history import NO_HISTORY
from strongroom.policy.lists import Recipients
from strongroom.policy.terms import Bound, Hours, Tier
from strongroom_client import policies
from strongroom_client.documents import Document
from strongroom_client.policies import proving, reading, units
from tests.client.custody import RECIPIENT
from tests.policy.test_document import EVERYTHING

NOW = 1_800_000_000
COIN = "evm:1/native"
OTHER = "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc"
FILE: dict[str, Any] = {
    "requesters": ["22" * 32, "11" * 32],
    "chains": ["evm:31337", "evm:1"],
    "lists": {"banks": [{"address": RECIPIENT, "label": "Bank"}, {"address": OTHER, "label": "Other"}]},
    "approvers": [
        {
            "name": name,
            "kind": "person",
            "groups": ["treasury"],
            "key": {"algorithm": "ed25519", "public": byte * 32},
        }
        for name, byte in (("bo", "02"), ("ada", "01"))
    ],
    "rules": [
        {
            "name": "payments",
            "kind": "transfer",
            "assets": [COIN],
            "to": "banks",
            "most": "2 ether",
            "windows": [{"within": "24 hours", "amount": "5.5 ether", "each": "destination"}],
            "hours": [{"days": ["tue", "mon"], "from": "08:30", "to": "24:00", "offset": "-03:30"}],
            "cooldown": "1 day",
            "tiers": [{"above": "1 ether", "demands": ["2 of treasury"]}],
        },
        {
            "name": "calls",
            "kind": "call",
            "chains": ["evm:1"],
            "methods": [{"contract": RECIPIENT, "method": "0x12345678", "arguments": [{"argument": 1, "most": "5"}]}],
        },
        {"name": "messages", "kind": "message"},
    ],
    "fees": [{"asset": COIN, "most": "30 gwei", "permille": 5}],
}


def load(value: Any, tmp_path: Path) -> Policy:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(value))
    return policies.load(path, NOW)


def test_a_file_says_what_it_seems_to(tmp_path: Path) -> None:
    policy = load(FILE, tmp_path)
    assert policy.requesters == (b"\x11" * 32, b"\x22" * 32) and policy.chains == ("evm:1", "evm:31337")
    assert (policy.issued, policy.lease, policy.version, policy.frozen) == (NOW, LEASE, 1, False)
    payments, calls, messages = policy.rules
    assert (payments.most, payments.to, payments.cooldown) == (2 * 10**18, ("banks",), 86400)
    assert (payments.windows[0].amount, payments.windows[0].each) == (55 * 10**17, True)
    assert payments.hours == (Hours((0, 1), 510, 1440, -210),)
    assert payments.tiers == (Tier(10**18, (reading.demand("2 of treasury"),)),)
    assert calls.methods[0].arguments == (Bound(32, 32, most=5),) and calls.most == 0
    assert messages.kind == "message" and policy.fees[0].most == 30 * 10**9
    assert [entry.address for entry in policy.lists[0].entries] == sorted((RECIPIENT.lower(), OTHER))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    for policy in (EVERYTHING, load(FILE, tmp_path), Policy(NOW, ())):
        written = json.loads(json.dumps(policies.document(policy)))
        if not policy.requesters:
            written["requesters"] = []
        assert policies.read(Document(written, "policy"), 0, tmp_path) == policy


def test_a_long_list_is_read_from_its_own_file(tmp_path: Path) -> None:
    entries = FILE["lists"]["banks"]
    (tmp_path / "banks.json").write_text(json.dumps({"entries": entries}))
    kept = {**FILE, "lists": {"banks": {"file": "banks.json"}}}
    [listed] = load(kept, tmp_path).lists
    assert listed == Recipients.rooted("banks", load(FILE, tmp_path).lists[0].entries)


def _rule(**changes: Any) -> dict[str, Any]:
    return {**FILE, "rules": [{**FILE["rules"][0], **changes}]}


@pytest.mark.parametrize(
    "value",
    [
        [],
        {**FILE, "unknown": 1},
        {key: item for key, item in FILE.items() if key != "requesters"},
        {**FILE, "requesters": ["11" * 31]},
        {**FILE, "requesters": ["11" * 32, "11" * 32]},
        {**FILE, "frozen": "yes"},
        {**FILE, "lease": "a week"},
        {**FILE, "issued": "2026-11-25T08:00:00"},
        {**FILE, "lists": []},
        {**FILE, "lists": {"banks": [{"address": "0x70997970c51812DC3A010C7d01b50e0d17dc79C8", "label": "Bank"}]}},
        {**FILE, "lists": {"banks": [{"address": RECIPIENT, "label": "Bank"}, {"address": RECIPIENT, "label": "B"}]}},
        {**FILE, "lists": {"banks": [{"address": RECIPIENT}]}},
        {**FILE, "lists": {"banks": [{"address": RECIPIENT, "label": "B\u0430nk"}]}},
        _rule(most=10**18),
        _rule(most="1e18"),
        _rule(most="-1"),
        _rule(most="\uff11"),
        _rule(most="1 btc"),
        _rule(most="0.1"),
        _rule(most="0.0000000000000000001 ether"),
        _rule(assets=[COIN, "evm:31337/token:" + OTHER], most="1 ether"),
        _rule(kind="payment"),
        _rule(to=[3]),
        _rule(windows=[{"within": "24 hours", "amount": "1", "each": "recipient"}]),
        _rule(hours=[{"days": ["monday"], "from": "08:30", "to": "24:00"}]),
        _rule(hours=[{"days": ["mon"], "from": "8:30", "to": "24:00"}]),
        _rule(hours=[{"days": ["mon"], "from": "08:30", "to": "24:01"}]),
        _rule(tiers=[{"above": "1", "demands": ["2 treasury"]}]),
        _rule(tiers=[{"above": "1", "demands": ["3 of treasury"]}]),
        _rule(more=1),
        {**FILE, "approvers": [{**FILE["approvers"][0], "kind": "robot"}]},
        {**FILE, "approvers": [{**FILE["approvers"][0], "key": {"algorithm": "rsa", "public": "01" * 32}}]},
    ],
    ids=range(32),
)
def test_a_file_that_is_not_right(tmp_path: Path, value: Any) -> None:
    with pytest.raises(Refusal):
        load(value, tmp_path)


def test_addresses_are_checked_by_their_chain() -> None:
    bitcoin, solana = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "So11111111111111111111111111111111111111112"
    assert units.address(bitcoin.upper()) == bitcoin and units.address(solana) == solana
    for wrong in (bitcoin[:-1] + "q", solana[:-1], "0x12", "bank", 5):
        with pytest.raises(Refusal):
            units.address(wrong)


def test_durations_and_times() -> None:
    for text, seconds in (("7 days", 604800), ("1 hour", 3600), ("90 seconds", 90), ("2 weeks", 1209600)):
        assert units.duration(text) == seconds
        assert units.duration(units.duration_text(seconds)) == seconds
    assert units.moment("2027-01-15T08:00:00Z") == units.moment("2027-01-15T09:00:00+01:00") == NOW
    assert units.moment_text(NOW) == "2027-01-15T08:00:00Z"


def test_a_policy_that_no_order_has_room_for(tmp_path: Path) -> None:
    """By name, before officers sign it: not at the signers."""
    many = [
        {"address": f"0x{number:040x}", "label": "A label of some length, as people write them"}
        for number in range(4000)
    ]
    with pytest.raises(Refusal) as caught:
        load({**FILE, "lists": {"banks": many}}, tmp_path)
    assert caught.value.code == "bad_file" and "longest list" in caught.value.reason
    (tmp_path / "banks.json").write_text(json.dumps({"entries": many}))
    assert load({**FILE, "lists": {"banks": {"file": "banks.json"}}}, tmp_path).lists[0].size == 4000


# --- Proofs for long lists ---


def listed(tmp_path: Path, *entries: dict[str, Any]) -> str:
    (tmp_path / "banks.json").write_text(json.dumps({"entries": list(entries)}))
    return f"banks={tmp_path / 'banks.json'}"


def test_proofs_are_made_from_the_lists_own_file(tmp_path: Path) -> None:
    banks = FILE["lists"]["banks"]
    named = listed(tmp_path, *banks)
    policy = load({**FILE, "lists": {"banks": {"file": "banks.json"}}}, tmp_path)
    effects = Effects(
        "evm:1",
        (Transfer(COIN, OTHER, 1), Transfer(COIN, OTHER, 2), Transfer(COIN, "0x" + "99" * 20, 1)),
        (Allowance(COIN, RECIPIENT.lower(), 1),),
    )
    made = proving.proofs(proving.provers([named], policy), policy, effects)
    assert [proof.entry.address for proof in made] == [OTHER, RECIPIENT.lower()]
    assert all(policy.list("banks").find(proof.entry.address, made) == proof.entry for proof in made)


def test_whom_a_call_names_is_proven_where_a_rule_looks_for_a_list(tmp_path: Path) -> None:
    """The second argument is to be on the list; the first is not looked up, and another method's are not either."""
    named = listed(tmp_path, *FILE["lists"]["banks"])
    method = {"contract": RECIPIENT, "method": "0x12345678", "arguments": [{"argument": 1, "to": "banks"}]}
    value = {**FILE, "rules": [{"name": "calls", "kind": "call", "chains": ["evm:1"], "methods": [method]}]}
    policy = load({**value, "lists": {"banks": {"file": "banks.json"}}}, tmp_path)
    words = [bytes(12) + bytes.fromhex(address[2:]) for address in (RECIPIENT, OTHER)]
    call = Call(RECIPIENT.lower(), "0x12345678", b"".join(words))
    lists = proving.provers([named], policy)
    [proof] = proving.proofs(lists, policy, Effects("evm:1", calls=(call,)))
    assert proof.entry.address == OTHER
    now = Circumstances(NOW, renewed=NOW + 1, proofs=(proof,))
    effects = Effects("evm:1", calls=(call,), fee_asset=COIN)
    assert decide(policy, effects, now, NO_HISTORY).rules == ("calls",)
    for other in (Call(call.contract, "0x99999999", call.data), Call(OTHER, call.method, call.data)):
        assert proving.proofs(lists, policy, Effects("evm:1", calls=(other,))) == ()


def test_a_file_that_is_another_list_than_officers_signed(tmp_path: Path) -> None:
    """Else a requester would learn it from every signer, one proof after the other."""
    banks = FILE["lists"]["banks"]
    listed(tmp_path, *banks)
    policy = load({**FILE, "lists": {"banks": {"file": "banks.json"}}}, tmp_path)
    for named in (listed(tmp_path, banks[0]), "shops=x", f"banks={tmp_path / 'none.json'}", "banks"):
        with pytest.raises(Refusal) as caught:
            proving.provers([named], policy)
        assert caught.value.code == "bad_file"
    with pytest.raises(Refusal):
        proving.provers([listed(tmp_path, *banks)], load(FILE, tmp_path))
