"""`strongroom init`: the officers' root, made away from the host."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strongroom_client import officers
from strongroom_client.cli import passphrase
from strongroom_client.cli.output import AsJson, facts, out, print_json, refusals


@refusals
def init(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder, on a machine that is not the host.")],
    count: Annotated[int, typer.Option("--officers", help="How many officers' keys to make.")] = 3,
    quorum: Annotated[int, typer.Option(help="How many of them must sign an order.")] = 2,
    file: passphrase.File = None,
    descriptor: passphrase.Descriptor = None,
    unencrypted: Annotated[bool, typer.Option("--no-passphrase", help="Leave the key files unencrypted.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make the officers' keys and a requester's key. What exists is never overwritten."""
    secret = None if unencrypted else passphrase.new(file, descriptor)
    made = officers.create(folder, count=count, quorum=quorum, passphrase=secret)
    document = {
        "folder": str(folder),
        "officers": {"keys": [key.hex() for key in made.officers.keys], "quorum": made.officers.quorum},
        "requester": made.requester.hex(),
        "files": [str(path) for path in made.keys],
        "encrypted": made.encrypted,
    }
    if as_json:
        print_json(document)
        return
    facts(
        {path.name: f"{path} ({'encrypted' if made.encrypted else 'NOT encrypted'}, mode 0600)" for path in made.keys}
    )
    out.print(f"\nGive each officer one key file, and {officers.PINS} to every signer and client: they pin it.")
    out.print(f"An order takes {made.officers.quorum} of {len(made.officers.keys)} officers.")
    out.print(f"{officers.REQUESTER} signs requests; a policy names its public key.")
