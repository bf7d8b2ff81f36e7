"""`strongroom release sign|send|activate|status`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from strongroom.policy.directives import Directive
from strongroom.policy.release import Release
from strongroom.policy.standing import View
from strongroom_client import releases
from strongroom_client.api import Json
from strongroom_client.cli import passphrase
from strongroom_client.cli.directive import (
    Keys,
    OfficerKeys,
    Save,
    Wallet,
    read_directive,
    send_directive,
    sign_document,
    standing,
)
from strongroom_client.cli.output import AsJson, Config, context, err, out, print_json, refusals, table

app = typer.Typer(help="Releases: what a wallet's enclaves run next.", no_args_is_help=True)

DESTROY: Final = "aws kms schedule-key-deletion --pending-window-in-days 7 --key-id"


@app.command()
@refusals
def sign(
    roster: Annotated[Path, typer.Argument(help="Roster file with the measurements of the next release.")],
    wallet: Wallet,
    keys: Keys = None,
    save: Save = None,
    file: passphrase.File = None,
    descriptor: passphrase.Descriptor = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Sign what enclaves shall measure next, and tell the signers. They go on until it is activated."""
    loaded = context(config)
    with loaded.api() as api:
        body, stands = standing(loaded, api, wallet)
        release, office = releases.following(roster, body, stands), stands.office
        if not as_json:
            _print(release)
        signing = OfficerKeys(keys, office, file, descriptor)
        sign_document(loaded, api, wallet, release, office.quorum, signing, save, as_json, "release")


def _print(release: Release) -> None:
    members = [(name, sorted(measured.items())) for name, measured in release.members]
    rows = [(name, register, value.hex()) for name, measured in members for register, value in measured]
    table(f"Release {release.number}: compare with the build that you reproduced", ("signer", "", ""), rows)
    out.print()


@app.command()
@refusals
def send(
    directive: Annotated[Path, typer.Argument(help="What officers signed and saved.")],
    wallet: Wallet,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Hand a saved release to the signers; again, to those that missed it."""
    signed = Directive.decode(read_directive(directive))
    signed.require("release")
    with context(config).api() as api:
        send_directive(api, wallet, signed, as_json)


@app.command()
@refusals
def activate(
    wallet: Annotated[str, typer.Argument(help="The wallet's id.")], config: Config = None, as_json: AsJson = False
) -> None:
    """Have old enclaves hand over to new ones, as far as it goes; again, to go on. Exit status 1 until all did."""
    with context(config).api() as api:
        answer = api.release(wallet)
    rows = answer.get("signers") or []
    left = [row for row in rows if row.get("state") != "taken over"]
    if as_json:
        print_json(answer)
    else:
        _print_progress(answer, rows, left)
    if left:
        raise typer.Exit(1)


def _print_progress(answer: Json, rows: list[Json], left: list[Json]) -> None:
    active = "active" if answer.get("active") else "not active: the old ones sign"
    told = [(str(row["signer"]), str(row["state"]), str(row.get("detail") or "")) for row in rows]
    table(f"Release {answer.get('number')}, {active} (the host's word)", ("signer", "", ""), told)
    if left:
        err.print(f"{len(left)} signers have not taken over: bring them up, then run this again.")
        return
    out.print("Every signer took over. `strongroom release status` asks each of them for evidence. Then:")
    out.print(" 1. In the host's configuration, move the addresses of `arriving` to `signers`; restart the host.")
    out.print(" 2. Stop the old enclaves.")
    out.print(" 3. Destroy each signer's KMS key of the former release: until then its image opens the shares.")
    for row in rows:
        out.print(f"    {DESTROY} ARN_OF_{row['signer']}", markup=False)


@app.command()
@refusals
def status(
    wallet: Annotated[str, typer.Argument(help="The wallet's id.")], config: Config = None, as_json: AsJson = False
) -> None:
    """Ask every signer afresh which release it goes by. Evidence that does not measure the active one is refused."""
    loaded = context(config)
    with loaded.api() as api:
        _, stands = standing(loaded, api, wallet)
    active = stands.directed.active
    if as_json:
        signers = {name: _row(view) for name, view in stands.views.items()}
        print_json({"active": active.number, "signers": signers, "refusals": dict(stands.refusals)})
        return
    rows = [(name, *_said(view, active.since(name))) for name, view in stands.views.items()]
    rows += [(name, "does not say", reason) for name, reason in stands.refusals.items()]
    table(f"Release {active.number} is active, by the wallet's own signature", ("signer", "goes by", ""), rows)


def _row(view: View) -> Json:
    waiting = None if view.arriving is None else {"number": view.arriving[0], "since": view.arriving[2]}
    return {"release": view.release[0], "waiting": waiting, "held": view.held}


def _said(view: View, since: int) -> tuple[str, str]:
    waiting = "" if view.arriving is None else f"release {view.arriving[0]} waits"
    return f"release {view.release[0]}", waiting if view.held >= since else "its predecessor has not handed over yet"
