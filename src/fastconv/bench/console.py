"""Showing a run in a terminal: plain text, or rich's bar and table where it is installed.

Knows ``results``, ``summary`` and the modules of text.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter

from fastconv.bench.layers import Case
from fastconv.bench.peers_text import peer_lines
from fastconv.bench.results import CaseResult, Report, Row
from fastconv.bench.summary import Rule, summarise
from fastconv.bench.wording import (
    head_lines,
    show_rate,
    show_share,
    show_time,
    show_times,
    yardstick_line,
)

_WORDS = {True: "held", False: "MISSED", None: "-"}


# Heading, alignment and width in plain text, and the text of a row.
_COLUMNS: tuple[tuple[str, str, int, Callable[[Row], str]], ...] = (
    ("case", "<", 28, lambda row: row.result.id),
    ("algorithm", "<", 10, lambda row: row.algorithm),
    ("ms", ">", 8, lambda row: show_time(row.seconds)),
    ("rate", ">", 10, show_rate),
    ("share of", ">", 9, show_share),
    ("x NumPy", ">", 8, lambda row: show_times(row.times_numpy)),
    ("x loops", ">", 8, lambda row: show_times(row.times_loops)),
    ("layer", "<", 0, lambda row: row.variant.label or row.result.label),
)
_SHARE = [name for name, *_ in _COLUMNS].index("share of")


def tail_lines(report: Report) -> list[str]:
    """How the figures were taken, the rules, and the failures."""
    lines = [
        "",
        yardstick_line(report),
        "share of peak: GFLOP/s over threads x the FMA peak in between; share of copy: bytes "
        "read and written once over threads x copy bandwidth (over 100% where caches hold them).",
        "x NumPy: im2col by sliding_window_view and BLAS, in its own process; "
        "x loops: scalar Python, where that ends soon.",
        *peer_lines(report),
        "",
    ]
    lines += [f"{_WORDS[rule.held]:>6}  {rule.text}: {rule.figure}" for rule in summarise(report)]
    failures = report.failures()
    if failures:
        lines += ["", f"{len(failures)} failed:", *(f"  {line}" for line in failures)]
    return lines


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
        self._started = perf_counter()
        for line in head_lines(report):
            self._line(line)
        self._line()
        cells = (f"{name:{align}{width}}" for name, align, width, _ in _COLUMNS)
        self._line(f"{'':9} {' '.join(cells)}")

    def working(self, case: Case) -> None:
        """Nothing: the line comes when the case is done."""

    def finished(self, result: CaseResult) -> None:
        self._done += 1
        count = f"{self._done:>4}/{self._total:<4}"
        for row in self._report.rows_of(result):
            if row.failure:
                self._line(f"{count} {result.id:<28} {result.label}: FAILED: {row.failure}")
                continue
            cells = (f"{show(row):{align}{width}}" for _, align, width, show in _COLUMNS)
            self._line(f"{count} {' '.join(cells)}")
            count = " " * 9

    def end(self) -> None:
        minutes, seconds = divmod(int(perf_counter() - self._started), 60)
        self._line()
        self._line(f"{self._done} of {self._total} cases in {minutes}:{seconds:02d}")

    def conclude(self, report: Report) -> None:
        """What follows the table."""
        for line in tail_lines(report):
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

    def working(self, case: Case) -> None:
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
        for name, align, _, _ in _COLUMNS:
            table.add_column(name, justify="right" if align == ">" else "left", no_wrap=True)
        family = None
        for row in report.rows():
            if family not in (None, row.result.family):
                table.add_section()
            family = row.result.family
            if row.failure:
                table.add_row(row.result.id, row.result.label, Text("FAILED", style="bold red"))
                continue
            cells = [Text(show(row)) for *_, show in _COLUMNS]
            cells[_SHARE].stylize(_share_style(row))
            table.add_row(*cells)
        self._console.print(table)
        marks = {rule.text: rule for rule in summarise(report)}
        for line in tail_lines(report):
            self._console.print(Text(line, style=_line_style(line, marks)))


def _share_style(row: Row) -> str:
    share = row.copy_share if row.result.memory_bound else row.peak_share
    if share >= 0.7:
        return "green"
    return "yellow" if share >= 0.4 else "red"


def _line_style(line: str, rules: dict[str, Rule]) -> str:
    for text, rule in rules.items():
        if text in line:
            return {True: "green", False: "bold red", None: "dim"}[rule.held]
    return ""


def make_reporter() -> PlainReporter | RichReporter:
    """Rich on a terminal that has it; plain text everywhere else."""
    if sys.stdout.isatty():
        try:
            return RichReporter()
        except ImportError:
            pass
    return PlainReporter()
