"""What commands share that officers sign with: who is in office, their keys at hand, handing over what they signed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from strongroom.errors import Refusal
from strongroom.policy.directives import Directive, Document
from strongroom.policy.words import moment
from strongroom.signer.configuration import Officers
from strongroom.wallet.certificate import Body, Certificate
from strongroom_client import directing, keyfiles, officers, standings, wallets
from strongroom_client.api import Api
from strongroom_client.cli import passphrase
from strongroom_client.cli.output import err, out, print_json, progress, table
from strongroom_client.context import Context
from strongroom_client.standings import Standings

Wallet = Annotated[str, typer.Option(help="The wallet's id.")]
Keys = Annotated[Path | None, typer.Option("--officers", help="Folder of officers' keys. Default: the pins'.")]
Save = Annotated[
    Path | None, typer.Option(help="Write what was signed to this file, for other officers, instead of sending it.")
]


def standing(loaded: Context, api: Api, wallet: str) -> tuple[Body, Standings]:
    """The certificate is checked, and each signer that answers; that all answer is not asked for. A freeze cannot wait
    for a signer that is down."""
    certificate = Certificate.decode(api.certificate(wallet))
    body = wallets.check_body(certificate, wallet, officers=loaded.officers(), mode=loaded.mode)
    return body, standings.standings(api, body)


class OfficerKeys:
    """The keys at hand of officers in office."""

    def __init__(self, folder: Path | None, office: Officers, file: Path | None, descriptor: int | None) -> None:
        self.folder, self.office = folder, office
        self._ask = passphrase.source(file, descriptor)

    def sign(self, directive: Directive, folder: Path, needed: int) -> Directive:
        for path in officers.officer_files(folder):
            if len(directive.signatures) >= needed:
                break
            key = keyfiles.load(path, self._ask)
            if keyfiles.public(key) in self.office.keys:
                directive = directing.sign(directive, [key])
        return directive


def sign_document(
    loaded: Context,
    api: Api,
    wallet: str,
    document: Document,
    needed: int,
    keys: OfficerKeys,
    save: Path | None,
    as_json: bool,
    command: str = "policy",
) -> None:
    """Adds to what other officers signed of the very same bytes, where `save` has it."""
    directive = directing.unsigned(document)
    if save is not None and save.exists():
        directive = Directive.decode(read_directive(save))
        directive.require(directing.unsigned(document).kind)
        progress(f"{save} has {len(directive.signatures)} signatures of {needed}")
    directive = keys.sign(directive, keys.folder or loaded.pins, needed)
    if save is not None:
        save.write_bytes(directive.encode())
        progress(
            f"{len(directive.signatures)} of {needed} officers signed; `strongroom {command} send {save}` hands it over"
        )
        return
    directive.verify(keys.office, needed)
    send_directive(api, wallet, directive, as_json)


def read_directive(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refusal("bad_file", f"{path} cannot be read: {error.strerror}") from error


def send_directive(api: Api, wallet: str, directive: Directive, as_json: bool) -> None:
    answer = api.direct(wallet, directive.encode())
    took, refused = answer.get("acknowledged") or [], answer.get("refusals") or []
    if as_json:
        print_json(answer)
    else:
        rows = [(str(row["signer"]), "acknowledged", _stands(row)) for row in took]
        rows += [(str(row["signer"]), str(row["code"]), str(row["detail"])) for row in refused]
        table(None, ("signer", "", ""), rows)
        out.print("What a signer says itself, with evidence: `strongroom policy show`.")
    if refused:
        err.print(f"{len(refused)} signers did not take it: send it again when they are back.")
    if not took:
        raise typer.Exit(1)


def _stands(row: dict[str, Any]) -> str:
    waiting = "".join(f"; version {each['version']} from {moment(each['since'])}" for each in row["waiting"])
    state = "frozen" if row["frozen"] else f"leased until {moment(row['leased'])}"
    return f"version {row['version']}, {state}{waiting}"
