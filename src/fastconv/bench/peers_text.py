"""The comparison with peers as lines of text.

Knows ``peers`` and ``wording``.
"""

from __future__ import annotations

from fastconv.bench.peers import (
    BEHIND,
    FIGURES,
    Comparison,
    absences,
    behind,
    comparisons,
    means,
    missing_line,
    show_threads,
)
from fastconv.bench.results import Report
from fastconv.bench.wording import show_time

_PEER = 20
"""Characters for the name of a peer."""


def peer_lines(report: Report) -> list[str]:
    """Table, means, layers behind and what is absent; nothing where no peer was timed."""
    found = comparisons(report)
    lines = kept_away(report)
    if found:
        lines = ["", *_table(found), "", *_means(found), "", *_behind(found), *lines]
    return lines


def _table(found: list[Comparison]) -> list[str]:
    lines = [
        f"{'case':28} {'threads':>7} {'algorithm':10} {'fastconv ms':>11}  "
        f"{'fastest peer':{_PEER}} {'its ms':>8} {'ratio':>6}"
    ]
    for each in found:
        mark = "  behind" if each.behind else ""
        lines.append(
            f"{each.result.id:28} {each.threads:7} {each.algorithm:10} "
            f"{show_time(each.seconds):>11}  {each.fastest:{_PEER}} "
            f"{show_time(each.peers[each.fastest]):>8} {each.ratio:6.2f}{mark}"
        )
    return lines


def _means(found: list[Comparison]) -> list[str]:
    lines = [
        "ratio: time of the fastest peer over fastconv's, above 1 fastconv is faster. Geometric "
        "means (and layers);",
        "torch alone: contiguous tensors; one-shot: torch.nn.functional.conv2d over "
        "fastconv.conv2d.",
        f"{'':25}" + "".join(f"{name:>15}" for name in FIGURES),
    ]
    for line in means(found):
        cells = (f"{mean[0]:.2f} ({mean[1]})" if mean else "-" for mean in line.figures.values())
        head = f"{show_threads(line.threads):10} {line.scope}"
        lines.append(f"{head:25}" + "".join(f"{cell:>15}" for cell in cells))
    return lines


def _behind(found: list[Comparison]) -> list[str]:
    losers = behind(found)
    return [
        f"behind, below {BEHIND} of the fastest peer: {len(losers)} of {len(found)}",
        *(
            f"  {each.where:40} {each.ratio:.2f}: {show_time(each.seconds)} ms, {each.fastest} "
            f"{show_time(each.peers[each.fastest])} ms"
            for each in losers
        ),
    ]


def kept_away(report: Report) -> list[str]:
    """Which peers are missing, in part or altogether, and why."""
    lines = [
        f"without {engine}, {reason}: {', '.join(ids)}"
        for (engine, reason), ids in absences(report).items()
    ]
    if report.facts.get("missing"):
        lines.append(missing_line(report.facts["missing"]))
    for engine, why in report.facts.get("broken", {}).items():
        lines.append(f"{engine} does not start, hence not measured: {why}")
    return lines
