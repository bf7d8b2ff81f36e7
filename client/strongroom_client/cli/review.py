"""`strongroom evidence review|rebuilt|expiry`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from strongroom.errors import Refusal
from strongroom.evidence.nitro import unverified_timestamp
from strongroom.evidence.statement import Mode, TrustRoot
from strongroom.evidence.verify import read_document
from strongroom.signer.configuration import parse_mode
from strongroom_client import evidence, keyfiles, orders
from strongroom_client.api import unhex
from strongroom_client.cli import evidence as commands
from strongroom_client.cli import passphrase
from strongroom_client.cli.output import (
    AsJson,
    Config,
    context,
    err,
    facts,
    out,
    print_json,
    progress,
    refusals,
    table,
)
from strongroom_client.context import Context
from strongroom_client.evidence import parse_time, show_time
from strongroom_client.reviewing import expiry, packages, rebuilds, release, report
from strongroom_client.reviewing.packages import Packages
from strongroom_client.reviewing.rebuilds import Rebuild
from strongroom_client.reviewing.review import Given, Review
from strongroom_client.reviewing.review import review as hold_against

MAX_EVIDENCE: Final = 1 << 20
OWN: Final = "document"
"""Of --at: the document's own time."""

Measured = Annotated[Path, typer.Option("--release", help="The release's JSON, of `strongroom-eif build|describe`.")]
Reviews = Annotated[Path | None, typer.Option(help="The house's file of reviewed releases.")]


@refusals
def review(
    measured: Measured,
    file: Annotated[Path | None, typer.Argument(help="A Nitro attestation document, raw or base64.")] = None,
    signer: Annotated[str | None, typer.Option(help="Or: ask this signer of the context's host, now.")] = None,
    sbom: Annotated[Path | None, typer.Option(help="The release's packages: CycloneDX, JSON.")] = None,
    previous: Annotated[Path | None, typer.Option(help="JSON of the release that was reviewed last.")] = None,
    previous_sbom: Annotated[Path | None, typer.Option(help="Its packages.")] = None,
    rebuild: Annotated[list[Path] | None, typer.Option(help="A statement of a rebuild; may be repeated.")] = None,
    rebuilders: Annotated[Path | None, typer.Option(help="Names and keys of rebuilders you know: JSON.")] = None,
    needed: Annotated[int, typer.Option(min=0, help="How many of them must have got the same image.")] = 0,
    at: Annotated[
        str | None, typer.Option(help=f"Judge at this time: ISO 8601, Unix seconds, or `{OWN}`: its own. Default: now.")
    ] = None,
    mode: Annotated[str, typer.Option(help="Of a file: production (AWS's root) or simulated (with --root).")] = (
        "production"
    ),
    root: commands.Root = None,
    html: Annotated[Path | None, typer.Option(help="Write the report here: one file, without scripts.")] = None,
    reviews: Reviews = None,
    until: Annotated[str | None, typer.Option(help="Where accepted, note it in --reviews as good until then.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Hold evidence against a named release, in words. Exit status 0 where nothing is bad."""
    if (file is None) == (signer is None):
        raise typer.BadParameter("name a file, or a signer with --signer", param_hint="FILE")
    if (until is None) != (reviews is None):
        raise typer.BadParameter("--reviews and --until go together", param_hint="--until")
    named = release.load(measured)
    asked = _asked(signer or "", root, config) if file is None else _from_file(file, parse_mode(_mode(mode)), root, at)
    held = hold_against(
        Given(
            **asked,
            release=named,
            packages=_packages(sbom),
            previous=None if previous is None else release.load(previous),
            previous_packages=_packages(previous_sbom),
            rebuilds=_statements(rebuild or ()),
            builders={} if rebuilders is None else rebuilds.load_builders(rebuilders),
            needed=needed,
        )
    )
    if html is not None:
        html.write_text(report.page(held), encoding="utf-8")
    if reviews is not None and held.accepted:
        expiry.record(reviews, expiry.load(reviews), named, held.given.judgement.at, _time(until or "", "--until"))
    _say(held, as_json)


def _mode(text: str) -> str:
    if text not in ("production", "simulated"):
        raise typer.BadParameter("production or simulated", param_hint="--mode")
    return text


def _time(text: str, hint: str) -> int:
    try:
        return parse_time(text)
    except ValueError:
        raise typer.BadParameter("ISO 8601, such as 2027-02-26, or Unix seconds", param_hint=hint) from None


def _from_file(file: Path, mode: Mode, root: Path | None, at: str | None) -> dict[str, Any]:
    raw = read_document(commands.read(file))
    judgement = evidence.judge(raw, evidence.trust_root(mode, root), _moment(raw, at))
    return {"source": f"The document in {file}", "document": raw, "judgement": judgement}


def _moment(document: bytes, at: str | None) -> int:
    if at == OWN:
        return unverified_timestamp(document)
    return int(time.time()) if at is None else _time(at, "--at")


def _asked(signer: str, root: Path | None, config: Path | None) -> dict[str, Any]:
    """Fresh evidence of one signer; its registers are held against the context's roster too."""
    loaded = context(config)
    nonce = secrets.token_bytes(32)
    with loaded.api() as api:
        answer = api.evidence(signer, nonce)
    if answer.get("root") != "nitro":
        raise Refusal("evidence_root", f"{signer} is no enclave: nobody but its operator vouches for its program")
    raw = unhex(answer, "document")
    wanted, trusted = _roster(loaded, signer)
    if root is not None or trusted is None:
        trusted = evidence.trust_root(loaded.mode, root)
    return {
        "source": f"Signer {signer}, asked now",
        "document": raw,
        "judgement": evidence.judge_answer(raw, trusted, int(time.time()), nonce),
        "fresh": True,
        "roster": wanted,
    }


def _roster(loaded: Context, signer: str) -> tuple[Mapping[str, bytes], TrustRoot | None]:
    if loaded.roster is not None:
        mode, roster = orders.load_roster(loaded.roster)
        for member in (*roster, *orders.load_witnesses(loaded.roster)):
            if member.name == signer:
                return member.measurements, member.trust_root(mode)
    return {}, None


def _packages(path: Path | None) -> Packages | None:
    return None if path is None else packages.load(path)


def _statements(files: Sequence[Path]) -> tuple[tuple[str, Rebuild | Refusal], ...]:
    read: list[tuple[str, Rebuild | Refusal]] = []
    for file in files:
        try:
            read.append((file.name, rebuilds.load(file)))
        except Refusal as refusal:
            read.append((file.name, refusal))
    return tuple(read)


def _say(held: Review, as_json: bool) -> None:
    if as_json:
        print_json(_document(held))
    else:
        _print(held)
    if not held.accepted:
        raise typer.Exit(1)


def _document(held: Review) -> dict[str, Any]:
    return {
        "accepted": held.accepted,
        "release": held.given.release.name,
        "source": held.given.source,
        "findings": [{"level": each.level, "subject": each.subject, "words": each.words} for each in held.findings],
        "evidence": commands.document(held.given.judgement),
        "chain": [{"subject": each.subject, "begins": each.begins, "ends": each.ends} for each in held.chain],
        "registers": [
            {"name": each.name, "measured": each.measured.hex(), "same": each.same, "meaning": each.meaning}
            for each in held.registers
        ],
        "packages": [
            {"name": each.name, "before": each.before, "after": each.after, "same_version": each.same_version}
            for each in held.changes
        ],
    }


_COLOURS: Final = {"good": "green", "note": "yellow", "bad": "bold red"}


def _print(held: Review) -> None:
    verdict = "[bold green]accepted[/]" if held.accepted else "[bold red]refused[/]"
    judged = held.given.judgement
    out.print(f"{verdict}  mode {judged.mode}, judged at {show_time(judged.at)}")
    facts({"evidence": held.given.source, "release": held.given.release.name})
    width = max(len(each.subject) for each in held.findings)
    for each in held.findings:
        colour = _COLOURS[each.level]
        out.print(f"[{colour}]{each.level.ljust(4)}[/]  {each.subject.ljust(width)}  ", end="")
        out.print(each.words, markup=False)
    if held.changes:
        rows = [(each.name, each.before or "new", each.after or "gone") for each in held.changes]
        table("Packages", ("package", "before", "now"), rows)


@refusals
def rebuilt(
    measured: Annotated[Path, typer.Option("--release", help="JSON of the image that you built yourself.")],
    key: Annotated[Path, typer.Option(help="Your Ed25519 key; made here if there is none.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Write the statement here.")],
    sources: Annotated[str, typer.Option(help="What you built it from. Default: the commit that the file names.")] = "",
    tools: Annotated[str, typer.Option(help="What you built it with and on.")] = "",
    file: passphrase.File = None,
    descriptor: passphrase.Descriptor = None,
    as_json: AsJson = False,
) -> None:
    """Sign that you built a release from its sources, and what it measures."""
    if not key.exists():
        keyfiles.create(key, None if file is None and descriptor is None else passphrase.new(file, descriptor))
        progress(f"made {key}: hand its public half to those who review, out of band")
    private, named = keyfiles.load(key, passphrase.source(file, descriptor)), release.load(measured)
    sources = sources or named.sources
    if not sources:
        raise typer.BadParameter("the release's file names no commit: say what you built", param_hint="--sources")
    for name, text in (("--sources", sources), ("--tools", tools), ("the release's name", named.name)):
        if len(text) > rebuilds.MAX_TEXT:
            raise typer.BadParameter(f"at most {rebuilds.MAX_TEXT} characters", param_hint=name)
    public = keyfiles.public(private)
    made = Rebuild(public, named.name, sources, tools, int(time.time()), named.rebuilt)
    output.write_bytes(rebuilds.sign(made, private))
    if as_json:
        measurements = {name: value.hex() for name, value in made.measurements.items()}
        print_json({"builder": public.hex(), "release": made.release, "measurements": measurements})
    else:
        facts({"statement": str(output), "release": made.release, "your key": public.hex()})


@refusals
def due(
    reviews: Annotated[Path, typer.Option(help="The house's file of reviewed releases.")],
    threshold: Annotated[int, typer.Option(help="t of the wallets: how many signers must be up.")],
    roster: Annotated[Path | None, typer.Option(help="Roster file. Default: the context's.")] = None,
    at: Annotated[str | None, typer.Option(help="As of this time. Default: now.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Which signers' measurements are to be reviewed again: 30, 7 and 1 days ahead. Exit status 1 where any is.

    A date that passes stops nobody."""
    path = roster or context(config).roster
    if path is None:
        raise typer.BadParameter("the context names no roster", param_hint="--roster")
    _, members = orders.load_roster(path)
    moment = int(time.time()) if at is None else _time(at, "--at")
    found, away = expiry.standings(members, expiry.load(reviews), moment), expiry.may_be_away(members, threshold)
    if as_json:
        rows = [_standing(each) for each in found]
        print_json({"at": moment, "signers": rows, "may_be_away": away, "due": any(each.due for each in found)})
    else:
        rows_shown = [(each.name, _release(each), _until(each), _warning(each)) for each in found]
        table(None, ("signer", "release", "until", ""), rows_shown)
        out.print(f"all of them sign on; at most {away} may be away at once while they are replaced")
    if any(each.due for each in found):
        err.print("[yellow]review these releases again, or replace their signers one after the other[/]")
        raise typer.Exit(1)


def _standing(standing: expiry.Standing) -> dict[str, Any]:
    reviewed = standing.reviewed
    return {
        "signer": standing.name,
        "release": None if reviewed is None else reviewed.release,
        "until": None if reviewed is None else reviewed.until,
        "warning_days": standing.warning,
    }


def _release(standing: expiry.Standing) -> str:
    return "in no review" if standing.reviewed is None else standing.reviewed.release


def _until(standing: expiry.Standing) -> str:
    return "" if standing.reviewed is None else show_time(standing.reviewed.until)


def _warning(standing: expiry.Standing) -> str:
    if standing.reviewed is None:
        return "review it"
    if standing.warning is None:
        return ""
    days = f"within {standing.warning} day{'s' if standing.warning != 1 else ''}"
    return f"ends {days}" if standing.warning else "has ended"
