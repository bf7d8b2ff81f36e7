"""What every command prints: one JSON document, or tables for people; refusals as code, reason and remedy."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from strongroom.errors import Refusal
from strongroom_client.api import HostRefusal
from strongroom_client.context import Context

P = ParamSpec("P")
R = TypeVar("R")

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout; progress on stderr.")]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="Context file. Default: $STRONGROOM_CONFIG, ~/.config/strongroom/config.json."),
]

PIPE_WIDTH: Final = 160

out = Console(highlight=False, soft_wrap=True)
# A pipe has no width of its own; rich would take 80.
if not out.is_terminal:
    out.width = PIPE_WIDTH
err = Console(stderr=True, highlight=False, soft_wrap=True)


def refusals(command: Callable[P, R]) -> Callable[P, R]:
    """Turns a Refusal into words (or JSON, where the command was asked for it) and exit status 1."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except Refusal as refusal:
            print_refusal(refusal, as_json=bool(kwargs.get("as_json")))
            raise typer.Exit(1) from refusal

    return wrapped


def refusal_document(refusal: Refusal) -> dict[str, Any]:
    return {
        "code": refusal.code,
        "reason": refusal.reason,
        "remedy": refusal.remedy,
        "culprits": list(refusal.culprits),
        "verdict": refusal.verdict,
        **_of_host(refusal),
    }


def _of_host(refusal: Refusal) -> dict[str, Any]:
    if not isinstance(refusal, HostRefusal):
        return {}
    signers = [{"signer": name, "code": own.code, "reason": own.reason} for name, own in refusal.refusals]
    return {"request": refusal.request, "signers": signers}


def print_refusal(refusal: Refusal, *, as_json: bool) -> None:
    if as_json:
        print_json({"refused": refusal_document(refusal)})
        return
    err.print(f"[bold red]refused[/]  {refusal.code}")
    err.print(f"why      {escape(refusal.reason)}")
    if refusal.culprits:
        err.print(f"who      {escape(', '.join(refusal.culprits))} ({refusal.verdict or 'no verdict'})")
    if isinstance(refusal, HostRefusal):
        for name, own in refusal.refusals:
            err.print(f"         {name}: {own.code}, {escape(own.reason)}")
        if refusal.request is not None:
            err.print(f"request  {escape(refusal.request)}")
    err.print(f"now      {escape(refusal.remedy)}")


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
    # `strongroom up --json` goes on for hours after it said what it started.
    sys.stdout.flush()


def progress(text: str) -> None:
    err.print(f"[dim]{escape(text)}[/]")


def table(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table for people; cells are plain text."""
    grid = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(escape(cell) for cell in row))
    out.print(grid, soft_wrap=False)


def facts(pairs: Mapping[str, str]) -> None:
    """Names and values, one to a line."""
    width = max((len(name) for name in pairs), default=0)
    for name, value in pairs.items():
        out.print(f"[dim]{name.ljust(width)}[/]  {escape(value)}")


def context(path: Path | None) -> Context:
    """The context; a mode other than production is always said aloud."""
    loaded = Context.load(path)
    if loaded.mode != "production":
        err.print(
            "[yellow]mode simulated: roots and measurements are this machine's own, nothing is proved to anyone[/]"
        )
    return loaded
