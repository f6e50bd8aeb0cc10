"""The parent's end of the worker processes: start, ask, end.

Knows ``worker`` by its command line and protocol only.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

# Every thread pool that an engine may bring reads one of these when it is loaded.
_THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "FASTCONV_NUM_THREADS",
)


class EngineError(Exception):
    """An engine refused a request, or its process ended."""


class Worker:
    """One engine in one process."""

    def __init__(self, engine: str, threads: int) -> None:
        self._name = f"{engine}, {threads} thread{'s' if threads > 1 else ''}"
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by kill)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "fastconv.bench.worker", engine, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=os.environ
            | dict.fromkeys(_THREAD_LIMITS, str(threads))
            | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            # Its own session: the terminal's Ctrl-C reaches the parent alone.
            start_new_session=True,
        )
        assert self._process.stdin is not None  # both are pipes
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, verb: str, *arguments: object) -> Any:
        """Send a request and wait for its answer."""
        try:
            pickle.dump((verb, *arguments), self._requests)
            self._requests.flush()
            status, value = pickle.load(self._answers)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
            raise EngineError(self._last_words()) from error
        if status == "error":
            raise EngineError(value)
        return value

    def _last_words(self) -> str:
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        self.kill()
        code = self._process.returncode
        return f"process of {self._name} ended with {code}" + (f": {lines[-1]}" if lines else "")

    def kill(self) -> None:
        """End the process at once, whatever it does, and let go of its files."""
        self._process.kill()
        self._process.wait()
        with suppress(OSError):  # a request that it did not read
            self._requests.close()
        self._answers.close()
        self._errors.close()


class Workers:
    """The processes of a session, started when first asked for, ended with the ``with`` block."""

    def __init__(self) -> None:
        self._workers: dict[tuple[str, int], Worker] = {}

    def get(self, engine: str, threads: int) -> Worker:
        """The worker of an engine; a new one if the last has died."""
        key = engine, threads
        if key not in self._workers or not self._workers[key].alive:
            self._workers[key] = Worker(engine, threads)
        return self._workers[key]

    def running(self) -> list[Worker]:
        return [worker for worker in self._workers.values() if worker.alive]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._workers.values():
            worker.kill()
