"""Whole networks beside the peers: means, and the rules that fastconv's figures must hold.

Knows ``results``, ``peers`` and ``summary``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fastconv.bench.data import Variant
from fastconv.bench.engines import PEERS
from fastconv.bench.peers import BEHIND, Comparison, comparisons, mean_of
from fastconv.bench.results import CaseResult, Measurement, Report
from fastconv.bench.summary import Rule, judge, mean_rule

PEER_TIMES = 1.3
REFERENCE_TIMES = 20.0
LENET_SECONDS = 45e-6

Figure = Callable[[Measurement], float | None]


@dataclass(frozen=True, slots=True)
class Mean:
    """Geometric mean of ratios of some networks, at one batch and thread count."""

    batch: int
    threads: int
    to: str
    value: float
    count: int


def batch_of(result: CaseResult) -> int:
    batch: int = result.geometry["n"]
    return batch


def measurement_of(result: CaseResult, engine: str, threads: int) -> Measurement | None:
    """What was measured of an engine, ``None`` where it was not asked."""
    wanted = Variant(threads)
    found = (m for m in result.measurements if m.engine == engine and m.variant == wanted)
    return next(found, None)


def figure_of(result: CaseResult, engine: str, threads: int, figure: Figure) -> float | None:
    """A figure of an engine, ``None`` where it failed or was not asked."""
    m = measurement_of(result, engine, threads)
    return None if m is None else figure(m)


def largest_memory(result: CaseResult, threads: int) -> float | None:
    """Most bytes that a peer took beyond its imports."""
    figures = (figure_of(result, peer, threads, lambda m: m.own_memory) for peer in PEERS)
    return max((figure for figure in figures if figure is not None), default=None)


def means(report: Report) -> Iterator[Mean]:
    """Over the fastest peer of each network, then over every peer."""
    found = comparisons(report)
    for batch, threads in sorted({(batch_of(each.result), each.threads) for each in found}):
        members = [
            each for each in found if (batch_of(each.result), each.threads) == (batch, threads)
        ]
        for to, figure in _FIGURES.items():
            mean = mean_of(members, figure)
            if mean:
                yield Mean(batch, threads, to, *mean)


def _ratio_to(peer: str) -> Callable[[Comparison], float | None]:
    return lambda each: each.peers[peer] / each.seconds if peer in each.peers else None


_FIGURES: dict[str, Callable[[Comparison], float | None]] = {
    "fastest peer": lambda each: each.ratio,
    **{peer: _ratio_to(peer) for peer in PEERS},
}


def network_rules(report: Report) -> list[Rule]:
    """Every rule, in a fixed order."""
    single = [each for each in comparisons(report) if batch_of(each.result) == 1]
    times = "{:.2f}x".format
    return [
        judge(
            f"no network behind the fastest peer at batch 1, that is below {BEHIND} of its speed",
            [(each.where, each.ratio) for each in single],
            lambda ratio: ratio >= BEHIND,
            times,
        ),
        mean_rule(
            f"batch 1: geometric mean >= {PEER_TIMES}x the fastest peer of each",
            mean_of(single, lambda each: each.ratio),
            PEER_TIMES,
        ),
        judge(
            "memory beyond the imports: never above that of the peer with the most",
            list(_memory(report)),
            lambda ratio: ratio <= 1,
            times,
            largest_is_worst=True,
        ),
        judge(
            "loading, up to the first answer: at most onnxruntime's time",
            list(_loading(report)),
            lambda ratio: ratio <= 1,
            times,
            largest_is_worst=True,
        ),
        judge(
            f">= {REFERENCE_TIMES:g}x the reference of onnx",
            list(_over_reference(report)),
            lambda ratio: ratio >= REFERENCE_TIMES,
            "{:.0f}x".format,
        ),
        _lenet(report),
    ]


def _ours(report: Report) -> Iterator[tuple[CaseResult, Measurement, str]]:
    """What fastconv was measured on, with a name for lists."""
    for result in report.cases:
        for m in result.measurements:
            if m.engine == "fastconv" and not m.failure:
                yield result, m, f"{result.id} t{m.threads}"


def _memory(report: Report) -> Iterator[tuple[str, float]]:
    # Beyond the imports is the stricter question: every process imports fastconv, and peers their
    # libraries on top of it.
    for result, m, name in _ours(report):
        most = largest_memory(result, m.threads)
        if most and m.own_memory:
            yield name, m.own_memory / most


def _loading(report: Report) -> Iterator[tuple[str, float]]:
    for result, m, name in _ours(report):
        theirs = figure_of(result, "onnxruntime", m.threads, lambda m: m.load)
        if theirs and m.load:
            yield name, m.load / theirs


def _over_reference(report: Report) -> Iterator[tuple[str, float]]:
    for result, m, name in _ours(report):
        theirs = figure_of(result, "onnx.reference", m.threads, lambda m: m.seconds)
        if theirs and m.seconds:
            yield name, theirs / m.seconds


def _lenet(report: Report) -> Rule:
    text = f"LeNet-5 at batch 1 <= {LENET_SECONDS * 1e6:g} us"
    found = [
        (name, m.seconds)
        for result, m, name in _ours(report)
        if result.id == "lenet5 n1" and m.seconds
    ]
    figure = ", ".join(f"{name} {seconds * 1e6:.1f}" for name, seconds in found)
    return Rule(text, figure, all(s <= LENET_SECONDS for _, s in found)) if found else Rule(text)
