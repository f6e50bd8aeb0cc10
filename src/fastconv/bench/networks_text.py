"""Whole networks as text: columns of a line, tables of all engines, means.

Knows ``networks_summary`` and ``wording``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fastconv.bench.engines import PEERS
from fastconv.bench.network_cases import TOLERANCE
from fastconv.bench.networks_summary import (
    Figure,
    figure_of,
    largest_memory,
    means,
    measurement_of,
)
from fastconv.bench.peers import compare, show_threads
from fastconv.bench.results import Measurement, Report, Row
from fastconv.bench.wording import show_time

_NAME = 21
"""Characters for a network and its batch; with the threads, `_HEAD`."""

_HEAD = _NAME + 10
_WIDTHS = {name: max(8, len(name)) for name in ("fastconv", *PEERS)}

HOW = (
    "Every engine in a new process in every round, float32, in turn; medians over the rounds.",
    "ms: a call once loaded. ratio: time of the fastest peer over fastconv's.",
    "MB: peak resident memory beyond what the process had when its library was imported, and the",
    "most that a peer took. The weights' file counts where an engine maps it or reads it whole.",
    "load: from files that the system has cached to the first answer, imports excepted: .npz for",
    "fastconv and PyTorch, .onnx for ONNX Runtime and OpenVINO, .param and .bin for ncnn.",
    "Answers are compared with each other and with a float64 one computed node by node.",
    "PyTorch is eager, in inference mode. Dense layers by themselves, as shares of the read",
    "bandwidth: bench --operators --filter 'linear/(alexnet|vgg)'.",
)


def show_mb(value: float | None) -> str:
    """Megabytes.

    Examples
    --------
    >>> show_mb(12.34e6), show_mb(123.4e6), show_mb(None)
    ('12.3', '123', '')
    """
    if value is None:
        return ""
    mb = value / 1e6
    return f"{mb:.0f}" if mb >= 100 else f"{mb:.1f}"


def show_ms(seconds: float | None) -> str:
    return "" if seconds is None else show_time(seconds)


# ---- cells of fastconv's line


def fastest_peer(row: Row) -> str:
    each = compare(row.result, row.variant.threads)
    return each.fastest if each else ""


def fastest_time(row: Row) -> str:
    each = compare(row.result, row.variant.threads)
    return show_time(min(each.peers.values())) if each else ""


def load_time(engine: str) -> Callable[[Row], str]:
    """The cell of an engine's milliseconds to the first answer."""
    return lambda row: show_ms(figure_of(row.result, engine, row.variant.threads, lambda m: m.load))


def own_mb(row: Row) -> str:
    return show_mb(figure_of(row.result, "fastconv", row.variant.threads, lambda m: m.own_memory))


def most_mb(row: Row) -> str:
    """Of a peer."""
    return show_mb(largest_memory(row.result, row.variant.threads))


# ---- what follows the table


def network_lines(report: Report) -> list[str]:
    """Tables of all engines, and the means; nothing where no peer was measured."""
    engines = {m.engine for result in report.cases for m in result.measurements}
    lines = ["", *HOW]
    if engines.isdisjoint(PEERS):
        return lines
    tables: tuple[tuple[str, Figure, Callable[[float | None], str]], ...] = (
        ("ms of a call", lambda m: m.seconds, show_ms),
        ("ms from files to the first answer", lambda m: m.load, show_ms),
        ("MB at the peak, of the whole process", lambda m: m.peak_memory, show_mb),
        ("MB at the peak, beyond the imports", lambda m: m.own_memory, show_mb),
        ("difference from the others, of the largest logit", _difference, _show_difference),
    )
    for title, figure, show in tables:
        lines += ["", *_table(report, title, figure, show)]
    return [*lines, "", *_means(report)]


def _table(
    report: Report, title: str, figure: Figure, show: Callable[[float | None], str]
) -> Iterator[str]:
    """A line for every network, batch and thread count, a column for every engine."""
    yield title
    yield " " * _HEAD + "".join(f"  {name:>{width}}" for name, width in _WIDTHS.items())
    for result in report.cases:
        for threads in sorted({m.threads for m in result.measurements}):
            cells = []
            for name, width in _WIDTHS.items():
                m = measurement_of(result, name, threads)
                value = None if m is None else figure(m)
                failed = m is not None and m.failure and value is None
                cells.append(f"  {'failed' if failed else show(value):>{width}}")
            head = f"{result.id:{_NAME}} {show_threads(threads)}"
            yield (f"{head:{_HEAD}}" + "".join(cells)).rstrip()


def _difference(m: Measurement) -> float | None:
    return None if m.error is None else m.error * TOLERANCE


def _show_difference(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}"


def _means(report: Report) -> list[str]:
    found = list(means(report))
    if not found:
        return []
    columns = list(dict.fromkeys(mean.to for mean in found))
    lines = [
        "geometric means of a peer's time over fastconv's (and networks)",
        f"{'':20}" + "".join(f"  {name:>17}" for name in columns),
    ]
    for batch, threads in dict.fromkeys((mean.batch, mean.threads) for mean in found):
        cells = {
            mean.to: f"{mean.value:.2f} ({mean.count})"
            for mean in found
            if (mean.batch, mean.threads) == (batch, threads)
        }
        head = f"batch {batch}, {show_threads(threads)}"
        lines.append(f"{head:20}" + "".join(f"  {cells.get(name, ''):>17}" for name in columns))
    return lines
