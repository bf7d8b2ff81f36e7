"""What an officer is told before signing: each finding on the policy that deserves it, and not on one that does not."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from strongroom.approval import Approver, Demand, Key
from strongroom.policy.check import findings
from strongroom.policy.document import Fee, Policy
from strongroom.policy.explain import sentences
from strongroom.policy.lists import Entry, Recipients
from strongroom.policy.rules import Rule
from strongroom.policy.terms import Domain, Hours, Method, Source, Tier, Window
from strongroom.signer.configuration import Officers
from tests.policy.test_document import EVERYTHING
from tests.wallet.orders import OFFICER_KEYS

COIN, TOKEN = "evm:1/native", "evm:1/token:0x" + "aa" * 20
A, B = "0x" + "11" * 20, "0x" + "22" * 20
KEYS = tuple(OFFICER_KEYS)
OFFICERS = Officers(KEYS, 2)
PEOPLE = tuple(
    Approver(name, "person", ("treasury",), 1, Key("ed25519", bytes((number,)) * 32))
    for number, name in enumerate(("ada", "bo", "cy"), 1)
)
TWO = Demand((("treasury", 2),))
PAY = Rule(
    "pay", "transfer", assets=(COIN,), to=("banks",), most=5, windows=(Window(60, amount=9, count=9),),
    tiers=(Tier(2, (TWO,)),),
)  # fmt: skip
ALIKE = A[:6] + "99" * 16 + A[-4:]
TWICE = Recipients("more", (Entry(A, "B"),))
SOUND = Policy(
    issued=1_800_000_000,
    requesters=(bytes(32), b"\1" * 32),
    chains=("evm:1",),
    rules=(PAY,),
    lists=(Recipients("banks", (Entry(A, "Bank"), Entry(B, "Other bank"))),),
    fees=(Fee(COIN, 10),),
    approvers=PEOPLE,
    timelock=3600,
)


def found(policy: Policy = SOUND, officers: Officers | None = OFFICERS) -> dict[str, str]:
    return {each.what: each.level for each in findings(policy, officers)}


def ruled(*rules: Rule, **changes: Any) -> Policy:
    return dataclasses.replace(SOUND, rules=rules, **changes)


def pay(**changes: Any) -> Rule:
    return dataclasses.replace(PAY, **changes)


def test_a_sound_policy_has_its_way_out_and_nothing_else() -> None:
    assert found() == {"way_out": "note"}
    [finding] = findings(SOUND, OFFICERS)
    assert "one way out" in finding.text and "2027-01-22 08:00:00 UTC" in finding.text


ART = Rule("art", "transfer", assets=(TOKEN + "/*",), to=None, most=1)
CALLS = Rule("calls", "call", chains=("evm:1",), methods=(Method(A, "0x01"), Method(B, "0x01")))
TYPED = Rule("typed", "typed", chains=("evm:1",), domains=(Domain(A, None),))


@pytest.mark.parametrize(
    ("first", "later"),
    [
        (PAY, pay(name="again", most=9)),
        (pay(to=None), pay(name="again")),
        (pay(assets=(COIN, TOKEN)), pay(name="again")),
        (ART, dataclasses.replace(ART, name="one", assets=(TOKEN + "/7",))),
        (CALLS, dataclasses.replace(CALLS, name="one", methods=CALLS.methods[:1])),
        (TYPED, dataclasses.replace(TYPED, name="one", domains=(Domain(A, "Order"),))),
        (Rule("text", "text", chains=("evm:1",)), Rule("more", "text", chains=("evm:1",))),
        (Rule("message", "message"), Rule("more", "message")),
    ],
    ids=range(8),
)
def test_a_rule_behind_one_that_covers_it_never_matches(first: Rule, later: Rule) -> None:
    assert found(ruled(first, later))["never_matches"] == "error"
    texts = [each.text for each in findings(ruled(first, later), OFFICERS) if each.what == "never_matches"]
    assert texts == [f"rule {later.name} can never match: rule {first.name} before it covers all that it covers"]


@pytest.mark.parametrize(
    ("first", "later"),
    [
        (PAY, pay(name="wider", to=None)),
        (PAY, pay(name="more", assets=(COIN, TOKEN))),
        (pay(name="collect", kind="collect"), PAY),
        (dataclasses.replace(ART, assets=(TOKEN + "/7",)), dataclasses.replace(ART, name="all")),
        (dataclasses.replace(CALLS, methods=CALLS.methods[:1]), dataclasses.replace(CALLS, name="both")),
        (dataclasses.replace(TYPED, domains=(Domain(A, "Order"),)), dataclasses.replace(TYPED, name="any")),
    ],
    ids=range(6),
)
def test_a_rule_behind_a_narrower_one_may_match(first: Rule, later: Rule) -> None:
    assert "never_matches" not in found(ruled(first, later))


def test_a_rule_whose_recipients_are_all_denied_never_matches() -> None:
    bad = Recipients("bad", (Entry(A, "Bank"), Entry(B, "Other bank")))
    assert found(dataclasses.replace(SOUND, lists=(bad, *SOUND.lists), deny=("bad",)))["never_matches"] == "error"
    some = Recipients("bad", (Entry(A, "Bank"),))
    assert "never_matches" not in found(dataclasses.replace(SOUND, lists=(some, *SOUND.lists), deny=("bad",)))
    assert found(dataclasses.replace(SOUND, lists=(Recipients("banks"),)))["never_matches"] == "error"


@pytest.mark.parametrize(
    ("policy", "what", "level"),
    [
        (ruled(pay(windows=())), "no_window", "warning"),
        (ruled(pay(windows=(Window(60, count=1),))), "no_window", "warning"),
        (ruled(pay(windows=(Window(60, amount=1, each=True),))), "no_window", "warning"),
        (ruled(pay(most=None, windows=())), "no_window", "warning"),
        (ruled(pay(to=None)), "anyone", "warning"),
        (ruled(pay(windows=(Window(60, amount=9),))), "no_count", "note"),
        (ruled(pay(source=Source((), ("CH",)))), "source_is_advice", "note"),
        (ruled(pay(most=0, tiers=())), "nothing_but_zero", "warning"),
        (ruled(pay(tiers=(Tier(5, (TWO,)),))), "tier_unreached", "warning"),
        (ruled(pay(windows=(Window(60, amount=0, count=1),))), "never_allows", "error"),
        (ruled(PAY, fees=()), "no_fee", "error"),
        (ruled(PAY, requesters=()), "no_requester", "error"),
        (ruled(PAY, requesters=(bytes(32),)), "one_requester", "note"),
        (ruled(PAY, expires=SOUND.issued + 60), "expires_early", "note"),
        (ruled(PAY, timelock=0), "no_timelock", "warning"),
        (ruled(PAY, approvers=PEOPLE[:2]), "one_approver", "warning"),
        (ruled(PAY, freezers=3), "freezers", "note"),
        (ruled(PAY, lists=(Recipients("banks", (Entry(A, "Bank"), Entry(B, "bank"))),)), "same_label", "warning"),
        (ruled(PAY, lists=(Recipients("banks", (Entry(A, "A"),)), TWICE)), "two_labels", "note"),
        (ruled(PAY, lists=(*SOUND.lists, Recipients("more"))), "unused_list", "note"),
        (ruled(PAY, lists=(Recipients("banks", (Entry(A, "Bank"), Entry(ALIKE, "Other"))),)), "lookalike", "warning"),
        (ruled(Rule("message", "message", windows=(Window(60, count=1),))), "no_way_out", "warning"),
    ],
    ids=range(22),
)  # fmt: skip
def test_each_finding(policy: Policy, what: str, level: str) -> None:
    assert found(policy)[what] == level


def test_the_wallets_own_window_bounds_a_rule() -> None:
    bounded = ruled(pay(windows=()), windows=(Window(60, amount=1, asset=COIN), Window(60, count=1)))
    assert found(bounded) == {"way_out": "note"}


def test_whoever_asks_cannot_approve() -> None:
    """Ada and Bo must both approve what either asks for: nobody can."""
    people = tuple(
        dataclasses.replace(each, requests_as=(bytes((9, number)) * 16,)) for number, each in enumerate(PEOPLE)
    )
    policy = ruled(PAY, approvers=people[:2], requesters=(people[0].requests_as[0], b"\x20" * 32))
    assert found(policy)["own_request"] == "error"
    assert "own_request" not in found(dataclasses.replace(policy, approvers=people))
    tolerant = pay(tiers=(Tier(2, (dataclasses.replace(TWO, requester=True),)),))
    assert "own_request" not in found(dataclasses.replace(policy, rules=(tolerant,)))


def test_one_officer_too_few() -> None:
    assert found(SOUND, Officers(KEYS, 3))["one_officer"] == "warning"
    assert found(SOUND, Officers(KEYS, 1))["lone_officer"] == "warning"
    assert found(SOUND, None)["officers_unknown"] == "note"


# --- In sentences ---


def test_a_policy_in_plain_sentences() -> None:
    text = sentences(ruled(pay(hours=(Hours((0, 4), 510, 1080, -210),), cooldown=86400)))
    assert text == (
        "Version 1, issued 2027-01-15 08:00:00 UTC.",
        "It is in force for 7 days, until 2027-01-22 08:00:00 UTC, unless officers renew it.",
        "A change takes effect 1 hour after a signer first saw it; one officer can freeze the wallet at once.",
        "2 keys may ask for signatures.",
        "ada, a person, approves for treasury.",
        "bo, a person, approves for treasury.",
        "cy, a person, approves for treasury.",
        "Chains: evm:1.",
        f"List banks: Bank ({A}), Other bank ({B}).",
        "Rule 1, pay: pays evm:1/native to banks; at most 0.000000000000000005 ether (5 wei) in a transaction; "
        "at most 0.000000000000000009 ether (9 wei) and 9 payments in any 1 minute; "
        "only mon and fri from 08:30 to 18:00 (UTC-03:30); only to whom the list has known for 1 day; "
        "above 0.000000000000000002 ether (2 wei), 2 of treasury must approve.",
        "A fee on evm:1 is at most 0.00000000000000001 ether (10 wei).",
        "Whatever no rule covers is refused.",
    )


def test_every_term_has_a_sentence() -> None:
    text = "\n".join(sentences(EVERYTHING))
    for words in (
        "Nothing may go to list banks",
        "9 addresses, by the root",
        "moves what others hold of",
        "any amount",
        "lets banks take",
        "the host's word and no more than advice",
        "0x12345678 of " + A + " where bytes 0 to 32 is from 1 to 2",
        "bytes 32 to 64 is on banks",
        "signs texts of evm:1",
        "signs typed data: Order for " + A + " and anything for no contract",
        "Strongroom's own messages",
        "always, nobody needs to approve",
        "to each destination in any 1 hour",
        "5 thousandths",
        "2 officers can freeze",
    ):
        assert words in text, words
