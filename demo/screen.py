"""What the demo prints: numbered steps, each with what it proves."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from strongroom.errors import Refusal

PIPE_WIDTH: Final = 120


class Screen:
    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        # A pipe has no width of its own; rich would take 80.
        if not self.console.is_terminal:
            self.console.width = PIPE_WIDTH
        self._began = time.monotonic()
        self._step = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def step(self, title: str, proves: str) -> None:
        self._step += 1
        self.console.print(f"\n[bold]{self._step:2}  {escape(title)}[/]  [dim]{self.seconds:.1f} s[/]")
        self.console.print(f"    [dim]proves: {escape(proves)}[/]")

    def say(self, text: str) -> None:
        self.console.print(f"    {escape(text)}")

    def note(self, text: str) -> None:
        self.console.print(f"    [dim]{escape(text)}[/]")

    def good(self, text: str) -> None:
        self.console.print(f"    [green]✓[/] {escape(text)}")

    def refused(self, by: str, refusal: Refusal) -> None:
        blamed = f", culprit {', '.join(refusal.culprits)} ({refusal.verdict or 'named'})" if refusal.culprits else ""
        self.console.print(f"    [yellow]✋ {escape(by)} refuses[/]  [bold]{refusal.code}[/]{escape(blamed)}")
        self.console.print(f"       [dim]{escape(refusal.reason)}[/]")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        grid = Table(box=None, pad_edge=False, header_style="dim", show_header=any(columns))
        lines = [[escape(cell) for cell in row] for row in rows]
        widths = [max(len(line[index]) for line in (columns, *lines)) for index in range(len(columns))]
        # All columns keep their width, but for the last, which takes what is left.
        widths[-1] = min(widths[-1], self.console.width - sum(widths[:-1]) - 2 * len(columns))
        for column, width in zip(columns, widths, strict=True):
            grid.add_column(column, overflow="ellipsis", no_wrap=True, width=max(width, 8))
        for line in lines:
            grid.add_row(*line)
        self.console.print(grid, soft_wrap=False)
