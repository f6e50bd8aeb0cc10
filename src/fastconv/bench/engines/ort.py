"""ONNX Runtime: a session with all optimisations, its input and output bound beforehand."""

from __future__ import annotations

from functools import partial

import numpy as np

from fastconv.bench.data import Arrays, Variant
from fastconv.bench.engines import Prepared
from fastconv.bench.engines.onnx_model import model_of
from fastconv.bench.layers import Case


def start(threads: int) -> None:
    """Nothing: the number of threads is a session's, and comes with the variant."""


def versions() -> dict[str, str]:
    import onnxruntime

    return {"onnxruntime": onnxruntime.__version__}


def prepare(case: Case, variant: Variant, arrays: Arrays) -> Prepared:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = variant.threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(
        model_of(case, arrays), options, providers=["CPUExecutionProvider"]
    )
    out = onnxruntime.OrtValue.ortvalue_from_numpy(np.full(case.out_shape, np.nan, np.float32))
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", onnxruntime.OrtValue.ortvalue_from_numpy(arrays.x))
    binding.bind_ortvalue_output("y", out)
    return Prepared(
        partial(session.run_with_iobinding, binding),
        to_array=lambda _: out.numpy(),
        winograd=True,
    )
