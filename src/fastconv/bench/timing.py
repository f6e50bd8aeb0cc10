"""The clock: median time of a call.

Knows nothing of fastconv.
"""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

SAMPLE_SECONDS = 2e-4
"""A sample lasts at least this long: the clock's own 50 ns stay under 0.1 %."""


YARDSTICK_EVERY = 8
"""Samples from one reading of the yardstick, of half a millisecond, to the next."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to look: rounds, seconds of an engine in a round, seconds of a slow engine."""

    rounds: int
    seconds: float
    slow_seconds: float


def timed(run: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = perf_counter()
    run()
    return perf_counter() - start


def median_seconds(
    run: Callable[[], object], budget: float, yardstick: Callable[[], float] | None = None
) -> tuple[float, float | None]:
    """Median seconds of a call, sampled for about ``budget`` seconds after a warm-up.

    Other engines have run in the meantime, so the first calls find cold caches; they size the
    samples and are thrown away. A call that takes the whole budget is itself the sample, the
    better of two unless that would be long: the first may have waited for threads to wake up.

    The second result is the median of `yardstick`, read between the samples: a core that has
    idled, if only for the time of a message, clocks higher than one under load.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        once = timed(run)
        if once < 10 * budget:
            once = min(once, timed(run))
        if once >= budget:
            return once, yardstick() if yardstick else None
        calls = max(1, int(SAMPLE_SECONDS / max(once, 1e-9)))
        samples: list[float] = []
        readings: list[float] = []
        end = perf_counter() + budget
        while not samples or perf_counter() < end:
            start = perf_counter()
            for _ in itertools.repeat(None, calls):
                run()
            samples.append((perf_counter() - start) / calls)
            if yardstick and len(samples) % YARDSTICK_EVERY == 1:
                readings.append(yardstick())
        return median(samples), median(readings) if readings else None
    finally:
        if enabled:
            gc.enable()
