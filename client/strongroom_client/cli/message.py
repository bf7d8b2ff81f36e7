"""`strongroom message sign`."""

from __future__ import annotations

from typing import Annotated

import typer

from strongroom_client import messages, transactions, wallets
from strongroom_client.accounts import account
from strongroom_client.cli import passphrase
from strongroom_client.cli.output import AsJson, Config, context, facts, print_json, refusals
from strongroom_client.cli.tx import Key, Path, Signers, load_requester, request_name, say_away, split, written

app = typer.Typer(help="Messages: sign a text.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Messages: sign a text."""


@app.command()
@refusals
def sign(
    text: Annotated[str, typer.Argument(help="The text, 1 to 4096 bytes of UTF-8.")],
    wallet: Annotated[str, typer.Option(help="The wallet's id.")],
    chain: Annotated[
        str, typer.Option(help="As its wallets sign texts: evm:1, bitcoin:mainnet. Default: Strongroom's own form.")
    ] = "",
    path: Path = "",
    signers: Signers = "",
    requester: Key = None,
    file: passphrase.File = None,
    descriptor: passphrase.Descriptor = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Sign a text: by default bound to the wallet, so that it can be a transaction of no chain (Ed25519 and BIP-340
    wallets); with --chain by EIP-191, BIP-322 or as a Solana off-chain message. The signature is checked here."""
    loaded = context(config)
    key = load_requester(loaded, requester, passphrase.source(file, descriptor))
    with loaded.api() as api:
        verified = wallets.verify_for_use(api, wallet, officers=loaded.officers(), mode=loaded.mode)
        say_away(verified)
        steps = transactions.parse_path(path)
        signed, finished, answer = messages.sign(api, verified.body, text, key, split(signers), chain=chain, path=steps)
    keys = verified.body.keys
    document = {
        "request": request_name(answer),
        "account": account(verified.body, chain, steps),
        "wallet": verified.wallet,
        "mode": verified.order.mode,
        "scheme": verified.order.scheme,
        "public_key": (keys.key(steps) if steps else verified.body.wallet_key).hex(),
        "message": messages.signed_bytes(signed, verified.body).hex(),
        "signature": written(signed.intent, finished),
    }
    if as_json:
        print_json(document)
    else:
        facts(document)
