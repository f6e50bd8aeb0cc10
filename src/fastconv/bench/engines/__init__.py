"""The table of engines. To add one: a module beside this file, and a row here.

A module serves one engine in a process of its own and offers three functions, the first of
which is called once, before any other::

    start(threads)               # limit the engine to so many threads
    versions() -> dict[str, str]
    prepare(case, variant, arrays) -> Prepared

The table itself imports none of them, so that an engine which is not installed costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fastconv.bench.layers import Case


@dataclass(frozen=True, slots=True)
class Prepared:
    """A case made ready: weights packed, buffers taken.

    ``run`` computes it once and returns the output in the layout of the variant; ``algorithm``
    and ``details`` go into the report.
    """

    run: Callable[[], np.ndarray]
    algorithm: str = ""
    details: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Engine:
    """A row of the table.

    Attributes
    ----------
    name : str
        As reports show it.
    module : str
        What the worker process imports.
    estimate : callable or None
        Seconds that a case will take, for an engine too slow for most cases; such an engine is
        called once per case. ``None``: quick enough to be asked in every round.
    """

    name: str
    module: str
    estimate: Callable[[Case], float] | None = None


# One multiplication in six nested Python loops; 90 to 130 ns were measured.
_LOOP_STEP_SECONDS = 1.2e-7


def _loops_seconds(case: Case) -> float:
    return case.macs * _LOOP_STEP_SECONDS


ENGINES: dict[str, Engine] = {
    engine.name: engine
    for engine in (
        Engine("fastconv", "fastconv.bench.engines.ours"),
        Engine("numpy", "fastconv.bench.engines.vectorised"),
        Engine("loops", "fastconv.bench.engines.loops", _loops_seconds),
    )
}
