"""The reference implementation that comes with the package ``onnx``: NumPy, node by node."""

from __future__ import annotations

import numpy as np

from fastconv.bench.data import Variant
from fastconv.bench.engines import Prepared
from fastconv.bench.network_cases import NetworkCase
from fastconv.bench.network_files import NetworkFiles


def start(threads: int) -> None:
    """Nothing: BLAS has read its limit from the environment of the process."""


def versions() -> dict[str, str]:
    import onnx
    import onnx.reference

    return {"onnx": onnx.__version__}


def load(case: NetworkCase, files: NetworkFiles, variant: Variant, x: np.ndarray) -> Prepared:
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(str(files.onnx))
    return Prepared(lambda: evaluator.run(None, {evaluator.input_names[0]: x})[0])
