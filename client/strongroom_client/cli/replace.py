"""`strongroom tx replace` and `tx cancel`: of a transaction that is signed, and in no block yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.chains import evm
from strongroom.chains.evm import Transaction
from strongroom.intent.intent import Intent
from strongroom.wallet.certificate import Body
from strongroom_client import replacements, transactions, wallets
from strongroom_client.api import Api
from strongroom_client.cli import passphrase
from strongroom_client.cli.output import AsJson, Config, context, progress, refusals
from strongroom_client.cli.tx import (
    Key,
    Lists,
    Request,
    Signers,
    Timeout,
    load_requester,
    print_request,
    request_name,
    require_mined,
    say_away,
    say_waiting,
    split,
)
from strongroom_client.context import Context

Fee = Annotated[
    str | None,
    typer.Option(help="What it may cost in all, such as 0.002ether. Default: an eighth more, or what the node asks."),
]
Wait = Annotated[bool, typer.Option(help="Wait until one of both is in a block.")]
Make = Callable[[Api, Body, Intent, int | None], Transaction]


@dataclass(frozen=True)
class _Given:
    """timeout: seconds to wait for a block, None for not at all."""

    request: str
    fee: str | None
    signers: list[str]
    lists: list[str]
    timeout: float | None
    as_json: bool


@refusals
def replace(
    request: Request,
    fee: Fee = None,
    signers: Signers = "",
    lists: Lists = None,
    requester: Key = None,
    wait: Wait = True,
    timeout: Timeout = 120.0,
    file: passphrase.File = None,
    descriptor: passphrase.Descriptor = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Speed up: the same once more, with the same nonce, for a higher fee. It is counted once."""
    given = _Given(request, fee, split(signers), lists or [], timeout if wait else None, as_json)
    loaded = context(config)
    key = load_requester(loaded, requester, passphrase.source(file, descriptor))
    _replace(loaded, key, given, replacements.faster)


@refusals
def cancel(
    request: Request,
    fee: Fee = None,
    signers: Signers = "",
    requester: Key = None,
    wait: Wait = True,
    timeout: Timeout = 120.0,
    file: passphrase.File = None,
    descriptor: passphrase.Descriptor = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Use up a transaction's nonce by one that moves nothing, for a higher fee. What it would have moved stays counted
    against limits: it was signed."""
    given = _Given(request, fee, split(signers), [], timeout if wait else None, as_json)
    loaded = context(config)
    key = load_requester(loaded, requester, passphrase.source(file, descriptor))
    _replace(loaded, key, given, replacements.cancelling)


def _replace(loaded: Context, key: Ed25519PrivateKey, given: _Given, make: Make) -> None:
    fee = None if given.fee is None else transactions.parse_value(given.fee)
    with loaded.api() as api:
        shown = api.request(given.request)
        replaced = replacements.read(shown, given.request)
        verified = wallets.verify_for_use(api, replaced.wallet.hex(), officers=loaded.officers(), mode=loaded.mode)
        say_away(verified)
        body = verified.body
        replacements.require_open(api, body, replaced, shown)
        transaction = make(api, body, replaced, fee)
        progress(_said(replaced, transaction))
        signed, answer = replacements.send(api, body, replaced, transaction, key, given.signers, given.lists)
        say_waiting(answer, signed.intent)
        if given.timeout is not None:
            answer = transactions.wait(api, request_name(answer), timeout=given.timeout, progress=progress)
            transactions.check(answer, signed.intent, body)
    print_request(answer, transaction, given.as_json)
    require_mined(answer, given.timeout is not None)


def _said(replaced: Intent, transaction: Transaction) -> str:
    before = Transaction.decode(replaced.payload)
    what = f"{transaction.value} wei to {evm.checksum(transaction.to)}"
    return (
        f"in place of nonce {before.nonce}: {what}; fee at most {transaction.fee_ceiling} wei, not {before.fee_ceiling}"
    )
