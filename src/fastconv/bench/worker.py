"""A process that serves one engine: ``python -m fastconv.bench.worker ENGINE THREADS``.

It reads pickled requests ``(verb, *arguments)`` from standard input and answers each by a
pickled ``("ok", value)`` or ``("error", text)``, until its input ends; so it never outlives its
parent by more than one request. Two engines' thread pools in one process would both spin and
ruin each other's times, hence the process.
"""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import sys
from functools import partial
from types import ModuleType
from typing import BinaryIO

import numpy as np

from fastconv import _core
from fastconv.bench.checks import Check, check_output
from fastconv.bench.data import Arrays, Variant, make_arrays
from fastconv.bench.engines import ENGINES, Prepared
from fastconv.bench.operators import Timed
from fastconv.bench.timing import median_seconds, timed


class Service:
    """The verbs, and the prepared variants of the current case."""

    def __init__(self, engine: ModuleType) -> None:
        self._engine = engine
        self._ready: dict[Variant, tuple[Timed, Arrays, Prepared]] = {}

    def versions(self) -> dict[str, str]:
        return dict(self._engine.versions())

    def prepare(self, case: Timed, variant: Variant) -> tuple[str, dict[str, object]]:
        """Make a variant of a case ready; answers its algorithm and details."""
        arrays = make_arrays(case, variant.dtype)
        prepared = self._engine.prepare(case, variant, arrays)
        self._ready[variant] = case, arrays, prepared
        return prepared.algorithm, prepared.details

    def check(self, variant: Variant) -> tuple[Check, float]:
        """Compare the output of what will be timed with float64; also its time, a cold one."""
        case, arrays, prepared = self._ready[variant]
        outputs = []
        seconds = timed(lambda: outputs.append(prepared.run()))
        out = prepared.to_array(outputs[0])
        if variant.channels_last and isinstance(out, np.ndarray):
            out = out.transpose(0, 3, 1, 2)
        return check_output(case, arrays, out, prepared.winograd), seconds

    def time(self, variant: Variant, budget: float, with_peak: bool) -> tuple[float, float | None]:
        """Median seconds of a call, and the FMA peak between them, GFLOP/s of one thread."""
        peak = partial(_core.measure_fma_peak, variant.dtype) if with_peak else None
        return median_seconds(self._ready[variant][2].run, budget, peak)

    def drop(self) -> None:
        """Forget the current case and its arrays."""
        self._ready.clear()

    def bandwidth(self) -> dict[str, float]:
        """GB/s of reading and of copying, one thread, now."""
        return {name: float(value) for name, value in _core.measure_bandwidth().items()}


def serve(engine: str, threads: int, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until they end."""
    np.seterr(all="ignore")
    module = importlib.import_module(ENGINES[engine].module)
    module.start(threads)
    service = Service(module)
    while True:
        try:
            verb, *arguments = pickle.load(requests)
        except EOFError:
            return
        try:
            answer = ("ok", getattr(service, verb)(*arguments))
        except Exception as error:
            answer = ("error", f"{type(error).__name__}: {error}")
        pickle.dump(answer, answers)
        answers.flush()


def main() -> None:
    # Ctrl-C is the parent's affair; it ends this process when it wants to.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    engine, threads = sys.argv[1:]
    # Whatever a library prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(engine, int(threads), sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
