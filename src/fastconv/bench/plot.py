"""The picture of a run: how near the machine's limits each layer comes, and how far past NumPy.

Needs matplotlib, which is why nothing else imports this module. Knows ``results``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from fastconv.bench.palette import COLOURS, TITLES
from fastconv.bench.results import Report, Row, geometric_mean
from fastconv.bench.summary import DENSE_PEAK_SHARE

_INK, _SOFT, _FAINT = "#222222", "#6B6B6B", "#DDDDDD"

# In bars: empty room between two families, the least room of a family's name, and the step
# within the random list, whose bars have no names.
_GAP, _LEAST, _NARROW = 1.8, 4.0, 0.42

_DASHED: dict[str, Any] = {"color": _INK, "linewidth": 0.9, "linestyle": (0, (5, 4))}

_COPY_TOP = 2.0
"""Bars of the copy panel end here: what caches hold may be copied many times faster."""

_POOL_ALPHA = 0.45

Key = Callable[[Row], float]


def draw(report: Report, path: Path) -> None:
    """Write the picture of a report that holds at least one time; the suffix tells the format."""
    rows = report.plain_rows()
    layout = ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.1)
    figure = Figure(figsize=(17, 13), layout=layout, facecolor="white")
    figure.suptitle(
        f"fastconv: {len(rows)} layers, {rows[0].variant.label or '1 thread'}\n",
        x=0.012,
        ha="left",
        fontsize=19,
        fontweight="bold",
        color=_INK,
    )
    figure.text(0.012, 0.957, _subtitle(report), ha="left", fontsize=11, color=_SOFT)
    peak, copy, times = figure.subplots(3, 1, height_ratios=(1, 0.8, 0.85))
    _draw_peak(peak, [row for row in rows if not row.result.memory_bound], report)
    _draw_copy(copy, [row for row in rows if row.result.memory_bound], report)
    _draw_times(times, [row for row in rows if not math.isnan(row.times_numpy)])
    figure.savefig(path, dpi=120)


def _subtitle(report: Report) -> str:
    config, versions = report.facts.get("config", {}), report.facts.get("versions", {})
    words = [str(config.get("cpu", "?")).strip(), f"level {config.get('level', '?')}"]
    names = ("fastconv", "numpy", "BLAS")
    words += [f"{name} {versions[name]}" for name in names if name in versions]
    return "  ·  ".join(words)


def _draw_peak(axes: Axes, rows: list[Row], report: Report) -> None:
    dense = [row.peak_share for row in rows if row.result.dense]
    _prepare(
        axes,
        "Convolutions: share of the FMA peak",
        f"of {report.peak():.0f} GFLOP/s a thread, measured in the same run; "
        f"{_mean_of(dense, 'dense layers', '{:.0%}')} (dashed: what they must reach)",
    )
    _bars(axes, rows, lambda row: row.peak_share)
    axes.axhline(DENSE_PEAK_SHARE, **_DASHED)
    axes.set_ylim(0, max([1.0, *(row.peak_share * 1.03 for row in rows)]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))


def _draw_copy(axes: Axes, rows: list[Row], report: Report) -> None:
    _prepare(
        axes,
        "Poolings and depthwise convolutions: share of copy bandwidth",
        f"bytes read and written once, of {report.copy():.1f} GB/s a thread; "
        "more than that (dashed) where the arrays stay in cache",
    )
    _bars(axes, rows, lambda row: row.copy_share, top=_COPY_TOP)
    axes.axhline(1.0, **_DASHED)
    axes.set_ylim(0, _COPY_TOP if any(row.copy_share > 1 for row in rows) else 1.05)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))


def _draw_times(axes: Axes, rows: list[Row]) -> None:
    convolutions = [row.times_numpy for row in rows if row.result.op == "conv"]
    poolings = [row.times_numpy for row in rows if row.result.op == "pool"]
    _prepare(
        axes,
        "Times faster than vectorised NumPy",
        "im2col by sliding_window_view and BLAS for convolutions, a reduction over windows for "
        f"poolings (pale); {_mean_of(convolutions, 'convolutions', '{:.1f}x')}, "
        f"{_mean_of(poolings, 'poolings', '{:.1f}x')}",
    )
    axes.set_yscale("log")
    _bars(axes, rows, lambda row: row.times_numpy, names=False, fade_pools=True)
    axes.axhline(1.0, color=_INK, linewidth=0.9)
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1, 3)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda times, _: f"{times:g}x"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _mean_of(values: list[float], what: str, form: str) -> str:
    mean = form.format(geometric_mean(values)) if values else "-"
    return f"{what}: geometric mean {mean}"


def _prepare(axes: Axes, title: str, subtitle: str) -> None:
    for text, points, size, colour in ((title, 43, 13.5, _INK), (subtitle, 27, 10, _SOFT)):
        axes.annotate(
            text,
            (0, 1),
            (-28, points),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=size,
            color=colour,
        )
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, which="both", labelcolor=_INK)
    axes.grid(axis="y", color=_FAINT, linewidth=0.8)
    axes.set_axisbelow(True)


def _bars(
    axes: Axes,
    rows: list[Row],
    key: Key,
    names: bool = True,
    top: float = math.inf,
    fade_pools: bool = False,
) -> None:
    """A bar for each row, families side by side under their names.

    Networks keep the order of their layers; the random list reads better sorted. Bars that end
    at ``top`` although they are taller get an arrow.
    """
    ticks, labels, at = [], [], 0.0
    for family, colour in COLOURS.items():
        members = [row for row in rows if row.result.family == family]
        if not members:
            continue
        step = 1.0
        if family == "random":
            members.sort(key=key, reverse=True)
            step = _NARROW
        room = max(len(members) * step, _LEAST)
        first = at + (room - (len(members) - 1) * step) / 2
        where = [first + i * step for i in range(len(members))]
        heights = [key(row) for row in members]
        base = 1.0 if axes.get_yscale() == "log" else 0.0
        shown = [min(height, top) - base for height in heights]
        drawn = axes.bar(where, shown, 0.8 * step, bottom=base, color=colour)
        for bar, row in zip(drawn, members, strict=True):
            bar.set_alpha(_POOL_ALPHA if fade_pools and row.result.op == "pool" else 1)
        for x, height in zip(where, heights, strict=True):
            if height > top:
                axes.plot(x, 0.975, "^", color="white", ms=4, transform=axes.get_xaxis_transform())
        axes.annotate(
            TITLES[family],
            (at + room / 2, 1),
            (0, 6),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            ha="center",
            fontsize=10.5,
            fontweight="bold",
            color=colour,
        )
        if names and family != "random":
            ticks += where
            labels += [row.result.id.split("/")[1] for row in members]
        at += room + _GAP
    axes.set_xlim(-0.5, max(at - _GAP, 1.0) + 0.5)
    axes.set_xticks(ticks, labels, rotation=90, fontsize=7, color=_SOFT)
