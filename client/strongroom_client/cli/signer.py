"""`strongroom signer list`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import typer

from strongroom.policy.words import moment
from strongroom.wallet.order import Member
from strongroom_client import orders
from strongroom_client.api import Json
from strongroom_client.cli.output import AsJson, Config, context, out, print_json, refusals, table

app = typer.Typer(help="The signers that the host knows.", no_args_is_help=True)

LABELS = ("sealed_by", "computes_in", "code_attested_by", "operator", "account", "region", "machine")


@app.callback()
def group() -> None:
    """The signers that the host knows."""


@app.command("list")
@refusals
def list_signers(config: Config = None, as_json: AsJson = False) -> None:
    """Phase, labels, use, suites and journals of every signer, as the host tells it; labels that it has from no order
    yet, as the context's roster tells them. `wallet verify` is what proves it."""
    loaded = context(config)
    with loaded.api() as api:
        signers = labelled(api.signers(), () if loaded.roster is None else orders.load_roster(loaded.roster)[1])
    if as_json:
        print_json({"mode": loaded.mode, "signers": signers})
        return
    table("Signers (the host's word)", ("name", "mode", "root", "phase", *map(_heading, LABELS)), map(_row, signers))
    out.print()
    if loads := load_rows(signers):
        table("Use, of what a signer allows", ("signer", "order", "whose", "in flight", "window", "refused"), loads)
        out.print()
    if events := event_rows(signers):
        table("Bounds that were approached", ("signer", "order", "whose", "when", "what"), events)
        out.print()
    table("Suites", ("scheme", "library", "version", "auditor", "randomness", "signers"), suite_rows(signers))
    if rows := journal_rows(signers):
        out.print()
        table("Journals", ("wallet", "signer", "state", "start", "entries", "digest"), rows)


def labelled(signers: Iterable[Json], roster: Iterable[Member]) -> list[Json]:
    """The host learns labels from orders: before the first wallet it has none, and the roster has them."""
    known = {member.name: member.labels.value() for member in roster}
    return [
        {**signer, "labels": known[str(signer.get("name"))]}
        if not signer.get("labels") and signer.get("name") in known
        else signer
        for signer in signers
    ]


def _heading(name: str) -> str:
    return name.replace("_", " ")


def _row(signer: Json) -> list[str]:
    labels: Mapping[str, Any] = signer.get("labels") or {}
    phase = str(signer.get("phase", "unreachable"))
    if reason := signer.get("reason"):
        phase = f"{phase}: {reason}"
    head = [str(signer.get("name")), str(signer.get("mode", "?")), str(signer.get("root", "?")), phase]
    return head + [str(labels.get(name, "?")) for name in LABELS]


def load_rows(signers: Iterable[Json]) -> list[list[str]]:
    """Of every wallet that a signer did something for lately: in signatures, against its bounds."""
    rows: list[list[str]] = []
    for name, order, load in _loads(signers):
        if not (load["spent"] or load["inflight"] or load.get("refused")):
            continue
        whole = (
            f"{used} of {most}" for used, most in zip((load["inflight"], load["spent"]), load["most"], strict=True)
        )
        rows.append([name, order, "the wallet", *whole, str(load.get("refused", 0))])
        for key, *used in load["requesters"]:
            own = (f"{each} of {most}" for each, most in zip(used, load["requester_most"], strict=True))
            rows.append([name, order, f"requester {key[:16]}", *own, ""])
    return rows


def event_rows(signers: Iterable[Json]) -> list[list[str]]:
    return [
        [
            name,
            order,
            "the wallet" if key is None else f"requester {key[:16]}",
            moment(at),
            f"{used} of {most} signatures " + ("in flight" if bound == "inflight" else f"within {load['seconds']} s"),
        ]
        for name, order, load in _loads(signers)
        for at, key, bound, used, most in load.get("events", ())
    ]


def _loads(signers: Iterable[Json]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(signer, order, its `load`), docs/specification.md section 9."""
    for signer in signers:
        for wallet in signer.get("wallets") or ():
            if load := wallet.get("load"):
                yield str(signer.get("name")), str(wallet.get("order"))[:16], load


def suite_rows(signers: list[Json]) -> list[list[str]]:
    """One row for each suite and version, with the signers that run it."""
    runs: dict[tuple[str, ...], list[str]] = {}
    for signer in signers:
        for suite in signer.get("suites") or ():
            key = tuple(str(suite.get(name)) for name in ("suite", "library", "version", "auditor", "randomness"))
            runs.setdefault(key, []).append(str(signer.get("name")))
    return [[*key, ", ".join(names)] for key, names in sorted(runs.items())]


def journal_rows(signers: list[Json]) -> list[list[str]]:
    """One for each journal that a signer has opened; digests are equal where two remember the same."""
    rows = []
    for signer in signers:
        for wallet in signer.get("wallets") or ():
            journal = wallet.get("journal")
            if journal:
                state = "joined" if journal.get("joined") else "not joined"
                said = [str(journal.get(name)) for name in ("incarnation", "entries", "digest")]
                name = str(wallet.get("wallet") or wallet.get("order"))
                rows.append([name[:16], str(signer.get("name")), state, *said[:2], said[2][:16]])
    return sorted(rows)
