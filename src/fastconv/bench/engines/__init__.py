"""The table of engines. To add one: a module beside this file, and a row here.

A module serves one engine in a process of its own and offers these functions, the first of
which is called once, before any other::

    start(threads)               # limit the engine to so many threads
    versions() -> dict[str, str]  # imports all of its library
    prepare(case, variant, arrays) -> Prepared    # of a layer or an operator
    load(case, files, variant, x) -> Prepared     # of a network, from its files

The table itself imports none of them, and a module imports its package in its functions alone: an
engine that is not installed costs nothing, and one that is does not come into this process.
``torch_graph`` runs graphs for those of PyTorch and serves none itself.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from fastconv.bench.layers import PoolLayer
from fastconv.bench.network_cases import Entry, NetworkCase
from fastconv.bench.operators import OPERATORS

Output = np.ndarray | tuple[np.ndarray, ...]


def _itself(out: Output) -> Output:
    return out


def _served(case: Entry) -> None:
    """No case is absent."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A case made ready: weights packed, buffers taken.

    Attributes
    ----------
    run : callable
        Computes the case once; this is what is timed.
    algorithm, details
        Go into the report.
    to_array : callable
        Makes an ndarray in the layout of the variant of what ``run`` returned, or a tuple of them
        where the case has several results; not timed, so that an engine with tensors of its own
        does not pay for ours.
    winograd : bool
        Whether the result may be that of a Winograd algorithm, for which the check is looser.
    """

    run: Callable[[], Any]
    algorithm: str = ""
    details: dict[str, object] = field(default_factory=dict)
    to_array: Callable[[Any], Output] = _itself
    winograd: bool = False


LAYERS = ("conv", "pool")
"""The kinds of the layers of networks, which most engines serve."""

NETWORKS = ("network",)
"""The kind of whole networks."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A row of the table.

    Attributes
    ----------
    name : str
        As reports show it.
    module : str
        What the worker process imports.
    role : {"ours", "baseline", "peer", "one-shot", "reference"}
        What its figures are for: peers compete with ours in their prepared form, the one-shot
        engines with each other; what is only to be left far behind is no peer, but is asked for
        with them.
    estimate : callable or None
        Seconds that a case will take, for an engine too slow for most cases; such an engine is
        called once per case. ``None``: quick enough to be asked in every round.
    packages : tuple of str
        What has to be installed beside fastconv.
    ops : tuple of str
        The kinds of layers and operators for which it is asked.
    absent : callable
        Why it cannot express a case, ``None`` where it can.
    """

    name: str
    module: str
    role: Literal["ours", "baseline", "peer", "one-shot", "reference"]
    estimate: Callable[[Entry], float] | None = None
    packages: tuple[str, ...] = ()
    ops: tuple[str, ...] = LAYERS
    absent: Callable[[Entry], str | None] = _served

    @property
    def missing(self) -> list[str]:
        """Packages that are not installed; a mere folder of the name on the path is none."""
        specs = {name: importlib.util.find_spec(name) for name in self.packages}
        return [name for name, spec in specs.items() if spec is None or spec.origin is None]


# One multiplication in six nested Python loops; 90 to 130 ns were measured.
_LOOP_STEP_SECONDS = 1.2e-7


def _loops_seconds(case: Entry) -> float:
    assert not isinstance(case, NetworkCase)  # for which it is not asked
    return case.macs * _LOOP_STEP_SECONDS


# The reference is slow: one light network, one image at a time, shows by how much.
_LIGHT = ("squeezenet n1",)


def _reference_seconds(case: Entry) -> float:
    return 0.0 if case.id in _LIGHT else math.inf


def _ncnn_absent(case: Entry) -> str | None:
    dilated = isinstance(case, PoolLayer) and case.dilation != (1, 1)
    return "its pooling has no dilation" if dilated else None


_HERE = "fastconv.bench.engines"

ENGINES: dict[str, Engine] = {
    engine.name: engine
    for engine in (
        Engine("fastconv", f"{_HERE}.ours", "ours", ops=LAYERS + OPERATORS + NETWORKS),
        Engine("numpy", f"{_HERE}.vectorised", "baseline"),
        Engine("loops", f"{_HERE}.loops", "baseline", _loops_seconds),
        Engine(
            "torch",
            f"{_HERE}.torch_module",
            "peer",
            packages=("torch",),
            ops=LAYERS + OPERATORS + NETWORKS,
        ),
        Engine(
            "torch channels-last",
            f"{_HERE}.torch_last",
            "peer",
            packages=("torch",),
            ops=LAYERS + NETWORKS,
        ),
        Engine(
            "onnxruntime",
            f"{_HERE}.ort",
            "peer",
            packages=("onnxruntime", "onnx"),
            ops=LAYERS + NETWORKS,
        ),
        Engine(
            "openvino",
            f"{_HERE}.openvino_request",
            "peer",
            packages=("openvino", "onnx"),
            ops=LAYERS + NETWORKS,
        ),
        Engine(
            "ncnn",
            f"{_HERE}.ncnn_net",
            "peer",
            packages=("ncnn",),
            ops=LAYERS + NETWORKS,
            absent=_ncnn_absent,
        ),
        Engine(
            "onnx.reference",
            f"{_HERE}.onnx_reference",
            "reference",
            _reference_seconds,
            packages=("onnx",),
            ops=NETWORKS,
        ),
        Engine("fastconv one-shot", f"{_HERE}.ours_function", "one-shot", ops=("conv",)),
        Engine(
            "torch one-shot",
            f"{_HERE}.torch_function",
            "one-shot",
            packages=("torch",),
            ops=("conv",),
        ),
    )
}

PEERS = tuple(engine.name for engine in ENGINES.values() if engine.role == "peer")
ONE_SHOT_PAIR = ("fastconv one-shot", "torch one-shot")


def chosen(with_peers: bool, ops: Collection[str] = LAYERS) -> tuple[list[Engine], list[str]]:
    """The engines of a run over cases of some kinds, and the packages that keep others from it."""
    wanted = [
        engine
        for engine in ENGINES.values()
        if (with_peers or engine.role in ("ours", "baseline"))
        and not set(ops).isdisjoint(engine.ops)
    ]
    missing = {name: None for engine in wanted for name in engine.missing}
    return [engine for engine in wanted if not engine.missing], list(missing)
