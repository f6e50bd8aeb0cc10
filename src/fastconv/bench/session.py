"""A run: every case is checked, then timed, all engines in turn over several rounds.

Knows everything about engines, and nothing about how results are shown: a reporter is told what
happens.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import sleep
from typing import Protocol

import numpy as np

import fastconv
from fastconv.bench.client import EngineError, Workers
from fastconv.bench.data import Variant
from fastconv.bench.engines import ENGINES, Engine
from fastconv.bench.network_cases import Entry, NetworkCase
from fastconv.bench.network_session import measure_network
from fastconv.bench.operators import Timed
from fastconv.bench.results import CaseResult, Measurement, Report
from fastconv.bench.timing import Budget

_BANDWIDTH_EVERY = 8
"""Cases between two readings of the bandwidth, each of which takes a tenth of a second."""


_SETTLE_SECONDS = 0.06
"""Pause after a turn on several threads: those of OpenBLAS spin for 2**26 cycles, 26 ms or so, and
would take a core from whoever comes next, whose own threads then wait for each other."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    cases: Sequence[Entry]
    variants: Sequence[Variant]
    budget: Budget
    engines: Sequence[Engine]


class Reporter(Protocol):
    """Is told what happens, in this order; ``end`` always, also after Ctrl-C."""

    def begin(self, report: Report, total: int) -> None: ...

    def working(self, case: Entry) -> None: ...

    def finished(self, result: CaseResult) -> None: ...

    def end(self) -> None: ...


def run(plan: Plan, report: Report, reporter: Reporter) -> None:
    """Carry out a plan; the report is filled case by case, whatever ends the run."""
    with Workers() as workers:
        report.facts.update(machine_facts())
        plan = replace(plan, engines=_start(workers, plan.engines, report))
        try:
            reporter.begin(report, len(plan.cases))
            for case in plan.cases:
                reporter.working(case)
                if isinstance(case, NetworkCase):
                    result = _measure_network(case, plan)
                else:
                    _measure_machine(workers, report)
                    result = _measure_case(workers, case, plan)
                report.cases.append(result)
                reporter.finished(result)
            report.complete = True
        finally:
            reporter.end()


def machine_facts() -> dict[str, object]:
    """The machine and fastconv's configuration."""
    cores = os.cpu_count()
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    return {
        "machine": {
            "platform": platform.platform(),
            "processor": platform.machine(),
            "cores": cores,
            "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0,
        },
        "config": {
            name: value if isinstance(value, (int, float, bool)) else str(value)
            for name, value in fastconv.config().items()
        },
    }


def _start(workers: Workers, engines: Sequence[Engine], report: Report) -> list[Engine]:
    """Note the versions, as the engines' processes see them; a peer may turn out to be broken."""
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    started = []
    for engine in engines:
        try:
            versions |= workers.get(engine.name, 1).ask("versions")
            started.append(engine)
        except EngineError as error:
            if not engine.packages:
                raise
            report.facts.setdefault("broken", {})[engine.name] = str(error)
    report.facts["versions"] = versions
    return started


def _measure_machine(workers: Workers, report: Report) -> None:
    """The bandwidth, once more: it drifts with the load."""
    if len(report.cases) % _BANDWIDTH_EVERY == 0:
        bandwidth = workers.get("fastconv", 1).ask("bandwidth")
        report.copies.append(bandwidth["copy"])
        report.reads.append(bandwidth["read"])


def _contenders(case: Entry, plan: Plan) -> list[tuple[str, Variant]]:
    """fastconv in every variant; the others in the plain one, slow ones where they can end."""
    chosen = [("fastconv", variant) for variant in plan.variants]
    threads = sorted({variant.threads for variant in plan.variants})
    for engine in plan.engines:
        if engine.role == "ours" or case.op not in engine.ops:
            continue
        if engine.estimate is None:
            chosen += [(engine.name, Variant(count)) for count in threads]
        elif engine.estimate(case) <= plan.budget.slow_seconds:
            chosen.append((engine.name, Variant()))
    return chosen


def _measure_network(case: NetworkCase, plan: Plan) -> CaseResult:
    packages = {package for engine in plan.engines for package in engine.packages}
    return measure_network(case, _contenders(case, plan), packages, plan.budget)


def _measure_case(workers: Workers, case: Timed, plan: Plan) -> CaseResult:
    result = CaseResult.of(case)
    timed = []
    for engine, variant in _contenders(case, plan):
        measurement = Measurement(engine, variant.threads, variant.dtype, variant.channels_last)
        result.measurements.append(measurement)
        measurement.absent = ENGINES[engine].absent(case)
        if measurement.absent is None and _check(workers, case, measurement):
            timed.append(measurement)
    for turn in range(plan.budget.rounds):
        # Who goes first differs from round to round: no engine always finds the same caches.
        first = turn % max(len(timed), 1)
        for measurement in timed[first:] + timed[:first]:
            _time(workers, measurement, plan.budget.seconds)
    for worker in workers.running():
        worker.ask("drop")
    return result


def _check(workers: Workers, case: Timed, measurement: Measurement) -> bool:
    """Prepare and check; whether the measurement may go on to be timed in rounds."""
    variant = measurement.variant
    worker = workers.get(measurement.engine, variant.threads)
    try:
        measurement.algorithm, measurement.details = worker.ask("prepare", case, variant)
        check, seconds = worker.ask("check", variant)
    except EngineError as error:
        measurement.failure = str(error)
        return False
    # JSON has no infinity: a shape or dtype that is wrong has no error to speak of.
    measurement.error = check.error if math.isfinite(check.error) else None
    measurement.positions = check.positions
    if check.failure:
        measurement.failure = f"wrong result: {check.failure}"
        return False
    if ENGINES[measurement.engine].estimate is not None:
        measurement.rounds.append(seconds)
        return False
    return True


def _time(workers: Workers, measurement: Measurement, seconds: float) -> None:
    if measurement.failure:
        return
    variant = measurement.variant
    try:
        worker = workers.get(measurement.engine, variant.threads)
        ours = measurement.engine == "fastconv"
        median, peak = worker.ask("time", variant, seconds, ours)
        if variant.threads > 1:
            sleep(_SETTLE_SECONDS)
        measurement.rounds.append(median)
        if ours:
            measurement.peaks.append(peak)
    except EngineError as error:
        measurement.failure = str(error)
