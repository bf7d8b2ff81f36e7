"""Rows of a benchmark: written as JSON for machines, printed as a table for people."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).resolve().parent.parent / "build" / "bench"


@dataclass(frozen=True)
class Row:
    """goal: None where there is none to meet; met: None then too."""

    metric: str
    value: float
    unit: str
    goal: str | None = None
    met: bool | None = None


def plain(metric: str, value: float, unit: str) -> Row:
    return Row(metric, round(value, 4), unit)


def at_most(metric: str, value: float, unit: str, limit: float) -> Row:
    return Row(metric, round(value, 4), unit, f"<= {limit}", value <= limit)


def at_least(metric: str, value: float, unit: str, limit: float) -> Row:
    return Row(metric, round(value, 4), unit, f">= {limit}", value >= limit)


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def write(name: str, rows: Sequence[Row]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    table = Table(title=f"{name} (build/bench/{name}.json)")
    for column in ("metric", "value", "unit", "goal", "met"):
        table.add_column(column)
    for row in rows:
        met = "" if row.met is None else "yes" if row.met else "no"
        table.add_row(row.metric, f"{row.value:g}", row.unit, row.goal or "", met)
    Console().print(table)
