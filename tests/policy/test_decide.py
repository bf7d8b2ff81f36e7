"""The judgement: what a policy allows to the last unit, and that it denies all else."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from strongroom.approval import Approver, Demand, Key
from strongroom.chains.effects import Allowance, Call, Effects, Signing, Transfer
from strongroom.chains.evm import Transaction
from strongroom.errors import Refusal
from strongroom.policy.decide import MAX_AHEAD, Circumstances, Decision, decide
from strongroom.policy.document import Fee, Policy
from strongroom.policy.history import NO_HISTORY, History, Spend
from strongroom.policy.lists import Entry, Proof, Prover, Recipients
from strongroom.policy.rules import Rule
from strongroom.policy.terms import Bound, Domain, Hours, Method, Source, Tier, Window
from tests.policy.spending import Past
from tests.wallet.orders import CONTRACT, ETHER, POLICY, RECIPIENT, SELECTOR
from tests.wire.refused import refused

NOW = POLICY.issued + 1000
COIN, TOKEN, ITEMS = "evm:1/native", "evm:1/token:0x" + "aa" * 20, "evm:1/token:0x" + "bb" * 20
A, B, STRANGER = "0x" + "11" * 20, "0x" + "22" * 20, "0x" + "99" * 20
KNOWN = Recipients("known", (Entry(A, "Ada", NOW - 100), Entry(B, "Bo", NOW - 10)))
PAY = Rule("pay", "transfer", assets=(COIN,), to=("known",), most=100)
FEE = Fee(COIN, 10)


def policy(*rules: Rule, **changes: Any) -> Policy:
    fields: dict[str, Any] = {
        "issued": NOW,
        "requesters": (),
        "chains": ("evm:1",),
        "rules": rules,
        "lists": (KNOWN,),
        "fees": (FEE,),
    }
    return Policy(**{**fields, **changes})


def judged(
    made: Policy, *effects: Transfer | Allowance | Call | Signing, history: History = NO_HISTORY, **changes: Any
) -> Decision:
    """changes: of the effects (fee_ceiling, chain) or of the circumstances."""
    whole: dict[str, Any] = {"chain": "evm:1", "fee_asset": COIN, "fee_ceiling": 1}
    circumstances: dict[str, Any] = {"now": NOW}
    for key, value in changes.items():
        (whole if key in whole else circumstances)[key] = value
    for name, kind in (("transfers", Transfer), ("allowances", Allowance), ("calls", Call), ("signings", Signing)):
        whole[name] = tuple(each for each in effects if isinstance(each, kind))
    return decide(made, Effects(**whole), Circumstances(**circumstances), history)


def pay(amount: int, to: str = A, asset: str = COIN) -> Transfer:
    return Transfer(asset, to, amount)


# --- Ethereum transactions under the policy of the other tests ---

GAS, GAS_FEE = 100_000, ETHER // 100 // 100_000
TRANSFER = Transaction(31337, 0, 0, GAS_FEE, GAS, RECIPIENT, ETHER)
CALL = dataclasses.replace(TRANSFER, to=CONTRACT, data=SELECTOR + bytes(64))
FOREIGN = b"\x99" * 20


def judge_transaction(transaction: Transaction) -> Decision:
    return decide(POLICY, transaction.effects(), Circumstances(NOW), NO_HISTORY)


@pytest.mark.parametrize(
    "transaction",
    [
        TRANSFER,
        CALL,
        dataclasses.replace(TRANSFER, value=0, chain_id=1, to=bytes(20)),
        dataclasses.replace(TRANSFER, kind=0, max_priority_fee=GAS_FEE),
        dataclasses.replace(TRANSFER, kind=1, max_priority_fee=GAS_FEE, access=((CONTRACT, ()),)),
    ],
    ids=range(5),
)
def test_what_is_allowed_is_allowed_up_to_the_limits(transaction: Transaction) -> None:
    assert transaction.fee_ceiling == ETHER // 100
    [spend] = judge_transaction(transaction).spends
    assert spend.amount == transaction.value and spend.asset == f"evm:{transaction.chain_id}/native"


@pytest.mark.parametrize("honest", [TRANSFER, CALL], ids=["transfer", "call"])
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"chain_id": 2}, "policy_chain"),
        ({"value": ETHER + 1}, "policy_limit"),
        ({"gas_limit": GAS + 1}, "policy_fee"),
        ({"max_fee": GAS_FEE + 1}, "policy_fee"),
        ({"max_fee": 2**256 - 1, "gas_limit": 2**64 - 1}, "policy_fee"),
        # The chain is judged first: amounts of another chain mean nothing here.
        ({"chain_id": 2, "value": 2 * ETHER, "to": FOREIGN}, "policy_chain"),
    ],
)
def test_one_over_is_refused(honest: Transaction, changes: dict[str, Any], code: str) -> None:
    refused(code, judge_transaction, dataclasses.replace(honest, **changes))


def test_only_allowed_recipients_contracts_and_methods() -> None:
    """An allowed recipient may not be called, an allowed contract not be paid, and one's method is not another's."""
    for to in (FOREIGN, CONTRACT, RECIPIENT[:-1] + b"\0"):
        refused("policy_recipient", judge_transaction, dataclasses.replace(TRANSFER, to=to))
    for to, selector in ((RECIPIENT, SELECTOR), (CONTRACT, bytes(4)), (FOREIGN, SELECTOR)):
        call = dataclasses.replace(CALL, to=to, data=selector)
        assert to.hex() in refused("policy_call", judge_transaction, call).reason


# --- In force ---


def test_a_policy_that_is_not_in_force_allows_nothing() -> None:
    made = policy(PAY, expires=NOW + 5000, lease=1000)
    judged(made, pay(1), now=NOW + 999)
    refused("policy_lease", judged, made, pay(1), now=NOW + 1000)
    judged(made, pay(1), now=NOW + 1000, renewed=NOW + 1001)
    refused("policy_lease", judged, made, pay(1), now=NOW + 1001, renewed=NOW + 1001)
    refused("policy_expired", judged, made, pay(1), now=NOW + 5000, renewed=NOW + 9000)
    refused("policy_frozen", judged, made, pay(1), frozen=True)
    refused("policy_frozen", judged, dataclasses.replace(made, frozen=True), pay(1))


def test_a_lease_cannot_begin_on_a_later_day() -> None:
    judged(policy(PAY), pay(1), now=NOW - MAX_AHEAD)
    refused("policy_lease", judged, policy(PAY), pay(1), now=NOW - MAX_AHEAD - 1)


# --- Rules ---

EFFECTS: list[tuple[Transfer | Allowance | Call | Signing, str]] = [
    (pay(1, asset=TOKEN), "policy_asset"),
    (Transfer(COIN, A, 1, B), "policy_asset"),
    (Allowance(COIN, A, 1), "policy_asset"),
    (Call(A, "0x12345678", b""), "policy_call"),
    (Signing("text", None, "hi"), "policy_message"),
    (Signing("typed", A, "Order"), "policy_message"),
]


@pytest.mark.parametrize(("effect", "code"), EFFECTS, ids=range(len(EFFECTS)))
def test_nothing_is_allowed_that_no_rule_covers(effect: Transfer | Allowance | Call | Signing, code: str) -> None:
    """A rule of another kind, or about another asset, covers nothing; and one effect that is not allowed is enough."""
    refused(code, judged, policy(), effect)
    refused(code, judged, policy(PAY), effect)
    refused(code, judged, policy(PAY), pay(1), effect)


def test_what_does_nothing_is_not_signed() -> None:
    refused("policy_rule", judged, policy(PAY))


def test_a_refusal_names_the_rule_and_what_would_pass() -> None:
    reason = refused("policy_limit", judged, policy(PAY), pay(101)).reason
    assert "pay" in reason and "100 per transaction" in reason
    reason = refused("policy_recipient", judged, policy(PAY), pay(1, STRANGER)).reason
    assert STRANGER in reason and "pay" in reason


def test_the_first_rule_that_covers_an_effect_decides() -> None:
    wide = Rule("wide", "transfer", assets=(COIN,), to=None, most=5)
    assert judged(policy(PAY, wide), pay(100)).rules == ("pay",)
    assert judged(policy(PAY, wide), pay(5, STRANGER)).rules == ("wide",)
    refused("policy_limit", judged, policy(PAY, wide), pay(6, STRANGER))
    refused("policy_limit", judged, policy(wide, PAY), pay(6))
    assert judged(policy(PAY, wide), pay(5, STRANGER), pay(100)).rules == ("wide", "pay")


def test_amounts_add_up_over_a_transaction() -> None:
    """Else a batch would be a way past the limit."""
    assert judged(policy(PAY), pay(50), pay(50, B)).spends == (Spend("pay", COIN, A, 50), Spend("pay", COIN, B, 50))
    refused("policy_limit", judged, policy(PAY), pay(50), pay(51, B))
    both = dataclasses.replace(PAY, assets=(COIN, TOKEN))
    judged(policy(both), pay(100), pay(100, asset=TOKEN))
    refused("policy_limit", judged, policy(both), pay(100), pay(60, asset=TOKEN), pay(41, B, TOKEN))


def test_a_rule_may_cover_every_item_of_a_contract_and_no_other() -> None:
    made = policy(Rule("art", "transfer", assets=(ITEMS + "/*",), to=("known",), most=1))
    judged(made, pay(1, asset=ITEMS + "/7"), pay(1, asset=ITEMS + "/8"))
    for asset in (ITEMS, TOKEN + "/7", ITEMS[:-1] + "c/7"):
        refused("policy_asset", judged, made, pay(1, asset=asset))


def test_what_others_hold_is_moved_by_a_rule_of_its_own() -> None:
    made = policy(PAY, Rule("take", "collect", assets=(TOKEN,), to=("known",), most=5))
    assert judged(made, Transfer(TOKEN, A, 5, STRANGER)).rules == ("take",)
    refused("policy_limit", judged, made, Transfer(TOKEN, A, 6, STRANGER))
    refused("policy_recipient", judged, made, Transfer(TOKEN, STRANGER, 5, STRANGER))
    refused("policy_asset", judged, made, pay(1, asset=TOKEN))


def test_allowances_have_a_cap_and_a_spender() -> None:
    made = policy(Rule("dex", "allowance", assets=(TOKEN,), to=("known",), most=5))
    judged(made, Allowance(TOKEN, A, 5))
    judged(made, Allowance(TOKEN, A, 0))
    refused("policy_limit", judged, made, Allowance(TOKEN, A, 6))
    refused("policy_limit", judged, made, Allowance(TOKEN, A, None))
    refused("policy_allowance", judged, made, Allowance(TOKEN, STRANGER, 1))
    free = policy(Rule("dex", "allowance", assets=(TOKEN,), to=("known",), most=None))
    assert judged(free, Allowance(TOKEN, A, None)).spends == (Spend("dex", TOKEN, A, 0),)


def test_more_on_top_of_an_allowance_is_capped_only_where_it_is_counted() -> None:
    """What the spender could take already is not in the transaction: capped by transaction, it would grow for ever."""
    dex = Rule("dex", "allowance", assets=(TOKEN,), to=("known",), most=5)
    refused("policy_limit", judged, policy(dex), Allowance(TOKEN, A, 5, added=True))
    counted = policy(dataclasses.replace(dex, windows=(Window(60, amount=9),)))
    judged(counted, Allowance(TOKEN, A, 5, added=True))


def test_a_denied_address_is_denied_whatever_a_rule_says() -> None:
    bad = Recipients("bad", (Entry(STRANGER, "Thief"),))
    rules = (
        Rule("any", "transfer", assets=(COIN,), to=None, most=None),
        Rule("lend", "allowance", assets=(COIN,), to=None, most=None),
        Rule("call", "call", chains=("evm:1",), methods=(Method(STRANGER, "0x12345678"), Method(A, "0x12345678"))),
        Rule("typed", "typed", chains=("evm:1",), domains=(Domain(STRANGER, None),)),
    )
    made = policy(*rules, lists=(bad, KNOWN), deny=("bad",))
    judged(made, pay(1), pay(1, "0x" + "77" * 20))
    for effect in (
        pay(0, STRANGER),
        Allowance(COIN, STRANGER, 1),
        Call(STRANGER, "0x12345678", b""),
        Call(A, "0x12345678", b"", accounts=(A, STRANGER)),
        Signing("typed", STRANGER, "Order"),
    ):
        assert "Thief" in refused("policy_denied", judged, made, pay(1), effect).reason


def test_typed_data_is_for_a_domain_and_a_type() -> None:
    made = policy(Rule("orders", "typed", chains=("evm:1",), domains=(Domain(A, "Order"), Domain(None, None))))
    judged(made, Signing("typed", A, "Order"))
    judged(made, Signing("typed", None, "Anything"))
    for signing in (Signing("typed", A, "Cancel"), Signing("typed", B, "Order"), Signing("text", None, "Order")):
        refused("policy_message", judged, made, signing)


def test_texts_of_a_chain_and_of_strongroom_are_not_the_same() -> None:
    """What no chain reads cannot be turned into what one does by leaving the chain out."""
    text, message = Rule("text", "text", chains=("evm:1",)), Rule("message", "message")
    hello = Signing("text", None, "hello")
    assert judged(policy(text), hello).spends == (Spend("text", "", "", 0),)
    refused("policy_message", judged, policy(message), hello)
    judged(policy(message), hello, chain="", fee_asset="")
    refused("policy_message", judged, policy(text), hello, chain="", fee_asset="")


# --- Cancels ---


def test_a_replacement_that_moves_nothing_needs_no_rule() -> None:
    """A stuck payment is cancelled by paying oneself nothing; that is on no list."""
    made = policy(PAY)
    refused("policy_recipient", judged, made, pay(0, STRANGER))
    assert judged(made, pay(0, STRANGER), replaces=True) == Decision((), (), ())
    assert judged(made, replaces=True) == Decision((), (), ())
    for effects in (
        (pay(1, STRANGER),),
        (pay(0, STRANGER, TOKEN),),
        (Transfer(COIN, STRANGER, 0, B),),
        (pay(0, STRANGER), Call(A, "0x12345678", b"")),
        (Allowance(COIN, A, 0),),
        (Signing("text", None, "x"),),
    ):
        with pytest.raises(Refusal):
            judged(made, *effects, replaces=True)


def test_a_cancel_keeps_to_everything_else() -> None:
    made = policy(PAY, lists=(KNOWN, Recipients("thieves", (Entry(STRANGER, "Thief"),))), deny=("thieves",))
    refused("policy_fee", judged, made, pay(0, B), replaces=True, fee_ceiling=11)
    refused("policy_denied", judged, made, pay(0, STRANGER), replaces=True)
    refused("policy_frozen", judged, made, pay(0, B), replaces=True, frozen=True)
    refused("policy_chain", judged, made, pay(0, B), replaces=True, chain="evm:2")


# --- Calls ---

METHOD = "0x12345678"


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def calling(*bounds: Bound, **changes: Any) -> Policy:
    return policy(Rule("call", "call", chains=("evm:1",), methods=(Method(A, METHOD, bounds),), **changes))


def test_arguments_are_bounded() -> None:
    made = calling(Bound(0, 32, 2, 5), Bound(32, 32, to=("known",)))
    bo = word(int(B, 16))
    for number in (2, 5):
        judged(made, Call(A, METHOD, word(number) + bo))
        judged(made, Call(A, METHOD, word(number) + bo + b"more"))
    for data in (
        word(1) + bo,
        word(6) + bo,
        word(2) + word(int(STRANGER, 16)),
        word(2) + word(int(B, 16) + (1 << 160)),
        word(2) + bo[:-1],
        word(2)[:-1],
        b"",
    ):
        assert "call" in refused("policy_argument", judged, made, Call(A, METHOD, data)).reason


def test_a_method_may_have_several_sets_of_bounds() -> None:
    methods = (Method(A, METHOD, (Bound(0, 32, most=1),)), Method(A, METHOD, (Bound(0, 32, 7, 7),)))
    made = policy(Rule("call", "call", chains=("evm:1",), methods=methods))
    for number in (0, 1, 7):
        judged(made, Call(A, METHOD, word(number)))
    refused("policy_argument", judged, made, Call(A, METHOD, word(2)))


def test_accounts_and_little_endian_numbers() -> None:
    keys = ("So11111111111111111111111111111111111111112", "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
    program, method = keys[1], "0x02"
    bounds = (Bound(0, 8, most=5, little=True), Bound(1, 0, to=("keys",)))
    rule = Rule("call", "call", chains=("solana:mainnet",), methods=(Method(program, method, bounds),))
    listed = Recipients("keys", (Entry(keys[0], "Wrapped"),))
    made = policy(rule, lists=(listed,), chains=("solana:mainnet",), fees=())
    call = Call(program, method, (5).to_bytes(8, "little"), accounts=(program, keys[0]))
    judged(made, call, chain="solana:mainnet", fee_asset="")
    for wrong in (
        dataclasses.replace(call, data=(6).to_bytes(8, "little")),
        dataclasses.replace(call, accounts=(keys[0], program)),
        dataclasses.replace(call, accounts=(program,)),
    ):
        refused("policy_argument", judged, made, wrong, chain="solana:mainnet", fee_asset="")


def test_ether_with_a_call_counts_under_its_limit() -> None:
    made = calling(most=5, windows=(Window(60, amount=7, asset=COIN),))
    judged(made, Call(A, METHOD, b"", 5))
    refused("policy_limit", judged, made, Call(A, METHOD, b"", 3), Call(A, METHOD, b"", 3))
    refused("policy_limit", judged, calling(), Call(A, METHOD, b"", 1))


# --- Fees ---


def test_fees_have_a_ceiling_and_a_share() -> None:
    judged(policy(PAY), pay(1), fee_ceiling=10)
    refused("policy_fee", judged, policy(PAY), pay(1), fee_ceiling=11)
    refused("policy_fee", judged, policy(PAY, fees=()), pay(1), fee_ceiling=0)
    refused("policy_fee", judged, policy(PAY, fees=(Fee(TOKEN, 10),)), pay(1), fee_ceiling=0)
    shared = policy(dataclasses.replace(PAY, most=10_000), fees=(Fee(COIN, 10, 5),))
    judged(shared, pay(1000), fee_ceiling=5)
    refused("policy_fee", judged, shared, pay(999), fee_ceiling=5)
    refused("policy_fee", judged, shared, pay(1000), fee_ceiling=6)


def test_a_share_says_nothing_of_what_moves_no_coin() -> None:
    made = policy(dataclasses.replace(PAY, assets=(TOKEN,)), fees=(Fee(COIN, 10, 1),))
    judged(made, pay(1, asset=TOKEN), fee_ceiling=10)


# --- Time, place, novelty ---


def test_a_rule_keeps_its_hours() -> None:
    """2027-01-15 is a Friday; 1800000000 is 08:00:00 UTC that day."""
    at = 1_800_000_000
    office = policy(dataclasses.replace(PAY, hours=(Hours((4,), 8 * 60, 17 * 60),)), issued=at)
    for now in (at, at + 9 * 3600 - 1):
        judged(office, pay(1), now=now)
    for now in (at - 1, at + 9 * 3600, at + 86400):
        assert "pay" in refused("policy_hours", judged, office, pay(1), now=now).reason
    # The same hours an hour east begin an hour earlier.
    east = policy(dataclasses.replace(PAY, hours=(Hours((4,), 8 * 60, 17 * 60, 60),)), issued=at)
    judged(east, pay(1), now=at - 3600)
    refused("policy_hours", judged, east, pay(1), now=at + 8 * 3600)


def test_the_local_day_counts() -> None:
    at = 1_800_000_000 - 8 * 3600
    made = policy(dataclasses.replace(PAY, hours=(Hours((4,), 0, 1440, 120),)), issued=at)
    judged(made, pay(1), now=at - 7200)
    refused("policy_hours", judged, made, pay(1), now=at - 7201)
    refused("policy_hours", judged, made, pay(1), now=at + 22 * 3600)


def test_a_new_recipient_cools_down() -> None:
    made = policy(dataclasses.replace(PAY, cooldown=100))
    judged(made, pay(1))
    reason = refused("policy_cooldown", judged, made, pay(1, B)).reason
    assert "90 seconds" in reason
    refused("policy_cooldown", judged, made, pay(1), pay(1, B))
    judged(made, pay(1, B), now=NOW + 90)


def test_on_two_lists_the_longer_known_counts() -> None:
    lists = (KNOWN, Recipients("old", (Entry(B, "Bo"),)))
    made = policy(dataclasses.replace(PAY, cooldown=100, to=("known", "old")), lists=lists)
    judged(made, pay(1, B))


def test_where_a_request_comes_from_is_what_the_host_says() -> None:
    made = policy(dataclasses.replace(PAY, source=Source(("10.0.0.0/8", "2001:db8::/32"), ("CH",))))
    judged(made, pay(1), address="10.1.2.3", country="CH")
    judged(made, pay(1), address="2001:db8::1", country="CH")
    for address, country in (("11.0.0.1", "CH"), ("10.1.2.3", "LI"), ("", "CH"), ("10.1.2.3", ""), ("x", "CH")):
        refused("policy_source", judged, made, pay(1), address=address, country=country)
    nation = policy(dataclasses.replace(PAY, source=Source((), ("CH",))))
    judged(nation, pay(1), country="CH")


# --- Approvals ---


def test_the_highest_tier_that_an_amount_is_over_says_who_approves() -> None:
    people = tuple(
        Approver(name, "person", (group,), 1, Key("ed25519", bytes((number,)) * 32))
        for number, (name, group) in enumerate((("ada", "ops"), ("bo", "board"), ("cy", "board")), 1)
    )
    one, two = Demand((("ops", 1),)), Demand((("board", 2), ("ops", 1)))
    tiers = (Tier(None, ()), Tier(10, (one,)), Tier(50, (two,)))
    made = policy(dataclasses.replace(PAY, tiers=tiers), approvers=people)
    assert judged(made, pay(10)).demands == ()
    assert judged(made, pay(11)).demands == (one,)
    assert judged(made, pay(50)).demands == (one,)
    assert judged(made, pay(51)).demands == (two,)
    # Split over two recipients, it is as much.
    assert judged(made, pay(26), pay(25, B)).demands == (two,)
    always = policy(Rule("text", "text", chains=("evm:1",), tiers=(Tier(None, (one,)),)), approvers=people)
    assert judged(always, Signing("text", None, "x")).demands == (one,)
    lend = Rule("lend", "allowance", assets=(TOKEN,), to=None, most=None, tiers=tiers)
    assert judged(policy(lend, approvers=people), Allowance(TOKEN, A, None)).demands == (two,)
    # Two rules' demands are both to be met; the same one, once.
    pair = (dataclasses.replace(PAY, tiers=tiers), dataclasses.replace(lend, most=60))
    assert judged(policy(*pair, approvers=people), pay(20), Allowance(TOKEN, A, 55)).demands == (one, two)
    assert judged(policy(*pair, approvers=people), pay(20), Allowance(TOKEN, A, 20)).demands == (one,)


# --- Velocity ---


def test_an_amount_over_a_window_that_slides() -> None:
    made = policy(dataclasses.replace(PAY, windows=(Window(60, amount=150),)))
    past = Past()
    past.add(NOW - 60, Spend("pay", COIN, A, 100))
    judged(made, pay(100), history=past)
    past.add(NOW - 59, Spend("pay", COIN, B, 100))
    judged(made, pay(50), history=past)
    reason = refused("policy_velocity", judged, made, pay(51), history=past).reason
    assert "rule pay" in reason and "50 may go now" in reason
    judged(made, pay(51), history=past, now=NOW + 1)


def test_a_count_is_of_payments_whatever_the_asset() -> None:
    both = dataclasses.replace(PAY, assets=(COIN, TOKEN), windows=(Window(60, count=3),))
    past = Past([(NOW, Spend("pay", TOKEN, A, 0)), (NOW, Spend("other", COIN, A, 0))])
    judged(policy(both), pay(1), pay(1, asset=TOKEN), history=past)
    refused("policy_velocity", judged, policy(both), pay(1), pay(1), pay(1, asset=TOKEN), history=past)


def test_each_destination_by_itself() -> None:
    made = policy(dataclasses.replace(PAY, windows=(Window(60, amount=60, count=2, each=True),)))
    past = Past([(NOW, Spend("pay", COIN, A, 50))])
    judged(made, pay(10), pay(60, B), history=past)
    refused("policy_velocity", judged, made, pay(11), history=past)
    refused("policy_velocity", judged, made, pay(30, B), pay(31, B))
    refused("policy_velocity", judged, made, pay(1), pay(1), history=past)


def test_the_wallets_own_windows_are_over_all_rules() -> None:
    wide = Rule("wide", "transfer", assets=(COIN, TOKEN), to=None, most=100)
    made = policy(PAY, wide, windows=(Window(60, amount=120, asset=COIN), Window(60, count=3)))
    past = Past([(NOW, Spend("pay", COIN, A, 50))])
    judged(made, pay(50), pay(20, STRANGER), history=past)
    refused("policy_velocity", judged, made, pay(50), pay(21, STRANGER), history=past)
    judged(made, pay(50), pay(100, STRANGER, TOKEN), history=past)
    reason = refused("policy_velocity", judged, made, pay(1), pay(1), pay(1, STRANGER), history=past).reason
    assert "the wallet" in reason


def test_an_allowance_without_end_is_not_counted_but_refused() -> None:
    free = Rule("dex", "allowance", assets=(TOKEN,), to=("known",), most=None)
    wallet = policy(free, windows=(Window(60, amount=5, asset=TOKEN),))
    own = policy(dataclasses.replace(free, windows=(Window(60, amount=5),)))
    for made in (wallet, own):
        judged(made, Allowance(TOKEN, A, 5))
        refused("policy_velocity", judged, made, Allowance(TOKEN, A, None))


# --- Long lists ---

MANY = tuple(Entry(f"0x{number:040x}", f"Number {number}", NOW - number) for number in range(1, 12))


def test_a_list_that_is_a_root_wants_a_proof() -> None:
    rooted = Recipients.rooted("many", MANY)
    prover = Prover("many", MANY)
    made = policy(dataclasses.replace(PAY, to=("many",), cooldown=5), lists=(rooted,))
    for entry in MANY[4:]:
        proof = prover.prove(entry.address)
        assert proof is not None and Proof.parse(proof.value()) == proof
        judged(made, pay(1, entry.address), proofs=(proof,))
    assert prover.prove(STRANGER) is None
    refused("policy_cooldown", judged, made, pay(1, MANY[3].address), proofs=(prover.prove(MANY[3].address),))
    assert "proof" in refused("policy_recipient", judged, made, pay(1, MANY[5].address)).reason


def test_a_proof_that_proves_something_else_shows_nothing() -> None:
    rooted = Recipients.rooted("many", MANY)
    proof = Prover("many", MANY).prove(MANY[5].address)
    assert proof is not None
    made = policy(dataclasses.replace(PAY, to=("many",)), lists=(Recipients.rooted("less", MANY[:5]), rooted))
    judged(made, pay(1, MANY[5].address), proofs=(proof,))
    older = dataclasses.replace(proof.entry, since=0)
    for wrong in (
        dataclasses.replace(proof, entry=dataclasses.replace(proof.entry, address=STRANGER)),
        dataclasses.replace(proof, entry=older),
        dataclasses.replace(proof, index=proof.index - 1),
        dataclasses.replace(proof, path=proof.path[:-1]),
        dataclasses.replace(proof, path=(*proof.path, bytes(32))),
        dataclasses.replace(proof, list="less"),
    ):
        refused("policy_recipient", judged, made, pay(1, wrong.entry.address), proofs=(wrong,))
    refused("malformed_message", judged, made, pay(1, MANY[5].address), proofs=(proof,) * 33)
