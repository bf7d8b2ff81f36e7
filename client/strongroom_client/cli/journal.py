"""`strongroom journal show|waive|send`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from strongroom.errors import Refusal
from strongroom.journal.waiver import SignedWaiver
from strongroom.policy.words import moment
from strongroom.signer.configuration import Officers
from strongroom.wallet.certificate import Body, Certificate
from strongroom_client import journals, keyfiles, officers, standings, wallets
from strongroom_client.api import Api
from strongroom_client.cli import passphrase
from strongroom_client.cli.output import AsJson, Config, context, err, out, print_json, progress, refusals, table
from strongroom_client.context import Context
from strongroom_client.journals import Head, Heads
from strongroom_client.policies import units

app = typer.Typer(help="Journals: who remembers, and who goes on without the others.", no_args_is_help=True)

Wallet = Annotated[str, typer.Argument(help="The wallet's id.")]


@app.command()
@refusals
def show(
    wallet: Wallet,
    level: Annotated[bool, typer.Option(help="First have those that answer join and hear each other.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Every signer's and witness's journal, as the host tells it, and whether enough are there."""
    loaded = context(config)
    with loaded.api() as api:
        body = _body(loaded, api, wallet)
        answer = api.level_journals(wallet) if level else api.journals(wallet)
        heads = journals.read(answer, body)
    if as_json:
        print_json({**answer, "enough": heads.enough})
        return
    _print(heads)
    out.print(heads.sentence())


@app.command()
@refusals
def waive(
    wallet: Wallet,
    length: Annotated[str, typer.Option("--for", help='Until when, such as "4 hours"; at most 7 days.')] = "1 day",
    without: Annotated[
        str, typer.Option(help="Journals that are left out although they answer, comma-separated.")
    ] = "",
    keys: Annotated[
        Path | None, typer.Option("--officers", help="Folder of officers' keys. Default: the pins'.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Write what was signed to this file, for other officers, instead of sending it.")
    ] = None,
    file: passphrase.File = None,
    descriptor: passphrase.Descriptor = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Have the journals that answer go on without the others, each with a fraction of every limit, where fewer are left
    for good than must acknowledge. Signed by a quorum of officers over the state that they see here; it serves once."""
    loaded = context(config)
    with loaded.api() as api:
        body = _body(loaded, api, wallet)
        if save is not None and save.exists():
            signed, heads = SignedWaiver.decode(_read(save)), journals.read(api.journals(wallet), body)
            _require_true(signed, heads)
        else:
            heads = journals.read(api.level_journals(wallet), body)
            left = [name.strip() for name in without.split(",") if name.strip()]
            signed = journals.unsigned(journals.waiver(heads, body, units.duration(length), left))
        if not as_json:
            _print(heads)
            _say(signed, body)
        office = standings.standings(api, body).office
        signed = _sign(signed, keys or loaded.pins, office, passphrase.source(file, descriptor))
        if save is not None:
            save.write_bytes(signed.encode())
            count = f"{len(signed.signatures)} of {office.quorum} officers signed"
            progress(f"{count}; `strongroom journal send {save} --wallet {wallet}` hands it over")
            return
        _verify(signed, office, body)
        _send(api, wallet, signed, as_json)


@app.command()
@refusals
def send(
    waiver: Annotated[Path, typer.Argument(help="What officers signed and saved.")],
    wallet: Annotated[str, typer.Option(help="The wallet's id.")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Hand a saved waiver to the journals that it names."""
    loaded = context(config)
    with loaded.api() as api:
        body, signed = _body(loaded, api, wallet), SignedWaiver.decode(_read(waiver))
        _require_true(signed, journals.read(api.journals(wallet), body))
        _verify(signed, standings.standings(api, body).office, body)
        _send(api, wallet, signed, as_json)


def _body(loaded: Context, api: Api, wallet: str) -> Body:
    """The certificate is checked; that every signer vouches for it is not asked for, since some are away."""
    certificate = Certificate.decode(api.certificate(wallet))
    return wallets.check_body(certificate, wallet, officers=loaded.officers(), mode=loaded.mode)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refusal("bad_file", f"{path} cannot be read: {error.strerror}") from error


def _require_true(signed: SignedWaiver, heads: Heads) -> None:
    if names := journals.changed(signed.waiver, heads):
        raise Refusal("waiver_refused", f"{', '.join(names)} was started again, or remembers more, since it was made")


def _sign(signed: SignedWaiver, folder: Path, office: Officers, ask: keyfiles.Passphrase) -> SignedWaiver:
    """By as many officers in office as are still missing, whose keys are at hand."""
    for path in officers.officer_files(folder):
        if len(signed.signatures) >= office.quorum:
            break
        key = keyfiles.load(path, ask)
        if keyfiles.public(key) in office.keys:
            signed = journals.sign(signed, [key])
    return signed


def _verify(signed: SignedWaiver, office: Officers, body: Body) -> None:
    order = body.order.order
    divisor = len(order.names) - order.threshold + 1
    signed.verify(office, body.order.order_id, body.epoch, divisor)


def _send(api: Api, wallet: str, signed: SignedWaiver, as_json: bool) -> None:
    answer = api.waive(wallet, signed.encode())
    took, refused = answer.get("acknowledged") or [], answer.get("refusals") or []
    if as_json:
        print_json({**answer, "expiry": signed.waiver.expiry, "divisor": signed.waiver.divisor})
    else:
        rows = [(str(name), "goes on", f"until {moment(signed.waiver.expiry)}") for name in took]
        rows += [(str(row.get("signer")), str(row.get("code")), str(row.get("detail"))) for row in refused]
        table(None, ("journal", "", ""), rows)
    if refused:
        err.print("All whom it names must take it: make a new one, once nobody sends requests.")
        raise typer.Exit(1)


def _say(signed: SignedWaiver, body: Body) -> None:
    made = signed.waiver
    names = ", ".join(name for name in body.order.order.journals if name in made.names)
    out.print(
        f"Until {moment(made.expiry)} exactly {names} must acknowledge, and each counts every limit "
        f"divided by {made.divisor}.",
        markup=False,
    )


def _print(heads: Heads) -> None:
    table("Journals (the host's word)", ("journal", "", "state", "start", "entries", "digest"), map(_row, heads.rows))
    out.print()


def _row(row: Head) -> tuple[str, ...]:
    what = "witness" if row.witness else "signer"
    if row.presence is None:
        return row.name, what, row.why, "", "", ""
    state = "joined" if row.joined else "not joined"
    if row.waived is not None and row.waived > time.time():
        state += f", waived until {moment(row.waived)}"
    start = f"{row.presence.incarnation}, {row.presence.boot.hex()[:8]}"
    return row.name, what, state, start, str(row.entries), row.presence.digest.hex()[:16]
