"""fastconv beside its peers: the ratios of a run, and their means.

Every ratio is a peer's time over fastconv's at the same thread count, float32 in NCHW: above one,
fastconv is the faster. Knows ``results`` and the names of the engines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fastconv.bench.data import Variant
from fastconv.bench.engines import ONE_SHOT_PAIR, PEERS
from fastconv.bench.results import CaseResult, Report, geometric_mean

BEHIND = 0.97
"""Below this ratio a layer is behind: the rest of the way to one is noise."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A case at one thread count, with the seconds of every peer that was timed."""

    result: CaseResult
    threads: int
    algorithm: str
    seconds: float
    peers: dict[str, float]
    one_shot: float | None

    @property
    def fastest(self) -> str:
        """Name of the fastest peer."""
        return min(self.peers, key=lambda name: self.peers[name])

    @property
    def ratio(self) -> float:
        """To the fastest peer."""
        return min(self.peers.values()) / self.seconds

    @property
    def to_torch(self) -> float | None:
        """The ratio to PyTorch on contiguous tensors."""
        return self.peers["torch"] / self.seconds if "torch" in self.peers else None

    @property
    def behind(self) -> bool:
        return self.ratio < BEHIND

    @property
    def where(self) -> str:
        """Case and thread count, for lists."""
        return f"{self.result.id} ({show_threads(self.threads)})"


@dataclass(frozen=True, slots=True)
class Means:
    """Geometric means over some cases, each with the number of ratios; ``None`` without any."""

    threads: int
    scope: str
    figures: dict[str, tuple[float, int] | None]


def show_threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"


def comparisons(report: Report) -> list[Comparison]:
    """Every case and thread count that fastconv and at least one peer were timed on."""
    return [
        found
        for result in report.cases
        for threads in sorted({m.threads for m in result.measurements})
        if (found := compare(result, threads))
    ]


def compare(result: CaseResult, threads: int) -> Comparison | None:
    """A case at one thread count, ``None`` unless both sides were timed."""
    variant = Variant(threads)
    timed = {
        m.engine: m for m in result.measurements if m.variant == variant and m.seconds is not None
    }
    seconds = {name: m.seconds for name, m in timed.items() if m.seconds is not None}
    peers = {name: seconds[name] for name in PEERS if name in seconds}
    if "fastconv" not in seconds or not peers:
        return None
    ours, theirs = (seconds.get(name) for name in ONE_SHOT_PAIR)
    return Comparison(
        result,
        threads,
        timed["fastconv"].algorithm,
        seconds["fastconv"],
        peers,
        theirs / ours if ours and theirs else None,
    )


def _in_networks(each: Comparison) -> bool:
    return each.result.family != "random"


def _in_random_list(each: Comparison) -> bool:
    return each.result.family == "random"


SCOPES: dict[str, Callable[[Comparison], bool]] = {
    "all cases": lambda each: True,
    "networks": _in_networks,
    "random list": _in_random_list,
}

FIGURES: dict[str, Callable[[Comparison], float | None]] = {
    "all": lambda each: each.ratio,
    "convolutions": lambda each: each.ratio if each.result.op == "conv" else None,
    "poolings": lambda each: each.ratio if each.result.op == "pool" else None,
    "torch alone": lambda each: each.to_torch,
    "one-shot": lambda each: each.one_shot,
}
"""Over the fastest peer of each layer, but for the last two."""


def mean_of(
    found: Iterable[Comparison], figure: Callable[[Comparison], float | None]
) -> tuple[float, int] | None:
    """Geometric mean of a figure and the number of cases that have it."""
    ratios = [ratio for each in found if (ratio := figure(each)) is not None]
    return (geometric_mean(ratios), len(ratios)) if ratios else None


def means(found: list[Comparison]) -> list[Means]:
    """All figures for each thread count and scope; scopes without a case are left out."""
    lines = []
    for threads in sorted({each.threads for each in found}):
        for scope, chosen in SCOPES.items():
            members = [each for each in found if each.threads == threads and chosen(each)]
            if members:
                figures = {name: mean_of(members, figure) for name, figure in FIGURES.items()}
                lines.append(Means(threads, scope, figures))
    return lines


def behind(found: Iterable[Comparison]) -> list[Comparison]:
    """The layers that a peer wins, the worst first."""
    return sorted((each for each in found if each.behind), key=lambda each: each.ratio)


def absences(report: Report) -> dict[tuple[str, str], list[str]]:
    """Cases that an engine cannot express, by engine and reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for result in report.cases:
        for m in result.measurements:
            if m.absent:
                ids = found.setdefault((m.engine, m.absent), [])
                ids.extend([result.id] if result.id not in ids else [])
    return found


def missing_line(missing: Iterable[str]) -> str:
    """Peers that are not installed, and how to get them."""
    return (
        f"not installed, hence not measured: {', '.join(missing)}; "
        "pip install 'fastconv[peers]' brings them; install PyTorch's CPU build first, as its "
        "site tells, for pip would take the far larger one with CUDA"
    )
