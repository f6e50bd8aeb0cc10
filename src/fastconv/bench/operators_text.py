"""The operators beside PyTorch as text: means by family, and where fastconv is behind.

Knows ``peers``, ``wording`` and the families of ``operator_cases``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import isfinite

from fastconv.bench.operator_cases import OPERATOR_FAMILIES
from fastconv.bench.peers import BEHIND, Comparison, behind, compare, comparisons
from fastconv.bench.results import Report, Row, geometric_mean
from fastconv.bench.wording import show_time

LISTED_BELOW = 0.7
"""Ratios below this are listed: far enough behind that the machine's noise is no reason."""


def _compared(row: Row) -> Comparison | None:
    return None if row.failure else compare(row.result, row.variant.threads)


def torch_time(row: Row) -> str:
    """PyTorch's milliseconds at the threads of a row, empty where it was not timed."""
    each = _compared(row)
    return show_time(each.peers["torch"]) if each else ""


def show_ratio(row: Row) -> str:
    """Time of the fastest peer over fastconv's, empty where none was timed."""
    each = _compared(row)
    return f"{each.ratio:.2f}" if each else ""


@dataclass(frozen=True, slots=True)
class Group:
    """Families that have a mean together."""

    title: str
    families: Collection[str]


GROUPS = (
    *(Group(title, (family,)) for family, title in OPERATOR_FAMILIES.items()),
    Group("all random convolutions", ("conv1d", "conv3d")),
    Group("all that only move memory", ("unfold", "pad", "pool1d", "pool3d", "indices")),
    Group("all", OPERATOR_FAMILIES),
)


def operator_lines(report: Report) -> list[str]:
    """Means and shares by group, then the cases that are far behind."""
    found, rows = comparisons(report), [row for row in report.rows() if not row.failure]
    threads = sorted({row.variant.threads for row in rows})
    lines = [
        "",
        *(["ratio: PyTorch's time over fastconv's, above 1 fastconv is faster"] if found else []),
        *(_table(found, rows, threads) if rows else []),
    ]
    return [*lines, "", *_behind(found)] if found else lines


def _table(found: list[Comparison], rows: list[Row], threads: list[int]) -> list[str]:
    heads = (f"{f'{count} thr: mean':>12} {'worst':>5} {'share':>9}" for count in threads)
    lines = [f"{'geometric means (cases)':44}{''.join(heads)}"]
    measured = {row.result.family for row in rows}
    for group in GROUPS:
        if len(group.families) > 1 and len(measured & set(group.families)) < 2:
            continue  # the line of its only family says it
        cells = [_cells(group, found, rows, count) for count in threads]
        if any(map(str.strip, cells)):
            lines.append(f"{group.title:44}{''.join(cells)}".rstrip())
    return lines


def _cells(group: Group, found: list[Comparison], rows: list[Row], threads: int) -> str:
    """Mean ratio, its count, the worst and the mean share of the bandwidth, of one group."""
    ratios = [
        each.ratio
        for each in found
        if each.threads == threads and each.result.family in group.families
    ]
    members = [
        row
        for row in rows
        if row.variant.threads == threads and row.result.family in group.families
    ]
    mean = f"{geometric_mean(ratios):.2f} ({len(ratios)})" if ratios else ""
    worst = f"{min(ratios):.2f}" if ratios else ""
    return f"{mean:>12} {worst:>5} {_share(members):>9}"


def _share(rows: list[Row]) -> str:
    """Geometric mean of the shares of a bandwidth, where most rows have that yardstick."""
    for yardstick in ("copy", "read"):
        shares = [row.share for row in rows if row.yardstick == yardstick]
        if 2 * len(shares) > len(rows) and all(map(isfinite, shares)):
            return f"{geometric_mean(shares):.0%} {yardstick}"
    return ""


def _behind(found: list[Comparison]) -> list[str]:
    losers = behind(found)
    far = [each for each in losers if each.ratio < LISTED_BELOW]
    return [
        f"behind, below {BEHIND}: {len(losers)} of {len(found)}; below {LISTED_BELOW}: {len(far)}",
        *(
            f"  {each.where:48} {each.ratio:.2f}: {show_time(each.seconds)} ms, torch "
            f"{show_time(each.peers['torch'])} ms"
            for each in far
        ),
    ]
