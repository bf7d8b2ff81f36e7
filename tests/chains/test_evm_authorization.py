"""EIP-7702 authorisations, compared with eth-account's; and what a policy makes of them."""

from __future__ import annotations

import dataclasses

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from strongroom.chains import evm, rlp
from strongroom.chains.decoders import Question, decode
from strongroom.chains.effects import Delegation, Effects
from strongroom.chains.evm.authorization import Authorization
from strongroom.chains.explain import Asked, explain
from strongroom.journal.entry import Candidate
from strongroom.policy.check import findings
from strongroom.policy.decide import Circumstances, decide
from strongroom.policy.document import Policy
from strongroom.policy.explain import sentences
from strongroom.policy.history import NO_HISTORY, Spend
from strongroom.policy.lists import Entry, Recipients
from strongroom.policy.rules import Rule
from tests.wire.refused import refused

KEY = Account.from_key(b"\1" * 32)
CODE = bytes(range(1, 21))
GIVEN = Authorization(1, CODE, 7)
NOBODY = bytes(20)

authorizations = st.builds(
    Authorization, st.integers(1, 2**64 - 1), st.binary(min_size=20, max_size=20), st.integers(0, 2**64 - 1)
)


@given(authorizations)
def test_digest_and_what_a_transaction_lists_are_eth_accounts(given_: Authorization) -> None:
    theirs = KEY.sign_authorization(
        {"chainId": given_.chain_id, "address": evm.checksum(given_.code), "nonce": given_.nonce}
    )
    assert given_.digest() == bytes(theirs.authorization_hash)
    signature = theirs.r.to_bytes(32, "big") + theirs.s.to_bytes(32, "big") + bytes((theirs.y_parity,))
    numbers = (given_.nonce, theirs.y_parity, theirs.r, theirs.s)
    nonce, parity, r, s = map(rlp.encode_integer, numbers)
    listed = [rlp.encode_integer(given_.chain_id), given_.code, nonce, parity, r, s]
    assert given_.signed(signature) == rlp.encode(listed)


@given(authorizations)
def test_what_is_decoded_is_encoded_again(given_: Authorization) -> None:
    assert Authorization.decode(given_.encode()) == given_


def raw(*items: rlp.Item) -> bytes:
    return b"\5" + rlp.encode(list(items))


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (raw(b"", CODE, b"\7"), "unsupported_transaction"),
        (raw(b"\1", CODE[1:], b"\7"), "malformed_transaction"),
        (raw(b"\1", b"", b"\7"), "malformed_transaction"),
        (raw(b"\1", [CODE], b"\7"), "malformed_transaction"),
        (raw(b"\1", CODE), "malformed_transaction"),
        (raw(b"\1", CODE, b"\7", b""), "malformed_transaction"),
        (raw(b"\0\1", CODE, b"\7"), "malformed_transaction"),
        (raw(b"\1", CODE, b"\0"), "malformed_transaction"),
        (raw(b"\1" * 9, CODE, b"\7"), "malformed_transaction"),
        (raw(b"\1", CODE, b"\1" * 9), "malformed_transaction"),
        (GIVEN.encode() + b"\0", "malformed_transaction"),
        (GIVEN.encode()[:-1], "malformed_transaction"),
        (b"\4" + GIVEN.encode()[1:], "malformed_transaction"),
        (GIVEN.encode()[1:], "malformed_transaction"),
        (b"\5" + rlp.encode(bytes(40)), "malformed_transaction"),
        (b"\5" + rlp.encode([b"\1" * 60]), "malformed_transaction"),
        (b"", "malformed_transaction"),
    ],
    ids=range(17),
)
def test_what_is_no_authorisation_is_refused(payload: bytes, code: str) -> None:
    """Chain id 0 would be good on every chain."""
    refused(code, Authorization.decode, payload)


def test_neither_passes_for_the_other() -> None:
    """An authorisation begins where a transaction has its type: each is decoded as what the intent says it is."""
    transaction = evm.Transaction(1, 7, 1, 10**9, 21_000, CODE, 1).encode()
    assert decode("evm", Question(GIVEN.encode())).kind == "authorization"
    refused("unsupported_transaction", decode, "evm", Question(GIVEN.encode(), "transaction"))
    refused("malformed_transaction", decode, "evm", Question(transaction, "authorization"))
    refused("intent_mismatch", decode, "evm", Question(GIVEN.encode(), network="5"))
    for chain in ("solana", "bitcoin"):
        with pytest.raises(Exception, match="unsupported_transaction"):
            decode(chain, Question(GIVEN.encode(), "authorization"))


def test_effects_and_words() -> None:
    text = evm.text(CODE)
    assert GIVEN.effects() == Effects("evm:1", once=("nonce:7",), delegations=(Delegation(text),))
    explained = explain("evm", Asked(GIVEN.encode()))
    assert any(text in each and "act as the wallet" in each for each in explained.sentences())
    assert "uses up nonce 7" in explained.sentences()
    assert explained.document()["effects"]["delegations"] == [{"code": text}]
    back = explain("evm", Asked(dataclasses.replace(GIVEN, code=NOBODY).encode()))
    assert any("takes back" in each for each in back.sentences())


# --- Policy ---

NOW = 1_800_000_000
CODES = Recipients("codes", (Entry(evm.text(NOBODY), "Nobody"), Entry(evm.text(CODE), "Audited account")))
RULE = Rule("code", "delegation", chains=("evm:1",), to=("codes",))


def policy(*rules: Rule) -> Policy:
    return Policy(issued=NOW, requesters=(), chains=("evm:1", "evm:5"), rules=rules, lists=(CODES,))


def judged(made: Policy, given_: Authorization, **changes: bool) -> tuple[Spend, ...]:
    return decide(made, given_.effects(), Circumstances(NOW, **changes), NO_HISTORY).spends  # type: ignore[arg-type]


def test_only_code_that_a_rule_lists_acts_as_the_wallet() -> None:
    for code in (CODE, NOBODY):
        spends = judged(policy(RULE), dataclasses.replace(GIVEN, code=code))
        assert spends == (Spend("code", "", evm.text(code), 0),)
    wide = Rule("pay", "transfer", assets=("evm:1/native",), to=None, most=None)
    stranger = dataclasses.replace(GIVEN, code=b"\x99" * 20)
    for made, asked in (
        (policy(), GIVEN),
        (policy(wide), GIVEN),
        (policy(RULE), stranger),
        (policy(RULE), dataclasses.replace(GIVEN, chain_id=5)),
    ):
        refused("policy_delegation", judged, made, asked)
    assert "code: codes" in refused("policy_delegation", judged, policy(RULE), stranger).reason


def test_an_authorisation_is_no_cancel() -> None:
    """What moves nothing, and says that it replaces, needs no rule: this does need one."""
    refused("policy_delegation", judged, policy(), GIVEN, replaces=True)
    assert not Candidate(bytes(16), bytes(32), NOW, NOW, GIVEN.effects()).entry(()).cancels


def test_what_is_done_is_part_of_its_meaning() -> None:
    other = dataclasses.replace(GIVEN, code=NOBODY)
    meanings = {Candidate(bytes(16), bytes(32), NOW, NOW, each.effects()).entry(()).meaning for each in (GIVEN, other)}
    assert len(meanings) == 2


def test_officers_read_what_such_a_rule_means() -> None:
    assert any("lets the code of codes act as the wallet" in each for each in sentences(policy(RULE)))
    assert "delegation" in {each.what for each in findings(policy(RULE), None)}
    refused("malformed_policy", Rule, "code", "delegation", chains=("evm:1",), to=None)
    refused("malformed_policy", Rule, "code", "delegation", assets=("evm:1/native",), to=("codes",))
