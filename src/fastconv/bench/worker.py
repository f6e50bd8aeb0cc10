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
from collections.abc import Collection
from functools import partial
from time import perf_counter
from types import ModuleType
from typing import BinaryIO

import numpy as np

from fastconv import _core
from fastconv.bench.checks import Check, check_output
from fastconv.bench.data import Arrays, Variant, make_arrays
from fastconv.bench.engines import ENGINES, Prepared
from fastconv.bench.memory import peak_bytes
from fastconv.bench.network_cases import NetworkCase
from fastconv.bench.network_files import NetworkFiles, Written, write
from fastconv.bench.operators import Timed
from fastconv.bench.timing import median_seconds, timed


class Service:
    """The verbs, and the prepared variants of the current case."""

    def __init__(self, engine: ModuleType) -> None:
        self._engine = engine
        self._ready: dict[Variant, Prepared] = {}
        # What is prepared need not own its arrays.
        self._arrays: dict[Variant, tuple[Timed, Arrays]] = {}
        self._inputs: dict[Variant, np.ndarray] = {}

    def versions(self) -> dict[str, str]:
        return dict(self._engine.versions())

    def prepare(self, case: Timed, variant: Variant) -> tuple[str, dict[str, object]]:
        """Make a variant of a case ready; answers its algorithm and details."""
        arrays = make_arrays(case, variant.dtype)
        prepared = self._engine.prepare(case, variant, arrays)
        self._ready[variant], self._arrays[variant] = prepared, (case, arrays)
        return prepared.algorithm, prepared.details

    def check(self, variant: Variant) -> tuple[Check, float]:
        """Compare the output of what will be timed with float64; also its time, a cold one."""
        prepared, (case, arrays) = self._ready[variant], self._arrays[variant]
        outputs = []
        seconds = timed(lambda: outputs.append(prepared.run()))
        out = prepared.to_array(outputs[0])
        if variant.channels_last and isinstance(out, np.ndarray):
            out = out.transpose(0, 3, 1, 2)
        return check_output(case, arrays, out, prepared.winograd), seconds

    def time(self, variant: Variant, budget: float, with_peak: bool) -> tuple[float, float | None]:
        """Median seconds of a call, and the FMA peak between them, GFLOP/s of one thread."""
        peak = partial(_core.measure_fma_peak, variant.dtype) if with_peak else None
        return median_seconds(self._ready[variant].run, budget, peak)

    def write(self, case: NetworkCase, files: NetworkFiles, packages: Collection[str]) -> Written:
        """Write a network's files for this and other engines."""
        return write(case, files, packages)

    def load(
        self, case: NetworkCase, files: NetworkFiles, variant: Variant
    ) -> tuple[np.ndarray, float, int | None]:
        """Load a network and answer; also the seconds of both, and the memory taken before."""
        # What is timed is the network's alone: libraries are imported, the input is there.
        self._engine.versions()
        importlib.import_module("fastconv.models")
        x = case.input()
        imported, start = peak_bytes(), perf_counter()
        prepared = self._engine.load(case, files, variant, x)
        out = prepared.to_array(prepared.run())
        seconds = perf_counter() - start
        self._ready[variant], self._inputs[variant] = prepared, x
        return out, seconds, imported

    def memory(self) -> int | None:
        """Peak resident bytes so far."""
        return peak_bytes()

    def drop(self) -> None:
        """Forget the current case and its arrays."""
        self._ready.clear()
        self._arrays.clear()
        self._inputs.clear()

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
