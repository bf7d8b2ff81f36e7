"""`strongroom tx sign`: a transaction or typed data that somebody else made, decoded here before it is signed."""

from __future__ import annotations

from typing import Annotated, Final, cast, get_args

import typer

from strongroom.chains.decoders import Kind as What
from strongroom.chains.explain import CHAINS, Asked
from strongroom.chains.explain import explain as judge
from strongroom.errors import Refusal
from strongroom.intent.intent import KINDS, Intent, Kind
from strongroom.intent.replacing import require_replacement
from strongroom.wallet.certificate import Body
from strongroom_client import replacements, standings, transactions, wallets
from strongroom_client.accounts import accounts
from strongroom_client.api import Api
from strongroom_client.cli import explain, passphrase
from strongroom_client.cli.output import AsJson, Config, context, facts, print_json, progress, refusals
from strongroom_client.cli.tx import (
    Key,
    Lists,
    Path,
    Signers,
    load_requester,
    request_name,
    say_away,
    say_waiting,
    split,
    written,
)
from strongroom_client.policies.proving import proofs, provers

_NAMES: Final = {"bitcoin transaction": "bitcoin-psbt"}
"""Kinds of intents whose name is not chain and kind put together."""


@refusals
def sign(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|HEX", help="Hexadecimal, base64 of a PSBT, or a file of either or of the bytes; - is stdin."
        ),
    ],
    wallet: Annotated[str, typer.Option(help="The wallet's id.")],
    chain: Annotated[str, typer.Option(help="As the policy names it: evm:1, bitcoin:mainnet, solana:mainnet.")],
    kind: Annotated[
        str | None, typer.Option(help="transaction, text, typed-data or authorization, where the bytes do not tell.")
    ] = None,
    path: Path = "",
    replaces: Annotated[
        str | None,
        typer.Option(metavar="REQUEST", help="The request whose place it takes, by the same nonce or input."),
    ] = None,
    signers: Signers = "",
    lists: Lists = None,
    requester: Key = None,
    file: passphrase.File = None,
    descriptor: passphrase.Descriptor = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Verify the wallet, say what the bytes do, sign the intent here, and check what comes back: a transaction with all
    its signatures, to be broadcast by you unless the host has a node of its chain."""
    loaded = context(config)
    if kind is not None and kind not in get_args(What):
        raise typer.BadParameter(f"one of {', '.join(get_args(What))}", param_hint="--kind")
    stated, steps = cast("What | None", kind), transactions.parse_path(path)
    payload = explain.load(source, stated)
    key = load_requester(loaded, requester, passphrase.source(file, descriptor))
    family, _, network = chain.partition(":")
    if family not in CHAINS or not network:
        raise typer.BadParameter(f"one of {', '.join(CHAINS)}, a colon, and the network", param_hint="--chain")
    with loaded.api() as api:
        verified = wallets.verify_for_use(api, wallet, officers=loaded.officers(), mode=loaded.mode)
        say_away(verified)
        explained = judge(family, Asked(payload, stated, verified.body, network, steps))
        from_ = accounts(verified.body, chain, (each.path for each in explained.to_sign))
        for sentence in (f"from {', '.join(from_)}", *explained.sentences()):
            progress(sentence)
        policy = standings.in_force(api, verified.body)
        shown = proofs(provers(lists or (), policy), policy, explained.effects)
        transactions.require_allowed(policy, explained.effects, shown, replaces=replaces is not None)
        replaced = None if replaces is None else _replaced(api, verified.body, replaces)
        signed = transactions.sign_intent(
            verified.body, _kind(family, explained.kind), payload, key, chain=chain, path=steps, policy=policy,
            replaces=None if replaced is None else replaced.request,
        )  # fmt: skip
        if replaced is not None:
            require_replacement(signed.intent, replaced, verified.order, verified.body.keys)
        answer = transactions.submit(api, verified.body, signed, split(signers), shown)
        say_waiting(answer, signed.intent)
        finished = transactions.check(answer, signed.intent, verified.body)
    rows = {"request": request_name(answer), "state": answer.get("state")}
    if finished is not None:
        rows |= {"name": finished.name, "result": written(signed.intent, finished)}
    rows["signers"] = ", ".join(answer.get("signers") or ())
    if as_json:
        print_json(dict(answer) | {"name": rows.get("name"), "result": rows.get("result")})
    else:
        facts({name: str(value) for name, value in rows.items() if value})


def _replaced(api: Api, body: Body, request: str) -> Intent:
    """Raises Refusal."""
    answer = api.request(request)
    intent = replacements.read(answer, request)
    replacements.require_open(api, body, intent, answer)
    return intent


def _kind(family: str, what: What) -> Kind:
    wanted = _NAMES.get(f"{family} {what}", f"{family}-{what}")
    for known in KINDS:
        if known == wanted:
            return known
    raise Refusal("unsupported_transaction", f"there is no {what} on {family}")
