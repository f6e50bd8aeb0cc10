"""ONNX Runtime: a session with all optimisations, its input and output bound beforehand."""

from __future__ import annotations

from functools import partial

import numpy as np

from fastconv.bench.data import Arrays, Variant
from fastconv.bench.engines import Prepared
from fastconv.bench.export_onnx import to_onnx
from fastconv.bench.graphs import graph_of
from fastconv.bench.layers import Case
from fastconv.bench.network_cases import NetworkCase
from fastconv.bench.network_files import NetworkFiles


def start(threads: int) -> None:
    """Nothing: the number of threads is a session's, and comes with the variant."""


def versions() -> dict[str, str]:
    import onnxruntime

    return {"onnxruntime": onnxruntime.__version__}


def prepare(case: Case, variant: Variant, arrays: Arrays) -> Prepared:
    model = to_onnx(graph_of(case, arrays), case.x_shape)
    return _session(model.SerializeToString(), variant, arrays.x)


def load(case: NetworkCase, files: NetworkFiles, variant: Variant, x: np.ndarray) -> Prepared:
    return _session(str(files.onnx), variant, x)


def _session(model: bytes | str, variant: Variant, x: np.ndarray) -> Prepared:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = variant.threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (given,), (made,) = session.get_inputs(), session.get_outputs()
    out = onnxruntime.OrtValue.ortvalue_from_numpy(np.full(made.shape, np.nan, np.float32))
    binding = session.io_binding()
    binding.bind_ortvalue_input(given.name, onnxruntime.OrtValue.ortvalue_from_numpy(x))
    binding.bind_ortvalue_output(made.name, out)
    return Prepared(
        partial(session.run_with_iobinding, binding),
        to_array=lambda _: out.numpy(),
        winograd=True,
    )
