"""The rules that fastconv's figures must hold, each worked out from a report.

Knows ``results``, ``peers`` and ``data``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from fastconv.bench.data import Variant
from fastconv.bench.peers import BEHIND, SCOPES, Comparison, behind, comparisons, mean_of
from fastconv.bench.results import CaseResult, Report, Row, geometric_mean

DENSE_PEAK_SHARE = 0.7
FLOAT64_SHARE = 0.45
CHANNELS_LAST_TIMES = 1.1
TWO_THREADS_TIMES = 1.7
TWO_THREADS_FLOPS = 50e6
NUMPY_TIMES = 2.0
LOOPS_TIMES = 1000.0
LENET_SECONDS = 5e-6
PEER_TIMES = 1.5
TORCH_TIMES = 2.2
RANDOM_TIMES = 1.3
WINDOW_COPY_SHARE = 0.8
OVERLAP_COPY_SHARE = 0.6
DENSE_READ_SHARE = 0.85

STREAMED_BYTES = 1e6
"""Input and output of a pooling that count as beyond the caches: more than the L2 of a core holds
with anything beside it. What the L3 has of them only makes its rule easier, for the copy bandwidth
is that of memory; below, the caches and the cost of a call are all that is measured."""

_LISTED = 8
"""Offenders named before the rest is only counted."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, what was found, and whether it held; ``None`` where nothing was measured."""

    text: str
    figure: str = "not measured"
    held: bool | None = None


def summarise(report: Report) -> list[Rule]:
    """Every rule, in a fixed order; those about peers where any was timed."""
    rules = [
        _dense_peak(report),
        _float64(report),
        _channels_last(report),
        _two_threads(report),
        _numpy(report),
        _loops(report),
        _lenet(report),
        _windows(report),
        _overlaps(report),
    ]
    found = comparisons(report)
    return rules + _against_peers(found) if found else rules


def operator_rules(report: Report) -> list[Rule]:
    """Every rule of a run of operators."""
    return [_streamed(report)]


def _plain_rows(report: Report) -> list[Row]:
    """One thread, float32, NCHW."""
    return [row for row in report.rows() if row.variant == Variant() and not row.failure]


def judge(
    text: str,
    found: Iterable[tuple[str, float]],
    holds: Callable[[float], bool],
    show: Callable[[float], str],
    largest_is_worst: bool = False,
) -> Rule:
    """Geometric mean and worst of a figure per case, and the cases that break the rule."""
    ranked = sorted(found, key=lambda pair: pair[1], reverse=largest_is_worst)
    if not ranked:
        return Rule(text)
    worst, value = ranked[0]
    mean = geometric_mean(figure for _, figure in ranked)
    figure = f"mean {show(mean)}, worst {show(value)} ({worst}), {len(ranked)} cases"
    broken = [f"{name} {show(each)}" for name, each in ranked if not holds(each)]
    if broken:
        rest = f" and {len(broken) - _LISTED} more" if len(broken) > _LISTED else ""
        figure += f"; {len(broken)} break it: {', '.join(broken[:_LISTED])}{rest}"
    return Rule(text, figure, not broken)


def _ratios(
    report: Report, over: Variant, under: Variant, choose: Callable[[CaseResult], bool]
) -> list[tuple[str, float]]:
    """Time in one variant over time in another, of the cases chosen that have both."""
    found = []
    for result in report.cases:
        top, bottom = result.seconds("fastconv", over), result.seconds("fastconv", under)
        if choose(result) and top is not None and bottom is not None:
            found.append((result.id, top / bottom))
    return found


def _dense_peak(report: Report) -> Rule:
    level = report.facts.get("config", {}).get("level", "?")
    return judge(
        f"dense layers, one thread ({level}): share of the FMA peak >= {DENSE_PEAK_SHARE}",
        [(row.result.id, row.peak_share) for row in _plain_rows(report) if row.result.dense],
        lambda share: share >= DENSE_PEAK_SHARE,
        "{:.2f}".format,
    )


def _float64(report: Report) -> Rule:
    return judge(
        f"dense layers: float64 >= {FLOAT64_SHARE} of float32's GFLOP/s",
        _ratios(report, Variant(), Variant(dtype="float64"), lambda result: result.dense),
        lambda share: share >= FLOAT64_SHARE,
        "{:.2f}".format,
    )


def _channels_last(report: Report) -> Rule:
    return judge(
        f"channels_last <= {CHANNELS_LAST_TIMES} of NCHW's time",
        _ratios(report, Variant(channels_last=True), Variant(), lambda result: result.op == "conv"),
        lambda ratio: ratio <= CHANNELS_LAST_TIMES,
        "{:.2f}".format,
        largest_is_worst=True,
    )


def _two_threads(report: Report) -> Rule:
    return judge(
        f"layers over {TWO_THREADS_FLOPS / 1e6:.0f} MFLOP: two threads >= {TWO_THREADS_TIMES}x one",
        _ratios(report, Variant(), Variant(2), lambda result: result.flops > TWO_THREADS_FLOPS),
        lambda ratio: ratio >= TWO_THREADS_TIMES,
        "{:.2f}x".format,
    )


def _numpy(report: Report) -> Rule:
    """The mean is what counts: single layers may come closer to BLAS."""
    times = [
        row.times_numpy
        for row in _plain_rows(report)
        if row.result.op == "conv" and row.times_numpy == row.times_numpy
    ]
    text = f"convolutions: geometric mean >= {NUMPY_TIMES:g}x vectorised NumPy"
    if not times:
        return Rule(text)
    mean = geometric_mean(times)
    figure = f"{mean:.1f}x, from {min(times):.1f}x to {max(times):.0f}x, {len(times)} cases"
    return Rule(text, figure, mean >= NUMPY_TIMES)


def _loops(report: Report) -> Rule:
    return judge(
        f"convolutions: >= {LOOPS_TIMES:,.0f}x the naive loops",
        [
            (row.result.id, row.times_loops)
            for row in _plain_rows(report)
            if row.result.op == "conv" and row.times_loops == row.times_loops
        ],
        lambda times: times >= LOOPS_TIMES,
        "{:,.0f}x".format,
    )


def _lenet(report: Report) -> Rule:
    text = f"LeNet-5 layers <= {LENET_SECONDS * 1e6:g} us"
    rows = [row for row in _plain_rows(report) if row.result.family == "lenet5"]
    if not rows:
        return Rule(text)
    figures = (f"{row.result.id.split('/')[1]} {row.seconds * 1e6:.2f}" for row in rows)
    return Rule(text, ", ".join(figures), all(row.seconds <= LENET_SECONDS for row in rows))


def _windows(report: Report) -> Rule:
    return _copy_share(
        report,
        "windows to 3x3 with stride 2, and global ones",
        WINDOW_COPY_SHARE,
        lambda shape: (
            shape["kind"] == "global_avg"
            or (list(shape["stride"]) == [2, 2] and max(shape["kh"], shape["kw"]) <= 3)
        ),
    )


def _overlaps(report: Report) -> Rule:
    return _copy_share(
        report,
        "3x3 windows with stride 1",
        OVERLAP_COPY_SHARE,
        lambda shape: (shape["kh"], shape["kw"], *shape["stride"]) == (3, 3, 1, 1),
    )


def _copy_share(
    report: Report, windows: str, least: float, choose: Callable[[dict[str, Any]], bool]
) -> Rule:
    return judge(
        f"poolings over {STREAMED_BYTES / 1e6:g} MB, {windows}: share of copy bandwidth >= {least}",
        [
            (row.result.id, row.copy_share)
            for row in _plain_rows(report)
            if row.result.op == "pool"
            and row.result.elements * 4 > STREAMED_BYTES
            and choose(row.result.geometry)
        ],
        lambda share: share >= least,
        "{:.2f}".format,
    )


def _streamed(report: Report) -> Rule:
    """Of one thread, whose bandwidth is what is measured."""
    return judge(
        f"dense layers of AlexNet and VGG, n1, one thread: >= {DENSE_READ_SHARE} of read bandwidth",
        [
            (row.result.id, row.read_share)
            for row in _plain_rows(report)
            if row.result.id.startswith(("linear/alexnet", "linear/vgg"))
            and row.result.geometry["n"] == 1
        ],
        lambda share: share >= DENSE_READ_SHARE,
        "{:.2f}".format,
    )


def _against_peers(found: list[Comparison]) -> list[Rule]:
    """Over every thread count that was timed."""
    networks, randoms = (
        [each for each in found if SCOPES[scope](each)] for scope in ("networks", "random list")
    )
    text = f"no layer behind the fastest peer, that is below {BEHIND} of its speed"
    losers = behind(found)
    none_behind = Rule(text, f"none of {len(found)} is", True)
    if losers:
        worst = losers[0]
        figure = f"{len(losers)} of {len(found)} are, worst {worst.where} {worst.ratio:.2f}"
        none_behind = Rule(text, figure, False)
    return [
        mean_rule(
            f"network layers: geometric mean >= {PEER_TIMES}x the fastest peer of each",
            mean_of(networks, lambda each: each.ratio),
            PEER_TIMES,
        ),
        mean_rule(
            f"random list: geometric mean >= {RANDOM_TIMES}x the fastest peer of each",
            mean_of(randoms, lambda each: each.ratio),
            RANDOM_TIMES,
        ),
        mean_rule(
            f"all layers: geometric mean >= {TORCH_TIMES}x torch, contiguous",
            mean_of(found, lambda each: each.to_torch),
            TORCH_TIMES,
        ),
        none_behind,
    ]


def mean_rule(text: str, mean: tuple[float, int] | None, least: float) -> Rule:
    if mean is None:
        return Rule(text)
    value, count = mean
    return Rule(text, f"{value:.2f}x, {count} ratios", value >= least)
