"""`strongroom approver enrol`: an entry for a policy file, which counts once officers signed the policy."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated, TypeVar, cast, get_args

import typer

from strongroom.approval import Approver
from strongroom.approval.approver import MAX_WEIGHT, Algorithm, Kind
from strongroom.errors import Refusal
from strongroom_client.approving import enrolment, keys
from strongroom_client.approving.enrolment import Entry
from strongroom_client.approving.server import PORT, Desk, Page
from strongroom_client.cli import passphrase
from strongroom_client.cli.output import AsJson, err, facts, print_json, progress, refusals

app = typer.Typer(help="Approvers: enrol a key file or a passkey.", no_args_is_help=True)

T = TypeVar("T")

Browser = Annotated[bool, typer.Option(help="Open the page in the browser; its address is printed either way.")]
Seconds = Annotated[float, typer.Option("--timeout", help="Seconds to wait for an answer on the page.")]


@app.callback()
def group() -> None:
    """Approvers: enrol a key file or a passkey."""


@app.command()
@refusals
def enrol(
    name: Annotated[str, typer.Argument(help="1 to 32 of a-z, 0-9 and inner hyphens.")],
    group: Annotated[list[str], typer.Option(help="A group of the policy's demands; may be given several times.")],
    key: Annotated[Path | None, typer.Option(help="Key file; made if it is not there. Default: a passkey.")] = None,
    algorithm: Annotated[str, typer.Option(help="Of a new key file: ed25519 or p256.")] = "ed25519",
    weight: Annotated[int, typer.Option(help="How much its approval counts.", min=1, max=MAX_WEIGHT)] = 1,
    kind: Annotated[str, typer.Option(help="person or machine.")] = "person",
    requests_as: Annotated[
        list[str] | None, typer.Option(help="A requester's key of the same person, in hexadecimal.")
    ] = None,
    unencrypted: Annotated[bool, typer.Option(help="A new key file without a passphrase, for a machine.")] = False,
    port: Annotated[int, typer.Option(help="Of the page; the passkey works there alone.", min=1, max=65535)] = PORT,
    browser: Browser = True,
    timeout: Seconds = 300.0,
    file: passphrase.File = None,
    descriptor: passphrase.Descriptor = None,
    as_json: AsJson = False,
) -> None:
    """Print an approver's entry for a policy file."""
    entry = Entry(name, group, weight, _kind(kind), [_requester(text) for text in requests_as or ()])
    if key is None:
        approver = ask(enrolment.passkey_page(entry, port), port, browser=browser, seconds=timeout)
    elif key.exists():
        approver = entry.with_key(keys.public(keys.load(key, passphrase.source(file, descriptor))))
    else:
        secret = None if unencrypted else passphrase.new(file, descriptor)
        approver = entry.with_key(keys.create(key, _algorithm(algorithm), secret))
    if as_json:
        print_json(enrolment.document(approver))
        return
    _print(approver)


def ask(page: Page[T], port: int, *, browser: bool, seconds: float) -> T:
    """Serves the page until somebody answered it."""
    with Desk(page, port) as desk:
        progress("waiting for an answer on the page that this machine serves:")
        err.print(desk.url)
        if browser:
            webbrowser.open(desk.url)
        return desk.wait(seconds)


def _print(approver: Approver) -> None:
    facts(
        {
            "name": approver.name,
            "groups": ", ".join(approver.groups),
            "weight": str(approver.weight),
            "key": f"{approver.key.algorithm} {approver.key.public.hex()}",
            "used on": "any machine" if approver.passkey is None else ", ".join(approver.passkey.origins),
        }
    )
    err.print("\nFor the policy file, under [bold]approvers[/]; it counts once officers signed the policy:\n")
    print_json(enrolment.document(approver))


def _kind(text: str) -> Kind:
    if text not in get_args(Kind):
        raise typer.BadParameter("person or machine", param_hint="--kind")
    return cast(Kind, text)


def _algorithm(text: str) -> Algorithm:
    if text not in get_args(Algorithm):
        raise typer.BadParameter("ed25519 or p256", param_hint="--algorithm")
    return cast(Algorithm, text)


def _requester(text: str) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise Refusal("bad_approver", "a requester's key is 32 bytes in hexadecimal") from None
