"""Measures one network: answers, times, memory and loading, every engine in turn.

Each engine gets a new process in every round, which imports its library, loads the network from
files, answers, is timed, and ends: so that loading and memory are those of a fresh process each
time, and no engine shares memory or cores with the threads and buffers of another. Knows
``client``, ``results`` and the names of the engines.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from fastconv.bench.client import EngineError, Workers
from fastconv.bench.data import Variant
from fastconv.bench.engines import ENGINES
from fastconv.bench.network_cases import TOLERANCE, NetworkCase
from fastconv.bench.network_files import NetworkFiles, Written
from fastconv.bench.results import CaseResult, Measurement
from fastconv.bench.timing import Budget


def measure_network(
    case: NetworkCase,
    contenders: Sequence[tuple[str, Variant]],
    packages: Collection[str],
    budget: Budget,
) -> CaseResult:
    """Measure the engines that are named, for each of which the packages hold what it reads."""
    measurements = [
        Measurement(engine, variant.threads, variant.dtype, variant.channels_last)
        for engine, variant in contenders
    ]
    counts = sorted({m.threads for m in measurements})
    with TemporaryDirectory(prefix="fastconv-bench-") as folder:
        files = NetworkFiles(Path(folder))
        written = _write(case, files, packages, max(counts))
        if isinstance(written, EngineError):
            for m in measurements:
                m.failure = f"was not written: {written}"
            written = Written(0, 0, np.empty(0))
        for threads in counts:
            at_once = [m for m in measurements if m.threads == threads]
            _rounds(case, files, at_once, written.answer, budget)
    return CaseResult(
        id=case.id,
        family=case.family,
        op=case.op,
        label=case.label,
        places=[],
        geometry={"n": case.n, "image": list(case.image), "parameters": written.parameters},
        flops=2 * written.macs,
        macs=written.macs,
        elements=written.parameters,
        dense=False,
        memory_bound=False,
        measurements=measurements,
    )


def _write(
    case: NetworkCase, files: NetworkFiles, packages: Collection[str], threads: int
) -> Written | EngineError:
    """Make the files in a process that ends: this one stays small."""
    try:
        with Workers() as workers:
            written: Written = workers.get("fastconv", threads).ask("write", case, files, packages)
            return written
    except EngineError as error:
        return error


def _rounds(
    case: NetworkCase,
    files: NetworkFiles,
    measurements: Sequence[Measurement],
    answer: np.ndarray,
    budget: Budget,
) -> None:
    answers = {"float64": answer}
    for turn in range(budget.rounds):
        # Who goes first differs from round to round: no engine always finds the same machine.
        first = turn % len(measurements)
        for m in (*measurements[first:], *measurements[:first]):
            once = ENGINES[m.engine].estimate is not None
            if not m.failure and not (once and turn):
                found = _turn(case, files, m, budget.seconds)
                if turn == 0 and found is not None:
                    answers[m.engine] = found
        if turn == 0:
            _judge(measurements, answers)


def _turn(
    case: NetworkCase, files: NetworkFiles, m: Measurement, seconds: float
) -> np.ndarray | None:
    """One round of one engine; its answer, unless it failed."""
    try:
        with Workers() as workers:
            worker = workers.get(m.engine, m.threads)
            found, load, imported = worker.ask("load", case, files, m.variant)
            round_seconds, _ = worker.ask("time", m.variant, seconds, False)
            peak = worker.ask("memory")
    except EngineError as error:
        m.failure = str(error)
        return None
    m.loads.append(load)
    m.rounds.append(round_seconds)
    if peak is not None:
        m.memory.append(peak)
        m.imported.append(imported)
    answer: np.ndarray = found
    return answer


def _judge(measurements: Sequence[Measurement], answers: dict[str, np.ndarray]) -> None:
    """Compare every answer with all others; the engine that stands alone is wrong."""
    for m in measurements:
        if m.engine not in answers:
            continue
        others = [answer for name, answer in answers.items() if name != m.engine]
        found = difference(answers[m.engine], others)
        m.positions = answers[m.engine].size
        m.error = found / TOLERANCE if np.isfinite(found) else None
        if m.error is None or m.error > 1:
            m.failure = f"wrong result: differs from the others by {found:.1e} of the largest logit"


def difference(answer: np.ndarray, others: Sequence[np.ndarray]) -> float:
    """Median over other answers of the largest difference, as a share of their largest value.

    One wrong answer is far from all others, and hardly moves the median of theirs.

    Examples
    --------
    >>> right, wrong = np.array([[1.0, 2.0]]), np.array([[1.0, 3.0]])
    >>> difference(right, [right, right, wrong]), difference(wrong, [right, right, right])
    (0.0, 0.5)
    """
    return float(median(_apart(answer, other) for other in others))


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    if a.shape != b.shape:
        return np.inf
    apart = float(np.abs(a - b).max() / np.abs(b).max())
    return apart if np.isfinite(apart) else np.inf
