"""Showing a run in a terminal: plain text, or rich's bar and table where it is installed.

Knows ``results`` and ``views``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter
from typing import Literal

from fastconv.bench.network_cases import Entry
from fastconv.bench.results import CaseResult, Report
from fastconv.bench.views import view_of
from fastconv.bench.wording import head_lines, show_rate, show_share


class PlainReporter:
    """A line for every case as soon as it is done; fit for pipes and log files."""

    def __init__(self, write: Callable[[str], object] = sys.stdout.write) -> None:
        self._write = write
        self._total = self._done = 0
        self._report = Report()
        self._started = perf_counter()

    def _line(self, text: str = "") -> None:
        self._write(text.rstrip() + "\n")
        sys.stdout.flush()

    def begin(self, report: Report, total: int) -> None:
        self._report, self._total, self._done = report, total, 0
        self._columns = view_of(report).columns
        self._started = perf_counter()
        for line in head_lines(report):
            self._line(line)
        self._line()
        cells = (f"{column.name:{column.align}{column.width}}" for column in self._columns)
        self._line(f"{'':9} {' '.join(cells)}")

    def working(self, case: Entry) -> None:
        """Nothing: the line comes when the case is done."""

    def finished(self, result: CaseResult) -> None:
        self._done += 1
        count = f"{self._done:>4}/{self._total:<4}"
        for row in self._report.rows_of(result):
            if row.failure:
                self._line(f"{count} {result.id:<28} {result.label}: FAILED: {row.failure}")
                continue
            cells = (f"{each.show(row):{each.align}{each.width}}" for each in self._columns)
            self._line(f"{count} {' '.join(cells)}")
            count = " " * 9

    def end(self) -> None:
        minutes, seconds = divmod(int(perf_counter() - self._started), 60)
        self._line()
        self._line(f"{self._done} of {self._total} cases in {minutes}:{seconds:02d}")

    def conclude(self, report: Report) -> None:
        """What follows the table."""
        for line, _ in view_of(report).tail(report):
            self._line(line)


class RichReporter:
    """A live bar while cases run, then a table."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._console = Console(highlight=False)
        self._progress = Progress(
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[last]}"),
            console=self._console,
        )
        self._report = Report()

    def begin(self, report: Report, total: int) -> None:
        self._report = report
        for line in head_lines(report):
            self._console.print(line, style="dim", markup=False)
        self._task = self._progress.add_task("", total=total, last="")
        self._progress.start()

    def working(self, case: Entry) -> None:
        self._progress.update(self._task, description=case.id)

    def finished(self, result: CaseResult) -> None:
        rows = [row for row in self._report.rows_of(result) if not row.failure]
        last = f"{show_rate(rows[0]):>10} {show_share(rows[0]):>9}" if rows else ""
        self._progress.update(self._task, advance=1, last=last)

    def end(self) -> None:
        self._progress.stop()

    def conclude(self, report: Report) -> None:
        """The table, and what follows it."""
        from rich.table import Table
        from rich.text import Text

        table = Table(header_style="bold", box=None, padding=(0, 1), pad_edge=False)
        view = view_of(report)
        for each in view.columns:
            justify: Literal["left", "right"] = "right" if each.align == ">" else "left"
            table.add_column(each.name, justify=justify, no_wrap=True)
        family = None
        for row in report.rows():
            if family not in (None, row.result.family):
                table.add_section()
            family = row.result.family
            if row.failure:
                table.add_row(row.result.id, row.result.label, Text("FAILED", style="bold red"))
                continue
            table.add_row(*(Text(each.show(row), style=each.style(row)) for each in view.columns))
        self._console.print(table)
        for line, style in view.tail(report):
            self._console.print(Text(line, style=style))


def make_reporter() -> PlainReporter | RichReporter:
    """Rich on a terminal that has it; plain text everywhere else."""
    if sys.stdout.isatty():
        try:
            return RichReporter()
        except ImportError:
            pass
    return PlainReporter()
