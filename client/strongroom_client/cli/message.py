"""`strongroom message sign`."""

from __future__ import annotations

from typing import Annotated

import typer

from strongroom_client import messages, wallets
from strongroom_client.cli import passphrase
from strongroom_client.cli.output import AsJson, Config, context, facts, print_json, refusals
from strongroom_client.cli.tx import Key, load_requester

app = typer.Typer(help="Messages: sign a text.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Messages: sign a text."""


@app.command()
@refusals
def sign(
    text: Annotated[str, typer.Argument(help="The text, 1 to 4096 bytes of UTF-8.")],
    wallet: Annotated[str, typer.Option(help="The wallet's id (Ed25519 or BIP-340).")],
    requester: Key = None,
    file: passphrase.File = None,
    descriptor: passphrase.Descriptor = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Sign a text, bound to the wallet so that it can be a transaction of no chain; the signature is checked here."""
    loaded = context(config)
    key = load_requester(loaded, requester, passphrase.source(file, descriptor))
    with loaded.api() as api:
        verified = wallets.verify(api, wallet, officers=loaded.officers(), mode=loaded.mode)
        signature, _ = messages.sign(api, verified.body, text, key)
    document = {
        "wallet": verified.wallet,
        "mode": verified.order.mode,
        "scheme": verified.order.scheme,
        "public_key": verified.body.wallet_key.hex(),
        "message": messages.signed_bytes(verified.body, text).hex(),
        "signature": signature.hex(),
    }
    if as_json:
        print_json(document)
    else:
        facts(document)
