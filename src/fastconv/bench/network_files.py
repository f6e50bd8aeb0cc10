"""A network as the files that each engine is given, and the answer that all should come to.

Knows ``network_cases``, ``graphs`` and the exports.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastconv.bench.export_ncnn import to_ncnn
from fastconv.bench.export_onnx import to_onnx
from fastconv.bench.graphs import reference_output
from fastconv.bench.network_cases import NetworkCase


@dataclass(frozen=True, slots=True)
class NetworkFiles:
    """Where they are in a folder."""

    folder: Path

    @property
    def weights(self) -> Path:
        """For `fastconv.models`."""
        return self.folder / "weights.npz"

    @property
    def onnx(self) -> Path:
        return self.folder / "model.onnx"

    @property
    def ncnn(self) -> tuple[Path, Path]:
        """Parameters and weights."""
        return self.folder / "model.param", self.folder / "model.bin"


class Written(NamedTuple):
    """What is known of a network once it was made: its cost, and its answer in float64."""

    parameters: int
    macs: int
    answer: np.ndarray


def write(case: NetworkCase, files: NetworkFiles, packages: Collection[str]) -> Written:
    """Make a network, and write it for fastconv, PyTorch and those packages that are named."""
    graph = case.graph()
    # Of Any: stubs take one of them for the option `allow_pickle`, which NumPy 2.0 has not.
    constants: dict[str, Any] = graph.constants
    np.savez(files.weights, **constants)
    if "onnx" in packages:
        files.onnx.write_bytes(to_onnx(graph, case.shape).SerializeToString())
    if "ncnn" in packages:
        text, weights = files.ncnn
        with weights.open("wb") as file:
            text.write_text(to_ncnn(graph, case.shape, file), encoding="utf-8")
    macs = graph.summary(case.shape).macs
    return Written(graph.parameters, macs, reference_output(graph, case.input()))
