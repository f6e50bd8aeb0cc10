"""Figures and the heading of a report in words, for the terminal and the page.

Knows ``results``.
"""

from __future__ import annotations

from math import isnan

from fastconv.bench.results import Report, Row


def show_time(seconds: float) -> str:
    """Milliseconds with four digits.

    Examples
    --------
    >>> show_time(2.3456e-6), show_time(0.1)
    ('0.002346', '100.0')
    """
    ms = seconds * 1e3
    return f"{ms:.6f}" if ms < 0.01 else f"{ms:#.4g}"


def show_times(ratio: float) -> str:
    """How many times faster, empty where it was not measured."""
    if isnan(ratio):
        return ""
    return f"{ratio:,.0f}x" if ratio >= 100 else f"{ratio:.1f}x"


def show_rate(row: Row) -> str:
    if row.result.op == "pool":
        return f"{row.gbytes:.1f} GB/s"
    return f"{row.gflops:.1f} GF/s"


def show_share(row: Row) -> str:
    """Of the yardstick that suits the case, empty where it has none."""
    return "" if isnan(row.share) else f"{row.share:.0%} {row.yardstick}"


def fit(text: str, width: int) -> str:
    """As much of a text as so many characters hold.

    Examples
    --------
    >>> fit("convolution", 8), fit("conv", 8)
    ('convol..', 'conv')
    """
    return text if len(text) <= width else text[: width - 2] + ".."


_BUSY = 0.5
"""Load average, in cores, from which a report warns: an idle machine stays below."""


def head_lines(report: Report) -> list[str]:
    """Machine, versions and yardsticks."""
    config, versions = report.facts.get("config", {}), report.facts.get("versions", {})
    machine = report.facts.get("machine", {})
    load = machine.get("load", 0.0)
    busy = (
        f"WARNING: other processes kept {load:.1f} cores busy in the minute before: what threads "
        "that wait for each other take then says little"
    )
    return [
        f"{config.get('cpu', '?')}, {machine.get('cores', '?')} cores, "
        f"level {config.get('level', '?')}, {machine.get('platform', '?')}",
        ", ".join(f"{name} {version}" for name, version in versions.items()),
        *([busy] if load > _BUSY else []),
    ]


def yardstick_line(report: Report) -> str:
    """The medians that shares refer to, and how far single readings lay apart."""
    parts = []
    for dtype in report.dtypes():
        values = report.peaks(dtype)
        parts.append(
            f"{report.peak(dtype):.0f} GFLOP/s of {dtype} FMA "
            f"({min(values):.0f} to {max(values):.0f})"
        )
    if report.copies:
        parts.append(f"copy {report.copy():.1f} GB/s")
    if any(result.read_bound for result in report.cases):
        parts.append(f"read {report.read():.1f} GB/s")
    return "one thread's yardsticks, medians over the run: " + ", ".join(parts)
