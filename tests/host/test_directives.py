"""Directives of officers on their way through the host: to every signer, kept for those that come later, and shown."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from strongroom.chains import evm
from strongroom.errors import Refusal
from strongroom.intent.decoding import decode
from strongroom.intent.intent import Intent
from strongroom.policy.directives import Directive, Freeze, Renewal, body_of, directive_signing_bytes
from strongroom.policy.document import Policy
from strongroom.policy.lists import Entry, Prover, Recipients
from strongroom.policy.rules import Rule
from strongroom.policy.shown import Shown
from strongroom.policy.standing import View
from strongroom.policy.terms import Bound, Method, Source
from strongroom.wire import cbor
from strongroom.wire.fields import Fields
from strongroom_client.policies import proving
from strongroom_host.custody import Custody, Submission
from strongroom_host.problems import Problem
from strongroom_host.storage.wallets import Wallet
from tests.host.world import CHAIN_ID, World, refuse, when
from tests.policy.directing import successor


def directive(world: World, document: Policy | Freeze | Renewal) -> Directive:
    kind, body = body_of(document)
    signature = world.officer.sign(directive_signing_bytes(kind, body))
    return Directive.of(kind, body, {world.officers.keys[0]: signature})


def next_policy(world: World, wallet: Wallet, **changes: object) -> Policy:
    return successor(world.policy, wallet.body.wallet, **changes)


def signs(custody: Custody, world: World, wallet: Wallet, policy: Policy) -> str:
    asked = world.message(wallet.body.wallet, policy=policy.digest())
    return custody.submit(Submission(*asked))[0].state


def code(custody: Custody, world: World, wallet: Wallet, policy: Policy) -> str:
    try:
        signs(custody, world, wallet, policy)
    except Problem as problem:
        return problem.cause.code
    except Refusal as refusal:
        return refusal.code
    raise AssertionError("it was signed")


def test_every_signer_takes_it_and_says_so(world: World, custody: Custody, wallet: Wallet) -> None:
    new = next_policy(world, wallet)
    outcome = custody.directing.direct(custody.group(wallet), directive(world, new))
    assert not outcome.refusals
    assert {name: view.version for name, view in outcome.views.items()} == dict.fromkeys(world.names, 2)
    assert signs(custody, world, wallet, new) == "signed"
    assert code(custody, world, wallet, world.policy) == "intent_mismatch"


def test_who_did_not_take_it_is_named(world: World, custody: Custody, wallet: Wallet) -> None:
    world[2].twist = when("policy.install", lambda _request, _handle: refuse("sealer_unavailable"))
    outcome = custody.directing.direct(custody.group(wallet), directive(world, next_policy(world, wallet)))
    assert set(outcome.views) == {world[1].name, world[3].name}
    assert {name: refusal.code for name, refusal in outcome.refusals.items()} == {world[2].name: "sealer_unavailable"}


def test_what_nobody_took_is_not_kept(world: World, custody: Custody, wallet: Wallet) -> None:
    forged = dataclasses.replace(directive(world, next_policy(world, wallet)), signatures=())
    outcome = custody.directing.direct(custody.group(wallet), forged)
    assert {refusal.code for refusal in outcome.refusals.values()} == {"directive_not_signed"}
    assert custody.directing.of(wallet).directives == ()


def test_a_signer_that_missed_one_is_given_it_with_the_next(world: World, custody: Custody, wallet: Wallet) -> None:
    """It was up, and out of reach for a moment: the next version alone would succeed nothing that it knows."""
    second = next_policy(world, wallet)
    world[2].twist = when("policy.install", lambda _request, _handle: refuse("sealer_unavailable"))
    custody.directing.direct(custody.group(wallet), directive(world, second))
    world[2].twist = None
    third = successor(second, wallet.body.wallet)
    outcome = custody.directing.direct(custody.group(wallet), directive(world, third))
    assert {name: view.version for name, view in outcome.views.items()} == dict.fromkeys(world.names, 3)


def test_a_restarted_signer_is_told_again(world: World, custody: Custody, wallet: Wallet) -> None:
    """One that was away when officers spoke, too: without a set of signers that agree, nothing could be signed."""
    new = next_policy(world, wallet)
    world[2].twist = when("policy.install", lambda _request, _handle: refuse("sealer_unavailable"))
    custody.directing.direct(custody.group(wallet), directive(world, new))
    world[2].twist = None
    for number in (1, 2):
        world[number].restart()
    assert signs(custody, world, wallet, new) == "signed"
    for number in (1, 2, 3):
        world[number].restart()
    custody.directing.direct(custody.group(wallet), directive(world, Freeze(wallet.body.wallet, 2)))
    for number in (1, 2, 3):
        world[number].restart()
    assert code(custody, world, wallet, new) == "policy_frozen"


def test_a_timelock_goes_on_over_a_restart(world: World, custody: Custody, wallet: Wallet) -> None:
    slow = next_policy(world, wallet, timelock=3600)
    group = custody.group(wallet)
    custody.directing.direct(group, directive(world, slow))
    waiting = successor(slow, wallet.body.wallet)
    first = custody.directing.direct(group, directive(world, waiting)).views[world[1].name]
    world[1].restart()
    again = custody.directing.direct(group, directive(world, waiting)).views[world[1].name]
    assert again.waiting == first.waiting and again.version == 2


def test_a_lease_that_is_renewed(world: World, custody: Custody, wallet: Wallet) -> None:
    now = int(time.time())
    ended = next_policy(world, wallet, issued=now - 120, lease=60)
    group = custody.group(wallet)
    custody.directing.direct(group, directive(world, ended))
    assert code(custody, world, wallet, ended) == "policy_lease"
    custody.directing.direct(group, directive(world, Renewal(wallet.body.wallet, ended.digest(), now + 50)))
    assert signs(custody, world, wallet, ended) == "signed"


# --- Over HTTP ---


def json_of(response: TestResponse) -> Any:
    assert response.status_code == 200, response.json
    return response.json


def test_directives_over_http(world: World, custody: Custody, wallet: Wallet, client: FlaskClient) -> None:
    new = next_policy(world, wallet)
    signed = directive(world, new).encode().hex()
    path = f"/v1/wallets/{wallet.wallet}"
    rows = json_of(client.post(f"{path}/directives", json={"directive": signed}))["acknowledged"]
    assert [row["signer"] for row in rows] == list(world.names) and rows[0]["policy"] == new.digest().hex()
    assert json_of(client.get(f"{path}/directives")) == {"directives": [signed]}
    shown = json_of(client.post(f"{path}/standings", json={"nonce": "00" * 32}))
    assert len(shown["standings"]) == 3 and shown["refusals"] == []
    view = View.parse(Fields.decode(bytes.fromhex(shown["standings"][0]["standing"]), "standing"))
    assert (view.version, view.policy) == (2, new.digest())


@pytest.mark.parametrize("body", ["", "00", "a0"])
def test_what_is_no_directive(wallet: Wallet, client: FlaskClient, body: str) -> None:
    answer = client.post(f"/v1/wallets/{wallet.wallet}/directives", json={"directive": body})
    assert answer.status_code == 400


# --- What is shown beside an intent ---

MANY = tuple(Entry(evm.text(bytes(19) + bytes((number,))), f"Number {number}") for number in range(1, 6))


def rooted(world: World, wallet: Wallet, **rule: Any) -> Policy:
    """Pays to a long list, and signs messages only where `rule` lets it."""
    pay = Rule("pay", "transfer", assets=(f"evm:{CHAIN_ID}/native",), to=("many",), most=10)
    return next_policy(
        world,
        wallet,
        rules=(pay, Rule("messages", "message", **rule)),
        lists=(Recipients.rooted("many", MANY),),
    )


def test_a_source_is_shown_where_a_rule_asks_for_one(world: World, custody: Custody, wallet: Wallet) -> None:
    made = rooted(world, wallet, source=Source(("192.0.2.0/24",)))
    custody.directing.direct(custody.group(wallet), directive(world, made))
    for address, code in (("192.0.2.7", None), ("198.51.100.7", "policy_source"), ("", "policy_source")):
        asked = world.message(wallet.body.wallet, policy=made.digest())
        submission = Submission(*asked, shown=Shown((), address))
        if code is None:
            assert custody.submit(submission)[0].state == "signed"
        else:
            with pytest.raises(Problem) as caught:
                custody.submit(submission)
            assert caught.value.cause.code == code


def test_a_proof_reaches_the_signers(world: World, custody: Custody) -> None:
    wallet = custody.create(world.order("dkls23-secp256k1"))
    made = rooted(world, wallet)
    custody.directing.direct(custody.group(wallet), directive(world, made))
    prover, to = Prover("many", MANY), bytes(19) + b"\3"
    proof, other = prover.prove(evm.text(to)), prover.prove(MANY[0].address)
    assert proof is not None and other is not None
    for proofs, code in (((proof,), None), ((), "policy_recipient"), ((other,), "policy_recipient")):
        intent = world.transfer(wallet.body.wallet, policy=made.digest(), to=to)
        submission = Submission(*intent, shown=Shown(tuple(proofs)))
        if code is None:
            request, _ = custody.submit(submission)
            assert request.state == "signed"
            assert custody.wallets.shown.of(request.request).proofs == (proof,)
        else:
            with pytest.raises(Problem) as caught:
                custody.submit(submission)
            assert caught.value.cause.code == code


def test_whom_a_call_names_is_proven_to_the_signers(world: World, custody: Custody) -> None:
    """A rule bounds an argument by a list that the policy has as a root: the client's proof is what passes."""
    wallet = custody.create(world.order("dkls23-secp256k1"))
    vault, method = b"\x77" * 20, bytes.fromhex("12345678")
    named = Method(evm.text(vault), "0x12345678", (Bound(0, 32, to=("many",)),))
    many = Recipients.rooted("many", MANY)
    made = next_policy(
        world,
        wallet,
        rules=(Rule("calls", "call", chains=(f"evm:{CHAIN_ID}",), methods=(named,)),),
        lists=(many,),
    )
    custody.directing.direct(custody.group(wallet), directive(world, made))
    for number, code in ((3, None), (200, "policy_argument")):
        data = method + number.to_bytes(32, "big")
        intent = world.transfer(wallet.body.wallet, policy=made.digest(), to=vault, value=0, data=data)
        effects = decode(Intent.decode(intent[0]), wallet.body.keys).effects
        shown = Shown(proving.proofs((Prover("many", MANY),), made, effects))
        if code is None:
            assert custody.submit(Submission(*intent, shown=shown))[0].state == "signed"
        else:
            with pytest.raises(Problem) as caught:
                custody.submit(Submission(*intent, shown=shown))
            assert caught.value.cause.code == code


def test_proofs_over_http_are_handed_on(world: World, custody: Custody, wallet: Wallet, client: FlaskClient) -> None:
    proof = Prover("many", MANY).prove(MANY[2].address)
    assert proof is not None
    raw = cbor.encode(proof.value()).hex()
    intent, signature = world.message(wallet.body.wallet)
    asked = {"intent": intent.hex(), "signature": signature.hex(), "proofs": [raw]}
    answer = client.post("/v1/requests", json=asked)
    assert answer.status_code == 201, answer.json
    assert answer.json is not None and answer.json["proofs"] == [raw]
    for wrong in ([raw] * 33, ["00"], ["a0"]):
        assert client.post("/v1/requests", json={**asked, "proofs": wrong}).status_code == 400
