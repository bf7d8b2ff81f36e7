"""`strongroom approve`: shows what the very bytes would do, and signs a decision on them."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, cast, get_args

import typer
from rich.markup import escape

from strongroom.approval import Approval, Approver, Decision, verify
from strongroom.errors import Refusal
from strongroom_client.api import Api, Json
from strongroom_client.approving import fetching, keys, page
from strongroom_client.approving.reading import Line, Reading
from strongroom_client.approving.server import PORT, Done, Page
from strongroom_client.cli import passphrase
from strongroom_client.cli.approver import Browser, Seconds, ask
from strongroom_client.cli.output import AsJson, Config, context, err, facts, out, print_json, progress, refusals
from strongroom_client.evidence import show_time

_HERE: Final = re.compile(r"http://localhost(?::([0-9]+))?")

_DONE: Final[Mapping[Decision, str]] = {"approve": "You approved it", "reject": "You rejected it"}


@refusals
def approve(
    request: Annotated[str, typer.Argument(help="The request's id, in hexadecimal.")],
    name: Annotated[str, typer.Option("--as", help="Your name in the wallet's policy.")],
    key: Annotated[Path | None, typer.Option(help="Your key file. Default: your passkey, in the browser.")] = None,
    decision: Annotated[
        str | None, typer.Option(help="approve or reject, with a key file, without being asked.")
    ] = None,
    on_page: Annotated[bool, typer.Option("--page", help="Decide in the browser with a key file too.")] = False,
    browser: Browser = True,
    timeout: Seconds = 600.0,
    file: passphrase.File = None,
    descriptor: passphrase.Descriptor = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Decode a request here, show what it would do, and approve or reject it with your own key."""
    loaded, stated = context(config), _decision(decision)
    with loaded.api() as api:
        reading = fetching.fetch(api, request, officers=loaded.officers(), mode=loaded.mode)
        approver = reading.approver(name)
        if not as_json:
            _print(reading)
        if key is not None:
            secret = keys.load(key, passphrase.source(file, descriptor))
        elif approver.passkey is None:
            raise Refusal("bad_file", f"{approver.name} approves with a key file: name it with --key")
        elif stated is not None:
            raise typer.BadParameter("a passkey decides on the page", param_hint="--decision")
        if key is None or on_page:
            held = None if key is None else secret
            answer = ask(_page(api, reading, approver, held), _port(approver), browser=browser, seconds=timeout)
        else:
            chosen = stated or _choose()
            answer = _send(api, reading, keys.sign(secret, approver, chosen, reading.intent.intent_id))
    _report(answer, as_json)


def _page(api: Api, reading: Reading, approver: Approver, secret: keys.Secret | None) -> Page[Json]:
    def answer(said: Mapping[str, Any]) -> Done[Json]:
        decision = cast(Decision, said.get("decision"))
        if decision not in get_args(Decision):
            raise Refusal("malformed_message", "the page's answer has no decision")
        if secret is not None:
            approval = keys.sign(secret, approver, decision, reading.intent.intent_id)
        else:
            approval = Approval(approver.name, decision, keys.assertion(said))
            verify(approval, approver, reading.intent.intent_id)
        result = _send(api, reading, approval)
        return Done(result, _DONE[decision], f"The host says: {_state(result)}. You can close this page.")

    return Page(page.approval(reading, approver), "approve.js", answer)


def _send(api: Api, reading: Reading, approval: Approval) -> Json:
    """What the host made of it: a request that waits on, or that was signed with this as the last one."""
    raw = approval.encode()
    answer = api.approve(reading.intent.request.hex(), raw)
    return {
        "request": reading.intent.request.hex(),
        "approver": approval.approver,
        "decision": approval.decision,
        "intent_id": reading.intent.intent_id.hex(),
        "approval": raw.hex(),
        "state": answer.get("state"),
        "missing": answer.get("missing"),
    }


def _state(answer: Json) -> str:
    missing = answer.get("missing")
    waits = f", waiting: {'; '.join(map(str, missing))}" if isinstance(missing, list) and missing else ""
    return f"{answer.get('state')}{waits}"


def _port(approver: Approver) -> int:
    """Of the page on which this approver's passkey works; any, for a key file."""
    if approver.passkey is None:
        return PORT
    for origin in approver.passkey.origins:
        here = _HERE.fullmatch(origin)
        if here is not None:
            return int(here[1] or 80)
    raise Refusal(
        "page_unavailable", f"this passkey is for {', '.join(approver.passkey.origins)}, not for this machine"
    )


def _choose() -> Decision:
    if not sys.stdin.isatty():
        raise Refusal("no_decision", "there is no terminal to ask at: say --decision approve or --decision reject")
    while True:
        chosen = typer.prompt("Type approve or reject", err=True).strip()
        if chosen in get_args(Decision):
            return cast(Decision, chosen)


def _decision(text: object) -> Decision | None:
    if text is None:
        return None
    if text not in get_args(Decision):
        raise typer.BadParameter("approve or reject", param_hint="--decision")
    return cast(Decision, text)


# --- Words ---


def _print(reading: Reading) -> None:
    intent = reading.intent
    out.print()
    for line in reading.lines:
        _print_line(line)
    rows = {"fee": " = ".join(reading.fee)} if reading.fee else {}
    if intent.replaces is not None:
        rows["replaces"] = intent.replaces.hex()
    rows |= {
        "from": ", ".join(reading.accounts),
        "on": reading.effects.chain or "no chain: a text, bound to this wallet",
        "asked by": intent.requester.hex(),
        "ends": show_time(intent.expiry),
        "compare": f"{reading.code}, with whoever asked, by another channel",
        "policy": f"{reading.version}, {intent.policy.hex()}",
        "demands": "; ".join(map(str, reading.demands)) or "no approval",
        "approved by": ", ".join(reading.counted.approved) or "nobody yet",
    }
    if reading.counted.rejected:
        rows["rejected by"] = ", ".join(reading.counted.rejected)
    facts(rows)
    if reading.refused is not None:
        err.print(f"[yellow]the policy would refuse it: {escape(reading.refused)}[/]")
    out.print()


def _print_line(line: Line) -> None:
    out.print(f"[bold]{escape(' '.join(filter(None, (line.verb, line.amount))))}[/]")
    if line.exact:
        out.print(f"  {escape(line.exact)}")
    if line.to:
        label = f" ({line.known.label}, on list {line.known.list})" if line.known else ""
        out.print(f"  to {escape(line.to + label)}")
    for text in line.text.split("\n") if line.text else ():
        out.print(f"  | {escape(text)}")
    for warning in line.warnings:
        out.print(f"  [yellow]{escape(warning)}[/]")
    out.print()


def _report(answer: Json, as_json: bool) -> None:
    if as_json:
        print_json(dict(answer))
        return
    progress(f"{_DONE[cast(Decision, answer['decision'])]}: {_state(answer)}")
