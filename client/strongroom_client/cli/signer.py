"""`strongroom signer list`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import typer

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
    """Phase, labels and suites of every signer, as the host tells it; labels that it has from no order yet, as the
    context's roster tells them. `wallet verify` is what proves it."""
    loaded = context(config)
    with loaded.api() as api:
        signers = labelled(api.signers(), () if loaded.roster is None else orders.load_roster(loaded.roster)[1])
    if as_json:
        print_json({"mode": loaded.mode, "signers": signers})
        return
    table("Signers (the host's word)", ("name", "mode", "root", "phase", *map(_heading, LABELS)), map(_row, signers))
    out.print()
    table("Suites", ("scheme", "library", "version", "auditor", "randomness", "signers"), suite_rows(signers))


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


def suite_rows(signers: list[Json]) -> list[list[str]]:
    """One row for each suite and version, with the signers that run it."""
    runs: dict[tuple[str, ...], list[str]] = {}
    for signer in signers:
        for suite in signer.get("suites") or ():
            key = tuple(str(suite.get(name)) for name in ("suite", "library", "version", "auditor", "randomness"))
            runs.setdefault(key, []).append(str(signer.get("name")))
    return [[*key, ", ".join(names)] for key, names in sorted(runs.items())]
