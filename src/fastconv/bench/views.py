"""What is shown of a report: the columns of its table, and the lines that follow it.

One view for the layers of networks, one for operators, one for whole networks. Knows ``results``,
the summaries and the modules of text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from fastconv.bench.networks_summary import network_rules
from fastconv.bench.networks_text import (
    fastest_peer,
    fastest_time,
    load_time,
    most_mb,
    network_lines,
    own_mb,
)
from fastconv.bench.operators_text import operator_lines, show_ratio, torch_time
from fastconv.bench.peers_text import kept_away, peer_lines
from fastconv.bench.results import Report, Row
from fastconv.bench.summary import Rule, operator_rules, summarise
from fastconv.bench.wording import (
    fit,
    show_rate,
    show_share,
    show_time,
    show_times,
    yardstick_line,
)

Styled = tuple[str, str]
"""A line and rich's style for it."""

_WORDS = {True: "held", False: "MISSED", None: "-"}
_STYLES = {True: "green", False: "bold red", None: "dim"}


def _plain(row: Row) -> str:
    return ""


def _share_style(row: Row) -> str:
    if row.share >= 0.7:
        return "green"
    return "yellow" if row.share >= 0.4 else "red"


@dataclass(frozen=True, slots=True)
class Column:
    """Heading, alignment and width in plain text; the text of a row, and its style in colours."""

    name: str
    align: Literal["<", ">"]
    width: int
    show: Callable[[Row], str]
    style: Callable[[Row], str] = _plain


@dataclass(frozen=True, slots=True)
class View:
    """Columns, and what follows the table."""

    columns: tuple[Column, ...]
    tail: Callable[[Report], list[Styled]]


def view_of(report: Report) -> View:
    """The view for what was measured."""
    options = report.facts.get("options", {})
    if options.get("networks"):
        return NETWORKS_VIEW
    return OPERATORS_VIEW if options.get("operators") else LAYERS_VIEW


def _unstyled(lines: list[str]) -> list[Styled]:
    return [(line, "") for line in lines]


def _rules(rules: Iterable[Rule]) -> list[Styled]:
    return [
        (f"{_WORDS[rule.held]:>6}  {rule.text}: {rule.figure}", _STYLES[rule.held])
        for rule in rules
    ]


def _failures(report: Report) -> list[Styled]:
    failures = report.failures()
    if not failures:
        return []
    return _unstyled(["", f"{len(failures)} failed:", *(f"  {line}" for line in failures)])


# ---- layers of networks


def _layers_tail(report: Report) -> list[Styled]:
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
    return _unstyled(lines) + _rules(summarise(report)) + _failures(report)


LAYERS_VIEW = View(
    (
        Column("case", "<", 28, lambda row: row.result.id),
        Column("algorithm", "<", 10, lambda row: row.algorithm),
        Column("ms", ">", 8, lambda row: show_time(row.seconds)),
        Column("rate", ">", 10, show_rate),
        Column("share of", ">", 9, show_share, _share_style),
        Column("x NumPy", ">", 8, lambda row: show_times(row.times_numpy)),
        Column("x loops", ">", 8, lambda row: show_times(row.times_loops)),
        Column("layer", "<", 0, lambda row: row.variant.label or row.result.label),
    ),
    _layers_tail,
)


# ---- operators


def _operators_tail(report: Report) -> list[Styled]:
    """How the figures were taken, the means, the rules, and the failures."""
    lines = [
        "",
        yardstick_line(report),
        "share of copy, read: bytes that have to move once over threads x that bandwidth of one",
        "thread (over 100% where caches hold them); of peak: GFLOP/s over threads x the FMA peak.",
        *operator_lines(report),
        *kept_away(report),
        "",
    ]
    return _unstyled(lines) + _rules(operator_rules(report)) + _failures(report)


_CASE = 50
"""Characters for name and geometry: with a count before them, lines have 100."""

OPERATORS_VIEW = View(
    (
        Column("case", "<", _CASE, lambda row: fit(f"{row.result.id} {row.result.label}", _CASE)),
        Column("thr", ">", 3, lambda row: str(row.variant.threads)),
        Column("ms", ">", 8, lambda row: show_time(row.seconds)),
        Column("torch ms", ">", 8, torch_time),
        Column("ratio", ">", 6, show_ratio),
        Column("share of", ">", 9, show_share, _share_style),
    ),
    _operators_tail,
)


# ---- whole networks


def _networks_tail(report: Report) -> list[Styled]:
    """How the figures were taken, all engines' figures, the rules, and the failures."""
    lines = [*network_lines(report), *kept_away(report), ""]
    return _unstyled(lines) + _rules(network_rules(report)) + _failures(report)


NETWORKS_VIEW = View(
    (
        Column("case", "<", 21, lambda row: row.result.id),
        Column("thr", ">", 3, lambda row: str(row.variant.threads)),
        Column("ms", ">", 8, lambda row: show_time(row.seconds)),
        Column("GFLOP/s", ">", 7, lambda row: f"{row.gflops:.1f}"),
        Column("fastest peer", "<", 17, fastest_peer),
        Column("its ms", ">", 8, fastest_time),
        Column("ratio", ">", 5, show_ratio),
        Column("MB", ">", 6, own_mb),
        Column("peers'", ">", 6, most_mb),
        Column("load ms", ">", 8, load_time("fastconv")),
        Column("ort's", ">", 8, load_time("onnxruntime")),
    ),
    _networks_tail,
)
