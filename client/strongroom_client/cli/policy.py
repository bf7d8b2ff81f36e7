"""`strongroom policy check|show|sign|renew|freeze|officers|send|replay`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from strongroom.errors import Refusal
from strongroom.policy.check import Finding, findings
from strongroom.policy.directives import Directive, Freeze, NextOfficers, Renewal, officers_hash
from strongroom.policy.document import Policy
from strongroom.policy.explain import sentences
from strongroom.policy.replay import replay as judge_again
from strongroom.policy.words import moment
from strongroom.wallet.certificate import Body
from strongroom_client import directing, documents, officers, policies, replaying
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
from strongroom_client.cli.output import AsJson, Config, context, out, print_json, refusals, table
from strongroom_client.cli.tx import Lists
from strongroom_client.context import Context
from strongroom_client.policies import units
from strongroom_client.policies.proving import proofs, provers
from strongroom_client.standings import Standings

app = typer.Typer(help="Policies: check, sign, renew, freeze, replay.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="Policy file.")]


@app.command()
@refusals
def check(
    file: File,
    pins: Annotated[
        Path | None, typer.Option(help="Folder with officers.json, to hear whose loss matters. Default: the context's.")
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Say in plain sentences what a policy allows, and what its officers may regret. Exit status 1 for an error."""
    policy = policies.load(file, int(time.time()))
    folder = Context.load(config).pins if pins is None and config is not None else pins
    found = findings(policy, None if folder is None else officers.load_pins(folder))
    if as_json:
        print_json({"policy": policy.digest().hex(), "sentences": list(sentences(policy)), "findings": _rows(found)})
    else:
        _print_policy(policy, found)
    if any(finding.level == "error" for finding in found):
        raise typer.Exit(1)


def _rows(found: tuple[Finding, ...]) -> list[dict[str, str]]:
    return [{"level": each.level, "what": each.what, "text": each.text} for each in found]


def _print_policy(policy: Policy, found: tuple[Finding, ...]) -> None:
    for sentence in sentences(policy):
        out.print(sentence, markup=False)
    if found:
        out.print()
        table("Findings", ("", ""), [(each.level, each.text) for each in found])


@app.command()
@refusals
def show(
    wallet: Annotated[str, typer.Argument(help="The wallet's id.")],
    save: Annotated[Path | None, typer.Option(help="Write the newest policy to this file, to make the next.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Ask every signer afresh which policy it judges by, until when, and whether it is frozen."""
    loaded = context(config)
    with loaded.api() as api:
        body, stands = standing(loaded, api, wallet)
    newest = stands.directed.newest
    if save is not None:
        documents.write(save, policies.document(newest))
    if as_json:
        print_json({**_standings_document(stands), "newest": policies.document(newest)})
        return
    _print_standings(stands, body)
    _print_policy(newest, findings(newest, stands.office))


def _standings_document(stands: Standings) -> Json:
    views = [
        {
            "signer": name,
            "version": view.version,
            "policy": view.policy.hex(),
            "leased_until": view.leased,
            "frozen": view.frozen,
            "waiting": [{"version": version, "since": since} for version, _, since in view.waiting],
        }
        for name, view in stands.views.items()
    ]
    return {"in_force": views, "refusals": dict(stands.refusals)}


def _print_standings(stands: Standings, body: Body) -> None:
    rows = [
        (
            name,
            f"version {view.version}",
            "frozen" if view.frozen else f"until {moment(view.leased)}",
            ", ".join(f"version {version} from {moment(since)}" for version, _, since in view.waiting)
            or "nothing waits",
        )
        for name, view in stands.views.items()
    ]
    rows += [(name, "does not say", reason, "") for name, reason in stands.refusals.items()]
    table(f"Policy of {body.wallet.hex()}, by each signer's fresh evidence", ("signer", "in force", "", ""), rows)
    out.print()


# --- What officers sign ---


@app.command()
@refusals
def sign(
    policy: File,
    wallet: Wallet,
    keys: Keys = None,
    save: Save = None,
    file: passphrase.File = None,
    descriptor: passphrase.Descriptor = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Sign a policy file as the wallet's next version, and hand it to the signers."""
    loaded = context(config)
    with loaded.api() as api:
        body, stands = standing(loaded, api, wallet)
        now = int(time.time())
        made = directing.successor(policies.load(policy, now), stands.directed.newest, body.wallet)
        office = stands.office
        if not as_json:
            _print_policy(made, findings(made, office))
        sign_document(
            loaded, api, wallet, made, office.quorum, OfficerKeys(keys, office, file, descriptor), save, as_json
        )


@app.command()
@refusals
def renew(
    wallet: Wallet,
    keys: Keys = None,
    save: Save = None,
    length: Annotated[str, typer.Option("--for", help='Such as "3 days". Default: the policy\'s own lease.')] = "",
    file: passphrase.File = None,
    descriptor: passphrase.Descriptor = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Lengthen the lease of the policy in force."""
    loaded = context(config)
    with loaded.api() as api:
        body, stands = standing(loaded, api, wallet)
        policy = stands.in_force(body.order.order.threshold)
        until = int(time.time()) + (units.duration(length) if length else policy.lease)
        renewal = Renewal(body.wallet, policy.digest(), until)
        office = stands.office
        sign_document(
            loaded, api, wallet, renewal, office.quorum, OfficerKeys(keys, office, file, descriptor), save, as_json
        )


@app.command()
@refusals
def freeze(
    wallet: Wallet,
    keys: Keys = None,
    save: Save = None,
    file: passphrase.File = None,
    descriptor: passphrase.Descriptor = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Stop the wallet at once, whatever waits included. The officers' next policy thaws it."""
    loaded = context(config)
    with loaded.api() as api:
        body, stands = standing(loaded, api, wallet)
        newest = max([view.newest for view in stands.views.values()], default=stands.directed.newest.version)
        needed = (
            max(stands.directed.policy(view.policy).freezers for view in stands.views.values()) if stands.views else 1
        )
        office = stands.office
        frozen = Freeze(body.wallet, newest)
        needed = min(needed, office.quorum)
        sign_document(loaded, api, wallet, frozen, needed, OfficerKeys(keys, office, file, descriptor), save, as_json)


@app.command("officers")
@refusals
def next_officers(
    following: Annotated[Path, typer.Argument(help="Folder with the next officers.json.")],
    wallet: Wallet,
    keys: Keys = None,
    save: Save = None,
    file: passphrase.File = None,
    descriptor: passphrase.Descriptor = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Have other officers take over, after the timelock of the policy in force."""
    loaded = context(config)
    with loaded.api() as api:
        body, stands = standing(loaded, api, wallet)
        office, version = stands.office, len(stands.directed.sets) + 1
        made = NextOfficers(body.wallet, version, officers_hash(office), officers.load_pins(following))
        sign_document(
            loaded, api, wallet, made, office.quorum, OfficerKeys(keys, office, file, descriptor), save, as_json
        )


@app.command()
@refusals
def send(
    directive: Annotated[Path, typer.Argument(help="What officers signed and saved.")],
    wallet: Wallet,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Hand a saved directive to the signers; again, to those that missed it."""
    with context(config).api() as api:
        send_directive(api, wallet, Directive.decode(read_directive(directive)), as_json)


# --- Replay ---


@app.command()
@refusals
def replay(
    policy: File,
    wallet: Wallet,
    requests: Annotated[
        Path | None, typer.Option(help="File with the host's list of requests. Default: asked of the host.")
    ] = None,
    lists: Lists = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Judge past requests by this policy, and say what would have gone differently."""
    loaded, made = context(config), policies.load(policy, int(time.time()))
    with loaded.api() as api:
        body, _ = standing(loaded, api, wallet)
        rows = api.requests(wallet) if requests is None else documents.read(requests).items("requests", _row)
    past, left = replaying.past(rows, body)
    known = provers(lists or (), made)
    again = judge_again(made, past, lambda effects: proofs(known, made, effects))
    if as_json:
        print_json({"requests": replaying.document(again), "left_out": left})
        return
    changed = [each for each in replaying.document(again) if each["differs"]]
    table(
        None,
        ("request", "was", "would be", "why"),
        [
            (each["request"], each["was"], each["would_be"], each["reason"] or ", ".join(each["rules"]))
            for each in changed
        ],
    )
    out.print(
        f"{len(changed)} of {len(again)} requests would have gone differently; {len(left)} could not be replayed."
    )


def _row(value: Any) -> Json:
    if not isinstance(value, dict):
        raise Refusal("bad_file", "a request is an object, as the host lists it")
    return value
